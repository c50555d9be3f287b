"""Nothing of an erased relationship is left in any table, and a replay of the log brings nothing back."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import RelationshipErased, to_json
from schemas.payloads import RelationshipErased as Erased
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.warehouse.domain.migration import ONE_SERVER
from services.warehouse.domain.target import EVENT_LOG, SCORE_HISTORY, TABLES
from services.warehouse.flow.erasing import delete_erased
from services.warehouse.settings import WarehouseSettings
from tests.warehouse.conftest import Warehouse
from tests.warehouse.known_history import event, put
from tests.warehouse.samples import NOON, alert, changed, delivery, envelope, handled, held, row, started

HOLDERS = [table for table in TABLES.values() if table.erasable]
NOTHING = {table.short: 0 for table in HOLDERS}
KEPT = "score_history_before_20240401000000"
HISTORY, SHADOW = "mentoring.score_history", "mentoring.score_history_replay"
# How the statements of a pass begin: what it finds, what it counts, what it deletes.
STATEMENTS = {
    "find": f"SELECT DISTINCT tenant_id, relationship_id\nFROM {SHADOW}",
    "count": f"SELECT tenant_id, uniqExact(relationship_id), count()\nFROM {SHADOW}",
    "delete": f"ALTER TABLE {SHADOW} ",
}


class Meanwhile(ClickHouse):
    """Does something right before the first statement that holds these words."""

    def __init__(self, settings: WarehouseSettings, words: str, meanwhile: str) -> None:
        super().__init__(settings)
        self.words, self.meanwhile, self.done = words, meanwhile, False

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        self._before(sql)
        return super().query(sql, parameters)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        self._before(sql)
        super().command(sql, parameters)

    def _before(self, sql: str) -> None:
        if self.words in sql and not self.done:
            self.done = True
            super().command(self.meanwhile)


def erased(relationship: str, tenant: str) -> RelationshipErased:
    of = envelope("relationship.erased", NOON + timedelta(days=1), relationship, tenant)
    return RelationshipErased(**of, data=Erased(by="admin", evidence="admin"))


def tell(warehouse: Warehouse, relationship: str) -> None:
    """Whatever can be told of one, on every topic."""
    tenant, asked = warehouse.tenant, f"{relationship}-asked"
    warehouse.write("events", started(NOON, relationship, tenant), held(NOON, relationship, tenant))
    warehouse.write(
        "events",
        event("message.sent", 80, relationship, tenant, channel="chat", by="mentee", id=asked),
        event("message.sent", 81, relationship, tenant, channel="chat", by="mentor", reply_to=asked),
        event("feedback.given", 82, relationship, tenant, rating=4.0, about="session", by="mentee"),
    )
    warehouse.write("scores", changed(row(), relationship, tenant))
    fired = alert(NOON, relationship, tenant)
    warehouse.write("alerts", fired, handled(fired, "acknowledge", NOON), delivery(relationship, tenant))


def rows_of(warehouse: Warehouse, relationship: str) -> dict[str, int]:
    """As they lie in the tables, replaced ones too; that it was erased aside. One question: it is asked again and again
    until it is answered as a test wants it."""
    counts = (
        f"SELECT '{table.short}', count() FROM {table.name} WHERE tenant_id = {{tenant}} "
        f"AND relationship_id = '{relationship}'" + (f" AND NOT ({table.kept})" if table.kept else "")
        for table in HOLDERS
    )
    return dict(warehouse.ask(" UNION ALL ".join(counts)))


def day_of(warehouse: Warehouse) -> tuple[int, ...]:
    """Empty before there is one."""
    days = warehouse.ask(
        "SELECT relationships, sessions, alerts FROM mentoring.program_daily FINAL "
        f"WHERE tenant_id = {{tenant}} AND day = '{NOON.date()}'"
    )
    return days[0] if days else ()


def test_an_erased_relationship_leaves_no_row_and_no_replay_restores_it(warehouse: Warehouse) -> None:
    with warehouse.running() as running:
        tell(warehouse, "r-1")
        tell(warehouse, "r-2")
        running.until(lambda: 0 not in rows_of(warehouse, "r-1").values(), "the tables")
        running.until(lambda: day_of(warehouse) == (2, 2, 2), "the day of both")

        warehouse.write("events", erased("r-1", warehouse.tenant))
        running.until(lambda: rows_of(warehouse, "r-1") == NOTHING, "the erasure")
        running.until(lambda: day_of(warehouse) == (1, 1, 1), "the day of one")

        tell(warehouse, "r-1")
        running.until(warehouse.is_committed, "the replay")
        running.until(lambda: rows_of(warehouse, "r-1") == NOTHING, "the erasure again")
        running.until(lambda: day_of(warehouse) == (1, 1, 1), "the day of one again")

    kept = rows_of(warehouse, "r-2")
    assert (kept["events"], kept["score_history"], kept["alert_log"]) == (5, 1, 1)
    [(types,)] = warehouse.ask(
        "SELECT groupArray(type) FROM mentoring.events FINAL WHERE tenant_id = {tenant} AND relationship_id = 'r-1'"
    )
    assert types == ["mentoring.relationship.erased.v1"]


def test_an_erasure_reaches_what_a_replay_has_left_and_is_counted(warehouse: Warehouse) -> None:
    tell(warehouse, "r-1")
    tell(warehouse, "r-2")
    warehouse.store_all()
    warehouse.recompute()
    warehouse.clickhouse.command(f"CREATE TABLE mentoring.{KEPT} AS mentoring.score_history")
    try:
        warehouse.clickhouse.command(f"INSERT INTO mentoring.{KEPT} SELECT * FROM mentoring.score_history")
        warehouse.write("events", erased("r-1", warehouse.tenant))
        with warehouse.running() as running:
            running.until(lambda: rows_of(warehouse, "r-1") == NOTHING, "the erasure")
            running.until(lambda: pairs_of(warehouse, KEPT) == ["r-2"], "the erasure of what was kept")
            running.until(lambda: erasures(warehouse).get(f"mentoring.{KEPT}"), "the word of it")
    finally:
        warehouse.clickhouse.command(f"DROP TABLE mentoring.{KEPT}")

    counted = erasures(warehouse)
    assert set(counted) == {f"mentoring.{KEPT}", *(table.name for table in HOLDERS)}
    assert (counted["mentoring.events"], counted["mentoring.score_revisions"]) == ((1, 5), (1, 1))


def pairs_of(warehouse: Warehouse, table: str) -> list[str]:
    found = warehouse.ask(f"SELECT DISTINCT relationship_id FROM mentoring.{table} WHERE tenant_id = {{tenant}}")
    return sorted(pair for (pair,) in found)


def erasures(warehouse: Warehouse) -> dict[str, tuple[int, int]]:
    """Relationships and rows, by table."""
    found = warehouse.ask(
        "SELECT table_name, relationships, rows FROM mentoring.erasure_log WHERE tenant_id = {tenant} AND rows > 0"
    )
    return {table: (relationships, rows) for table, relationships, rows in found}


@pytest.fixture
def settings(warehouse_server: LocalClickHouse) -> WarehouseSettings:
    return WarehouseSettings(clickhouse=warehouse_server.url)


@contextmanager
def replaying(settings: WarehouseSettings) -> Iterator[tuple[ClickHouse, str]]:
    """A tenant of whom r-1 is erased and not forgotten yet, while a replay has filled its shadow."""
    tenant = f"forgetting-{uuid.uuid4().hex[:8]}"
    with closing(ClickHouse(settings)) as clickhouse:
        told = [to_json(held(NOON, pair, tenant)) for pair in ("r-1", "r-2")]
        put(clickhouse, EVENT_LOG, [*told, to_json(erased("r-1", tenant))])
        put(clickhouse, SCORE_HISTORY, [to_json(changed(row(), pair, tenant)) for pair in ("r-1", "r-2")])
        clickhouse.command(f"CREATE TABLE {SHADOW} AS {HISTORY}")
        try:
            clickhouse.command(f"INSERT INTO {SHADOW} SELECT * FROM {HISTORY}")
            yield clickhouse, tenant
        finally:
            clickhouse.command(f"DROP TABLE IF EXISTS {SHADOW}")


def left(clickhouse: ClickHouse, table: str, tenant: str) -> list[str]:
    rows = clickhouse.query(f"SELECT DISTINCT relationship_id FROM {table} WHERE tenant_id = '{tenant}' ORDER BY 1")
    return [pair for (pair,) in rows]


@pytest.mark.parametrize("kind", STATEMENTS)
def test_a_table_that_a_replay_drops_right_before_a_statement_is_skipped(
    settings: WarehouseSettings, kind: str
) -> None:
    with (
        replaying(settings) as (clickhouse, tenant),
        closing(Meanwhile(settings, STATEMENTS[kind], f"DROP TABLE {SHADOW}")) as door,
    ):
        days = delete_erased(door, ONE_SERVER, 0)

        assert door.done
        assert ("spruce", NOON.date()) in {(program, day) for of, program, day in days if of == tenant}
        assert left(clickhouse, HISTORY, tenant) == ["r-2"]


@pytest.mark.parametrize("kind", STATEMENTS)
def test_tables_that_a_replay_exchanges_meanwhile_are_both_scanned(settings: WarehouseSettings, kind: str) -> None:
    with (
        replaying(settings) as (clickhouse, tenant),
        closing(Meanwhile(settings, STATEMENTS[kind], f"EXCHANGE TABLES {HISTORY} AND {SHADOW}")) as door,
    ):
        delete_erased(door, ONE_SERVER, 0)

        assert door.done
        assert left(clickhouse, HISTORY, tenant) == left(clickhouse, SHADOW, tenant) == ["r-2"]


def test_a_table_that_is_renamed_meanwhile_is_scanned_under_its_new_name(settings: WarehouseSettings) -> None:
    renamed = f"RENAME TABLE {SHADOW} TO mentoring.{KEPT}"
    with (
        replaying(settings) as (clickhouse, tenant),
        closing(Meanwhile(settings, STATEMENTS["delete"], renamed)) as door,
    ):
        delete_erased(door, ONE_SERVER, 0)
        kept = left(clickhouse, f"mentoring.{KEPT}", tenant)
        clickhouse.command(f"DROP TABLE mentoring.{KEPT}")

        assert kept == ["r-2"]


def test_an_existing_table_that_cannot_be_scanned_is_a_failure(settings: WarehouseSettings) -> None:
    broken = f"ALTER TABLE {SHADOW} DROP COLUMN inserted_at SETTINGS alter_sync = 2"
    with (
        replaying(settings) as (clickhouse, tenant),
        closing(Meanwhile(settings, STATEMENTS["find"], broken)) as door,
    ):
        clickhouse.command(f"ALTER TABLE {SHADOW} DROP INDEX by_insertion")
        with pytest.raises(ClickHouseError, match="inserted_at"):
            delete_erased(door, ONE_SERVER, 0)

        assert left(clickhouse, HISTORY, tenant) == ["r-1", "r-2"]


def test_a_missing_table_of_the_registry_is_a_failure(settings: WarehouseSettings) -> None:
    gone, put_back = (f"RENAME TABLE {a} TO {b}" for a, b in ((HISTORY, "mentoring.away"), ("mentoring.away", HISTORY)))
    with (
        replaying(settings) as (clickhouse, _),
        closing(Meanwhile(settings, STATEMENTS["find"].replace(SHADOW, f"{HISTORY}\n"), gone)) as door,
    ):
        try:
            with pytest.raises(ClickHouseError, match="score_history"):
                delete_erased(door, ONE_SERVER, 0)
        finally:
            clickhouse.command(put_back)
