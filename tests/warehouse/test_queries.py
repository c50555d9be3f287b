"""Every ready query on a small history whose answers are known, asked as a person asks it."""

import csv
import io
import json
import re
import threading
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import to_json
from services.runtime.clickhouse import ClickHouse
from services.warehouse.__main__ import main
from services.warehouse.catalogue import queries
from services.warehouse.domain.target import EVENT_LOG
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.settings import WarehouseSettings
from tests.scoring.test_themes import THEMES as FACTOR_THEMES
from tests.warehouse.conftest import READER_PASSWORD
from tests.warehouse.known_history import events, put, tell

READY = {query.name: query for query in queries()}
GIVEN = {"relationship": "a", "person": "p-m", "at": "2024-02-10 00:00:00", "least": "2"}
# Columns after tenant and programme, as CSV has them.
ANSWERS: dict[str, list[list[str]]] = {
    "alert_precision": [
        ["disengaging", "0", "1", "0", "0", "0", "", "0", "0", ""],
        ["health_low", "1", "0", "1", "1", "0", "1.0", "1", "1", "1.0"],
        ["programme_shift", "1", "0", "0", "0", "1", "0.0", "0", "0", ""],
    ],
    "alert_times": [
        ["health_low", "1", "0", "1", "0", "5.0", "1", "119.9", "48.0"],
        ["programme_shift", "1", "1", "1", "0", "5.0", "0", "", ""],
    ],
    "arrivals": [["zoom", "28", "0", "2.0", "2.0", "1"]],
    "bands_now": [["3", "43.3", "0", "1", "2", "0", "3", "0", "3", "0"]],
    "cancellations": [["2024-01-01", "3", "0", "0", "0.0", ""], ["2024-02-01", "0", "1", "0", "1.0", "1.0"]],
    "cohorts": [["c-1", "2", "40.0", "0.5", "1.0", "0.5"], ["", "2", "35.0", "1.0", "0.5", "0.0"]],
    "evaluation": [
        ["2024-01-01", "4", "49.1", "0.455", "3", "0.8", "1", "1", "1.5", "4.5", "1", "1", "1", "1"],
    ],
    "factors_by_band": [
        ["steady", "rhythm", "1", "64.2", "35.8"],
        ["steady", "silence", "1", "-4.2", "4.2"],
        ["strained", "rhythm", "2", "39.2", "60.8"],
        ["strained", "silence", "2", "-4.2", "4.2"],
    ],
    "first_session": [["c-1", "2", "2", "14.0", "19.6"], ["", "1", "0", "", ""]],
    "funnel": [["4", "1", "3", "1", "1"]],
    "goals": [["1", "0.8", "1", "1", "1", "0", "0"]],
    "known_then": [
        ["a", "80.0", "thriving", "80.0", "thriving", "0.0"],
        ["b", "20.0", "critical", "20.0", "critical", "0.0"],
        ["c", "40.0", "strained", "40.0", "strained", "0.0"],
    ],
    "median_health": [
        ["2024-01-02", "3", "50.0", "45.0", "65.0", "0", "0"],
        ["2024-01-04", "2", "60.0", "50.0", "70.0", "0", "0"],
        ["2024-01-10", "1", "80.0", "80.0", "80.0", "0", "0"],
        ["2024-02-04", "1", "20.0", "20.0", "20.0", "0", "0"],
        ["2024-02-20", "3", "40.0", "35.0", "50.0", "", "0"],
    ],
    "mentors_growth": [["1", "1", "1", "1.0", "1"]],
    "network": [["4", "1", "1", "0.25", "0.25"]],
    "onboarding": [["3", "1", "1", "0.333", "0.333"]],
    "reply_times": [["mentor", "1", "6.0", "6.0", "6.0"]],
    "retention": [
        *(["c-1", week, "2", "2", "1.0"] for week in "124"),
        *(["", week, "1", "1", "1.0"] for week in "124"),
    ],
    "risk_by_week": [
        ["2024-01-01", "3", "0", "0.0", "56.7"],
        ["2024-01-08", "1", "0", "0.0", "80.0"],
        ["2024-01-29", "1", "1", "1.0", "20.0"],
        ["2024-02-19", "3", "3", "1.0", "43.3"],
    ],
    "risk_reliability": [["0.1", "1", "0.1", "0.0"], ["0.5", "1", "0.5", "1.0"]],
    "silent_pairs": [
        ["d", "", "", "14.5", "", "strained", "0.9"],
        ["c", "2024-01-03T00:00:00Z", "48.0", "14.5", "", "strained", "0.8"],
        ["a", "2024-01-09T06:00:00Z", "41.8", "14.5", "", "steady", "0.75"],
    ],
    "skills": [["decision_making", "1", "1", "2.0", "4.0", "2.0"], ["listening", "1", "1", "3.0", "4.0", "1.0"]],
    "surveys": [["mentee", "5.0", "1", "80.0", "0.1"], ["mentor", "4.0", "1", "80.0", "0.1"]],
    "two_way_feedback": [["4", "1", "1", "1", "0.25"]],
    "weekly_activity": [
        ["2024-01-01", "3", "1", "1", "0.33", "0"],
        ["2024-01-08", "1", "1", "1", "1.0", "2"],
        ["2024-01-22", "0", "1", "1", "", "0"],
        ["2024-01-29", "1", "0", "0", "0.0", "0"],
        ["2024-02-05", "0", "0", "0", "", "0"],
        ["2024-02-12", "0", "0", "0", "", "0"],
        ["2024-02-19", "3", "0", "0", "0.0", "0"],
    ],
    "worst_pairs": [
        ["d", "30.0", "strained", "0.9", "True", "", "rhythm", "65.8"],
        ["c", "40.0", "strained", "0.8", "True", "2024-01-03T00:00:00Z", "rhythm", "55.8"],
        ["a", "60.0", "steady", "0.75", "True", "2024-01-09T06:00:00Z", "rhythm", "35.8"],
    ],
}
# What the founding article asks of good mentoring, theme by theme: which query tells of it, in which of its columns.
# Beside those that move a factor of health: that the programme is evaluated, and that decisions get better.
THEMES = {
    "SMART goals": ("goals", "smart_share"),
    "check-ins": ("weekly_activity", "sessions"),
    "adjustment": ("goals", "revised"),
    "celebration": ("goals", "celebrated"),
    "two-way feedback": ("two_way_feedback", "two_way"),
    "mutual growth": ("mentors_growth", "reflections"),
    "approachability and responsiveness": ("reply_times", "median_hours"),
    "skills": ("skills", "growth"),
    "networks": ("network", "introductions"),
    "emotional support": ("evaluation", "support_requests"),
    "clear expectations": ("onboarding", "agreed"),
    "preparation": ("onboarding", "both_prepared"),
    "evaluation": ("evaluation", "pairs"),
    "decision quality": ("skills", "after"),
}
README = (Path(__file__).parents[2] / "services/warehouse/README.md").read_text()
OTHER_ANSWERS = {"mentors_at_risk", "person_events", "timeline"}


