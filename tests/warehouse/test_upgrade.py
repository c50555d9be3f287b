"""A database of the version or of the commit before, with its data, brought to this one."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner, Result

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.stack import NEW_TABLES
from schemas.events import to_json
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.warehouse.__main__ import main
from services.warehouse.domain.migration import ONE_SERVER, statements
from services.warehouse.domain.target import EVENT_LOG, SCORE_HISTORY
from services.warehouse.flow.migrator import LEDGER, migrations
from tests.warehouse.known_history import events, put, scores

BEFORE = 9
"""The last migration of the version before."""
LAST = len(migrations()) - 2
"""The last but one: what the commit before the newest migration had."""
OLD_TABLES = frozenset({"mentoring.events", "mentoring.score_history"})
DATABASES = ("mentoring", "mentoring_mart", "mentoring_at")


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
    for one in (ledger, *numbered[:applied]):
        for statement in statements(ONE_SERVER.fill(one.sql)):
            clickhouse.command(statement)
    for one in numbered[:applied]:
        row = [one.name, one.checksum, "completed"]
        clickhouse.insert(LEDGER, ["name", "checksum", "state"], [row], {})
    first = put(clickhouse, EVENT_LOG, [to_json(one) for one in events("acme")], tables=OLD_TABLES)
    put(clickhouse, SCORE_HISTORY, [to_json(one) for one in scores("acme", first)], tables=OLD_TABLES)
    return clickhouse


def drop(clickhouse: ClickHouse) -> None:
    for database in DATABASES:
        clickhouse.command(f"DROP DATABASE IF EXISTS {database}")


def rapport(server: LocalClickHouse, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"RAPPORT_CLICKHOUSE": server.url})


@pytest.mark.parametrize("applied", [BEFORE, LAST], ids=["version", "commit"])
def test_its_rows_are_there_afterwards_and_what_is_derived_is_computed_from_them(
    local_clickhouse: LocalClickHouse, empty: ClickHouse, applied: int
) -> None:
    old = filled(empty, applied)

    done, again, computed = (rapport(local_clickhouse, *words) for words in (["migrate"], ["migrate"], ["recompute"]))

    assert (done.exit_code, again.exit_code, computed.exit_code) == (0, 0, 0), done.output + computed.output
    assert done.output.count("is there") == applied
    assert done.output.count("applied") == len(migrations()) - 1 - applied
    assert again.output.count("applied") == 0
    assert f"mentoring.program_weekly: {NEW_TABLES}" in done.output
    assert "recompute" not in again.output
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
