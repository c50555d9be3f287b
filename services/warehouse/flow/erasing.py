"""Deletes the rows of erased relationships physically, and again whenever a replay of the log restores them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseAwayError, ClickHouseError
from services.warehouse.domain.migration import Topology
from services.warehouse.domain.target import TABLES
from services.warehouse.domain.touched import Day, portions
from services.warehouse.flow.statements import statement

# Keys are part of the statement's text, and each statement rewrites table parts: use medium portions.
FORGOTTEN_AT_ONCE = 500
ERASURE_LOG = ("tenant_id", "erased_at", "table_name", "relationships", "rows")
FRESH = "inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')"


@dataclass(frozen=True)
class ErasableTable:
    """A table with rows of relationships: one of the registry, or one that a replay of the scores created. A replay may
    exchange the tables behind a name; the `uuid` stays."""

    name: str
    uuid: UUID
    dated: bool

    @property
    def names(self) -> dict[str, str]:
        """A table without insertion time is scanned completely whenever anything is erased."""
        registered = TABLES.get(self.name)
        kept = registered.kept if registered and registered.kept else "0"
        return {"table": self.name, "kept": kept, "fresh": FRESH if self.dated else "0"}


def delete_erased(clickhouse: ClickHouse, topology: Topology, since: int) -> list[Day]:
    """`since`: rows stored before it are already checked, in microseconds of the server's clock. Returns the programme
    days whose counts change. Idempotent. Raises ClickHouseError."""
    clickhouse.command(statement("erased_now"), {"since": since})
    [(anything,)] = clickhouse.query("SELECT count() > 0 FROM mentoring.erased")
    if not anything:
        return []
    days: list[Any] = []
    scanned, tables = list[ErasableTable](), _erasable_tables(clickhouse)
    # Repeat if a replay created, renamed or exchanged tables meanwhile: one of them may have been skipped.
    while tables != scanned:
        days += _forget_in(clickhouse, topology, tables, since)
        scanned, tables = tables, _erasable_tables(clickhouse)
    return days


def _erasable_tables(clickhouse: ClickHouse) -> list[ErasableTable]:
    found = clickhouse.query(statement("of_relationships"))
    return [ErasableTable(name, uuid, bool(dated)) for name, uuid, dated in found]


def _forget_in(clickhouse: ClickHouse, topology: Topology, tables: list[ErasableTable], since: int) -> list[Any]:
    found = set[tuple[Any, ...]]()
    for table in tables:
        with _ignore_exchanged(clickhouse, table):
            found.update(clickhouse.query(statement("to_forget", table.names), {"since": since}))
    days: list[Any] = []
    for some in portions(sorted(found), FORGOTTEN_AT_ONCE):
        # 1. The days come first: they cannot be found after the deletion.
        days += clickhouse.query(statement("days_to_forget"), {"relationships": list(some)})
        # 2. Count, then delete: after a crash in between, the pass that deletes the remaining rows counts them.
        for table in _deletion_order(tables):
            with _ignore_exchanged(clickhouse, table):
                _forget(clickhouse, topology, table, list(some))
    if found:
        log.get(__name__).info("forgotten", relationships=len(found), days=len(days))
    return days


@contextmanager
def _ignore_exchanged(clickhouse: ClickHouse, table: ErasableTable) -> Iterator[None]:
    """Ignore errors of a table that a replay has exchanged or dropped meanwhile. A missing table of the registry stays
    an error."""
    try:
        yield
    except ClickHouseAwayError:
        raise
    except ClickHouseError as refused:
        there = {one.name: one.uuid for one in _erasable_tables(clickhouse)}.get(table.name)
        if there == table.uuid or (there is None and table.name in TABLES):
            raise
        log.get(__name__).info("table_moved", table=table.name, code=refused.code)


def _deletion_order(tables: list[ErasableTable]) -> Iterator[ErasableTable]:
    """The tables from which the days are found come last."""
    last = ("mentoring.alert_log", "mentoring.score_history", "mentoring.events")
    yield from (table for table in tables if table.name not in last)
    yield from (table for name in last for table in tables if table.name == name)


def _forget(clickhouse: ClickHouse, topology: Topology, table: ErasableTable, some: list[tuple[Any, ...]]) -> None:
    counted = clickhouse.query(statement("erased_rows", table.names), {"relationships": some})
    if not counted:
        return
    clickhouse.command(statement("forget", table.names, topology), {"relationships": some})
    [(now,)] = clickhouse.query("SELECT now64(6, 'UTC')")
    rows = [(tenant, now, table.name, relationships, count) for tenant, relationships, count in counted]
    clickhouse.insert("mentoring.erasure_log", ERASURE_LOG, rows, {"async_insert": 0})