@pytest.fixture(scope="module")
def told(warehouse_server: LocalClickHouse) -> tuple[LocalClickHouse, str]:
    """The history stored under a tenant of its own, and everything recomputed."""
    tenant = f"history-{uuid.uuid4().hex[:8]}"
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        tell(clickhouse, tenant)
        DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()
    return warehouse_server, tenant


def rapport_queries(told: tuple[LocalClickHouse, str], *arguments: str) -> Result:
    server, tenant = told
    environ = {"RAPPORT_CLICKHOUSE": server.url, "RAPPORT_WAREHOUSE_READER_PASSWORD": READER_PASSWORD}
    return CliRunner().invoke(main, ["queries", *arguments, "--param", f"tenant={tenant}"], env=environ)


def asked(told: tuple[LocalClickHouse, str], name: str, **others: str) -> list[list[str]]:
    """The rows of a query's answer, as the reader gets them."""
    return answered(told, name, **others)[1:]


def answered(told: tuple[LocalClickHouse, str], name: str, **others: str) -> list[list[str]]:
    """The same with the names of the columns first."""
    wanted = {key: value for key, value in (GIVEN | others).items() if key in READY[name].parameters}
    given = [part for key, value in wanted.items() for part in ("--param", f"{key}={value}")]
    done = rapport_queries(told, name, *given, "--format", "csv")
    assert done.exit_code == 0, done.output
    header, *rows = csv.reader(io.StringIO(done.output))
    assert len(set(header)) == len(header)
    return [header, *rows]


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_answer_is_what_a_count_by_hand_gives(told: tuple[LocalClickHouse, str], name: str) -> None:
    found = asked(told, name)

    assert [row[2:] for row in found] == ANSWERS[name]
    assert {tuple(row[:2]) for row in found} == {(told[1], "spruce")}


def test_the_mentor_of_two_pairs_at_risk_is_named_with_them(told: tuple[LocalClickHouse, str]) -> None:
    assert [row[1:] for row in asked(told, "mentors_at_risk")] == [["p-m", "2", "0.9", "a, d"]]


def test_the_events_of_a_person_are_those_of_all_its_relationships(told: tuple[LocalClickHouse, str]) -> None:
    mentor, mentee = asked(told, "person_events"), asked(told, "person_events", person="p-2")

    assert {row[3] for row in mentor} == {"a", "b", "d"}
    assert [(row[0], row[3], row[4], row[5].split(".")[1]) for row in mentee] == [
        ("2024-01-01T00:00:00Z", "b", "mentee", "relationship"),
        ("2024-01-22T00:00:00Z", "b", "mentee", "session"),
        ("2024-02-02T00:00:00Z", "b", "mentee", "session"),
        ("2024-02-03T00:00:00Z", "b", "mentee", "support"),
        ("2024-02-05T00:00:00Z", "b", "mentee", "relationship"),
    ]


