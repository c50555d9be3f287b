"""A database of the version or of the commit before, with its data, brought to this one."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import to_json
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.warehouse.__main__ import main
from services.warehouse.domain.migration import ONE_SERVER, Migration, statements
from services.warehouse.domain.tables import FILL
from services.warehouse.domain.target import COPIED, DERIVED, EVENT_LOG, RELATIONSHIPS, SCORE_HISTORY
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.filling import unfilled_tables
from services.warehouse.flow.migrator import LEDGER, migrate, migrations
from services.warehouse.flow.recompute_all import recompute_all
from tests.warehouse.known_history import events, put, scores

BEFORE = 9
"""The last migration of the version before."""
LAST = len(migrations()) - 2
"""The last but one: what the commit before the newest migration had."""
BEFORE_THE_FUNNEL = 28
"""The last migration before the table of relationships got columns; tables that came at the same time."""
BEFORE_THE_COMMENTS, WITH_THE_COMMENTS = 35, 37
"""The last migration before those that only change comments, and the last of these."""
BEFORE_THE_MONTHS = 37
"""The last migration before events were summarized by month of recording."""
MADE_WITH_IT = {f"mentoring.relationship_{what}" for what in ("replies", "feedback", "monthly")}
OLD_TABLES = frozenset({"mentoring.events", "mentoring.score_history"})
DATABASES = ("mentoring", "mentoring_mart", "mentoring_at")
DEFINITIONS = "SELECT database, name, create_table_query FROM system.tables WHERE startsWith(database, 'mentoring')"
COMMENT = re.compile(r" COMMENT '(?:[^'\\]|\\.)*'")


@pytest.fixture
def empty(local_clickhouse: LocalClickHouse) -> Iterator[ClickHouse]:
    with closing(ClickHouse(Settings(clickhouse=local_clickhouse.url))) as clickhouse:
        drop(clickhouse)
        yield clickhouse
        drop(clickhouse)


@pytest.fixture
def old(empty: ClickHouse) -> ClickHouse:
    return filled(empty, BEFORE)


def filled(clickhouse: ClickHouse, applied: int) -> ClickHouse:
    """As so many migrations left it, with the known history."""
    ledger, *numbered = migrations()
    apply(clickhouse, (ledger, *numbered[:applied]))
    for one in numbered[:applied]:
        row = [one.name, one.checksum, "completed"]
        clickhouse.insert(LEDGER, ["name", "checksum", "state"], [row], {})
    first = put(clickhouse, EVENT_LOG, [to_json(one) for one in events("acme")], tables=OLD_TABLES)
    put(clickhouse, SCORE_HISTORY, [to_json(one) for one in scores("acme", first)], tables=OLD_TABLES)
    return clickhouse


def apply(clickhouse: ClickHouse, some: Sequence[Migration]) -> None:
    for one in some:
        for statement in statements(ONE_SERVER.fill(one.sql)):
            clickhouse.command(statement)


def drop(clickhouse: ClickHouse) -> None:
    for database in DATABASES:
        clickhouse.command(f"DROP DATABASE IF EXISTS {database}")


def rapport(server: LocalClickHouse, *arguments: str) -> Result:
    # Nobody has made a login of its own for readers.
    reader = {"RAPPORT_WAREHOUSE_READER": "default", "RAPPORT_WAREHOUSE_READER_PASSWORD": ""}
    return CliRunner().invoke(main, arguments, env={"RAPPORT_CLICKHOUSE": server.url, **reader})


@pytest.mark.parametrize("applied", [BEFORE, LAST], ids=["version", "commit"])
def test_its_rows_are_kept_and_derived_tables_are_computed_from_them(
    local_clickhouse: LocalClickHouse, empty: ClickHouse, applied: int
) -> None:
    old = filled(empty, applied)

    words = ("migrate", "migrate", "recompute", "migrate")
    done, again, computed, last = (rapport(local_clickhouse, word) for word in words)

    assert [one.exit_code for one in (done, again, computed, last)] == [0] * 4, done.output + computed.output
    assert done.output.count("is there") == applied
    assert done.output.count("applied") == len(migrations()) - 1 - applied
    assert again.output.count("applied") == 0
    assert f"mentoring.program_weekly: {FILL}" in done.output
    assert f"mentoring.program_weekly: {FILL}" in again.output
    assert "recompute" not in last.output
    assert old.query("SELECT count() FROM mentoring_mart.scores") == [(11,)]
    assert old.query("SELECT count() FROM mentoring_mart.score_versions WHERE known_to IS NULL") == [(11,)]
    assert old.query("SELECT relationship_id, sessions FROM mentoring_mart.relationships ORDER BY 1") == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
        ("d", 0),
    ]
    assert old.query("SELECT sum(sessions), max(relationships) FROM mentoring_mart.program_day") == [(3, 3)]
    assert old.query("SELECT count(), countIf(retracted) FROM mentoring_mart.events_by_type") == [(22, 0)]


def test_new_tables_are_filled_at_once_on_request(local_clickhouse: LocalClickHouse, old: ClickHouse) -> None:
    done, docs, again = (
        rapport(local_clickhouse, *words) for words in (("migrate",), ("docs",), ("migrate", "--fill"))
    )
    filled_docs, last = rapport(local_clickhouse, "docs"), rapport(local_clickhouse, "migrate", "--fill")

    assert [one.exit_code for one in (done, docs, again, filled_docs, last)] == [0] * 5
    assert f"**answers may lack what was stored before, {FILL}: " in docs.output
    assert "filled   mentoring.events_by_type, " in again.output
    assert FILL not in filled_docs.output + last.output
    assert "filled   " not in last.output
    assert old.query("SELECT sum(sessions), max(relationships) FROM mentoring_mart.program_day") == [(3, 3)]


class DiedError(Exception):
    """What ends a process between two steps."""


def dying(at: str) -> Callable[[str], None]:
    """Hears of each step, and dies at the first that says these words."""

    def hear(doing: str) -> None:
        if at in doing:
            raise DiedError

    return hear


def test_tables_to_fill_are_reported_until_they_are_filled_whatever_crashed_in_between(
    local_clickhouse: LocalClickHouse, old: ClickHouse
) -> None:
    def told() -> bool:
        return FILL in rapport(local_clickhouse, "migrate").output

    with pytest.raises(DiedError):
        migrate(old, ONE_SERVER, dying(f"applied  {migrations()[-1].name}"))
    assert told()
    with pytest.raises(DiedError):
        recompute_all(old, dying("days, 0 of"))
    assert told()
    # The service stores what is new, and knows nothing of what was there before.
    with capture_logs() as lines:
        DerivedTables(old, 0, threading.Event()).recompute_if_due()
    assert [line["hint"] for line in lines if line["event"] == "tables_to_fill"] == [FILL]
    assert told()
    assert set(unfilled_tables(old)) == {table.name for table in (*COPIED, *DERIVED)}

    recompute_all(old, lambda _: None)

    assert not told()
    assert not unfilled_tables(old)


def test_a_database_that_has_stored_nothing_yet_needs_no_filling(
    local_clickhouse: LocalClickHouse, empty: ClickHouse
) -> None:
    first = rapport(local_clickhouse, "migrate")
    put(empty, EVENT_LOG, [to_json(one) for one in events("acme")])

    again = rapport(local_clickhouse, "migrate")

    assert "recompute" not in first.output + again.output


def test_a_filled_table_that_gets_new_columns_is_to_be_filled_once_more(
    local_clickhouse: LocalClickHouse, empty: ClickHouse
) -> None:
    old = filled(empty, BEFORE_THE_FUNNEL)
    then = [table.name for table in (*COPIED, *DERIVED) if table.name not in MADE_WITH_IT]
    old.insert("mentoring.filled", ["name"], [[name] for name in then], {})

    told = rapport(local_clickhouse, "migrate")

    assert set(unfilled_tables(old)) == MADE_WITH_IT | {"mentoring.relationships"}
    assert FILL in told.output
    rapport(local_clickhouse, "recompute")
    assert not unfilled_tables(old)
    assert old.query(
        "SELECT sum(sessions_scheduled), sum(goals_set), sum(goals_achieved), sum(goals_revised), "
        "sum(milestones_celebrated), sum(smart_goals), sum(smart_criteria) FROM mentoring_mart.relationships"
    ) == [(1, 1, 1, 1, 1, 1, 4)]
    assert old.query("SELECT side, hours FROM mentoring_mart.replies") == [("mentor", 6.0)]


def test_answers_before_the_filling_come_with_a_warning_that_they_may_lack_rows(
    local_clickhouse: LocalClickHouse, empty: ClickHouse
) -> None:
    old = filled(empty, LAST)
    then = [[table.filled_as] for table in (*COPIED, *DERIVED) if table is not RELATIONSHIPS]
    old.insert("mentoring.filled", ["name"], then, {})
    rapport(local_clickhouse, "migrate")
    recompute_words = f"{FILL}: mentoring.relationships"

    before = rapport(local_clickhouse, "queries", "goals")
    rapport(local_clickhouse, "recompute")
    after = rapport(local_clickhouse, "queries", "goals")

    assert (before.exit_code, after.exit_code) == (0, 0), before.output + after.output
    assert recompute_words in before.stderr
    assert after.stderr == ""


# Columns of kinds that no mart has any more, and where what they held is now.
MOVED = {
    ("events", "people"): "mentoring_mart.relationship_people",
    ("scores", "factors"): "mentoring_mart.score_factors",
    ("scores", "deltas"): "mentoring_mart.score_factors",
    ("scores", "weights"): "mentoring_mart.score_factors",
    ("relationship_current", "factors"): "mentoring_mart.factor_costs",
    ("relationship_current", "weights"): "mentoring_mart.factor_costs",
    ("alerts", "reasons"): "mentoring.alert_log",
}
MART_COLUMNS = "SELECT table, name FROM system.columns WHERE database = 'mentoring_mart'"


def test_every_other_column_of_a_view_of_the_version_before_has_its_name_still(
    local_clickhouse: LocalClickHouse, old: ClickHouse
) -> None:
    before = set(old.query(MART_COLUMNS))

    rapport(local_clickhouse, "migrate")

    assert before - set(old.query(MART_COLUMNS)) == MOVED.keys()
    for place in MOVED.values():
        assert old.query(f"SELECT count() >= 0 FROM {place}") == [(1,)]


def test_a_view_of_the_version_before_has_its_new_columns(local_clickhouse: LocalClickHouse, old: ClickHouse) -> None:
    before = old.query("SELECT type FROM system.columns WHERE table = 'relationship_current' AND name = 'factors'")

    rapport(local_clickhouse, "migrate")

    after = old.query("SELECT name FROM system.columns WHERE table = 'relationship_current' AND name LIKE '%factors%'")
    assert before == [("Map(LowCardinality(String), Float64)",)]
    assert after == []


def test_new_comments_change_nothing_else_of_tables_and_views(empty: ClickHouse) -> None:
    def definitions() -> dict[tuple[str, str], str]:
        return {(database, name): sql for database, name, sql in empty.query(DEFINITIONS)}

    filled(empty, BEFORE_THE_COMMENTS)
    before = definitions()

    apply(empty, migrations()[1 + BEFORE_THE_COMMENTS : 1 + WITH_THE_COMMENTS])

    after = definitions()
    assert {name: COMMENT.sub("", sql) for name, sql in after.items()} == {
        name: COMMENT.sub("", sql) for name, sql in before.items()
    }
    # Parameterized views have no comments that had to change.
    assert {database for database, name in after if after[database, name] != before[database, name]} == {
        "mentoring",
        "mentoring_mart",
    }


def test_months_of_recording_are_filled_by_migrate_also_by_the_next_one_after_a_crash(
    local_clickhouse: LocalClickHouse, empty: ClickHouse
) -> None:
    old = filled(empty, BEFORE_THE_MONTHS)
    with pytest.raises(DiedError):
        migrate(old, ONE_SERVER, dying(f"applied  {migrations()[-1].name}"))
    assert old.query("SELECT count() FROM mentoring.recorded_monthly") == [(0,)]

    done = rapport(local_clickhouse, "migrate")

    assert done.exit_code == 0, done.output
    found = old.query("SELECT * FROM mentoring.recorded_monthly FINAL ORDER BY ALL")
    assert found == old.query(
        "SELECT tenant_id, program_id, relationship_id, toStartOfMonth(recorded_at) AS month, max(version) "
        "FROM mentoring.events FINAL GROUP BY ALL ORDER BY ALL"
    )
    assert found
