"""Recomputes all derived tables and fills the copy of events, after their source tables were replaced or when nothing
was derived yet. A running sink may continue."""

from collections.abc import Callable
from datetime import UTC, datetime

from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.retention import FOREVER, Retention
from services.warehouse.domain.target import tables_of
from services.warehouse.domain.touched import months, portions
from services.warehouse.flow.derived import KEYS_AT_ONCE
from services.warehouse.flow.filling import MONTHS, mark_filled
from services.warehouse.flow.statements import statement

Progress = Callable[[str], None]


def recompute_all(clickhouse: ClickHouse, report: Progress, retention: Retention = FOREVER) -> tuple[int, int]:
    """Return the number of relationships and of programme days; days whose rows have expired are not recomputed.
    Idempotent. Raises ClickHouseError."""
    for [month] in clickhouse.query(MONTHS):
        report(f"copies of events, {month}")
        for copy in ("events_by_type", "recorded_monthly"):
            clickhouse.command(statement(copy), {"month": month})
    relationships = clickhouse.query(statement("all_relationships"))
    for number, some in enumerate(portions(relationships, KEYS_AT_ONCE)):
        report(f"relationships, {number * KEYS_AT_ONCE} of {len(relationships)} done")
        parameters = {"relationships": list(some), "since": 0, "version": _version(clickhouse)}
        for table in tables_of("relationship"):
            clickhouse.command(statement(table.short), parameters)
    days = retention.complete_days(clickhouse.query(statement("all_days")), datetime.now(UTC))
    for number, some in enumerate(portions(days, KEYS_AT_ONCE)):
        report(f"days, {number * KEYS_AT_ONCE} of {len(days)} done")
        parameters = {"days": list(some), "months": months(some), "since": 0, "version": _version(clickhouse)}
        for table in tables_of("day"):
            clickhouse.command(statement(table.short), parameters)
    # Last, so that a crash before it repeats the warning.
    mark_filled(clickhouse)
    return len(relationships), len(days)


def _version(clickhouse: ClickHouse) -> int:
    """The time before the rows are read: rows stored later are recomputed by the sink with a greater version."""
    [(now, upto)] = clickhouse.query(statement("progress"))
    return int(max(now, upto + 1))