def test_the_timeline_of_a_pair_tells_scores_and_alerts_in_order(told: tuple[LocalClickHouse, str]) -> None:
    found = asked(told, "timeline", relationship="b")

    assert [(row[0][:10], row[1][:16], row[2]) for row in found] == [
        ("2024-01-02", "fact, midnight", "50.0"),
        ("2024-02-03", "alert health_low", "38.5"),
        ("2024-02-04", "fact, midnight", "20.0"),
        ("2024-02-05", "fact, midnight", "20.0"),
    ]


@pytest.fixture(scope="module")
def silent(told: tuple[LocalClickHouse, str]) -> tuple[LocalClickHouse, str]:
    """A tenant whose pairs began, and of whom nothing else is told."""
    server, tenant = told[0], f"silent-{uuid.uuid4().hex[:8]}"
    begun = [one for one in events(tenant) if one.type == "mentoring.relationship.started.v1"]
    with closing(ClickHouse(WarehouseSettings(clickhouse=server.url))) as clickhouse:
        put(clickhouse, EVENT_LOG, [to_json(one) for one in begun])
        DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()
    return server, tenant


def test_every_theme_of_the_founding_article_has_its_query() -> None:
    assert THEMES.keys() == {*FACTOR_THEMES, "evaluation", "decision quality"}


@pytest.mark.parametrize("theme", THEMES)
def test_a_query_tells_of_a_theme_where_its_events_are_and_only_there(
    told: tuple[LocalClickHouse, str], silent: tuple[LocalClickHouse, str], theme: str
) -> None:
    name, column = THEMES[theme]

    assert max(numbers(told, name, column)) > 0
    assert max(numbers(silent, name, column), default=0) == 0


def numbers(where: tuple[LocalClickHouse, str], name: str, column: str) -> list[float]:
    done = rapport_queries(where, name, "--format", "json")
    assert done.exit_code == 0, done.output
    return [float(row[column] or 0) for row in json.loads(done.stdout)]


def test_small_groups_of_cohorts_are_suppressed(told: tuple[LocalClickHouse, str]) -> None:
    assert [row[2:] for row in asked(told, "cohorts", least="5")] == [["c-1", *[""] * 5], *[[""] * 6]]


def test_every_query_is_tested_and_begins_with_its_question() -> None:
    assert set(READY) == ANSWERS.keys() | OTHER_ANSWERS
    for query in READY.values():
        assert query.sql.startswith("-- ")
        assert "?" in query.question
        assert len(query.question) < 120
        assert query.used <= set(query.parameters)
        assert f"**{query.name}**: {query.question}" in README


@pytest.mark.parametrize("name", sorted(READY))
def test_its_excerpt_in_the_readme_is_of_its_answer(told: tuple[LocalClickHouse, str], name: str) -> None:
    excerpt = README.partition(f"**{name}**: ")[2].split("\n\n")[1]
    columns, *lines = [re.split(" {2,}", line.strip()) for line in excerpt.splitlines()]

    header, *rows = answered(told, name)

    shown = [[row[header.index(column)] or "-" for column in columns] for row in rows]
    assert lines
    assert [line for line in lines if line not in shown] == []


def test_an_answer_is_a_table_csv_or_json(told: tuple[LocalClickHouse, str]) -> None:
    table, listed = (rapport_queries(told, "funnel", "--format", kind) for kind in ("table", "json"))

    assert table.stdout.splitlines()[0].split() == [
        "tenant_id",
        "program_id",
        "pairs",
        "scheduled",
        "held",
        "goal",
        "achieved",
    ]
    assert json.loads(listed.stdout) == [
        {"tenant_id": told[1], "program_id": "spruce", "pairs": 4, "scheduled": 1, "held": 3, "goal": 1, "achieved": 1}
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("timeline",), "timeline needs --param relationship=..."),
        (("funnel", "--param", "cohort=x"), "funnel takes tenant, program, as --param name=value"),
        (("funnel", "--param", "program"), "funnel takes tenant, program"),
        (("funnel", "--param", f"program={'x' * 513}"), "program has more than 512 characters"),
        (("silent_pairs", "--param", "days=soon"), "ClickHouse: "),
    ],
)
def test_a_wrong_parameter_is_explained_in_one_line(
    told: tuple[LocalClickHouse, str], arguments: Sequence[str], words: str
) -> None:
    refused = rapport_queries(told, *arguments)

    assert refused.exit_code == 1
    assert words in refused.output


def test_a_parameter_is_a_value_and_never_a_part_of_the_statement(told: tuple[LocalClickHouse, str]) -> None:
    found: Any = asked(told, "timeline", relationship="a' OR '1' = '1")

    assert found == []
