"""The derived tables recomputed as a whole, and the copy of events filled, after the tables below them were replaced or
when there was none; a running sink may go on."""

from collections.abc import Callable
from datetime import UTC, datetime

from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.retention import FOREVER, Retention
from services.warehouse.domain.target import of_scope
from services.warehouse.domain.touched import months, portions
from services.warehouse.flow.derived import KEYS_AT_ONCE
from services.warehouse.flow.filling import mark_filled
from services.warehouse.flow.statements import statement

Progress = Callable[[str], None]


def recompute_everything(clickhouse: ClickHouse, tell: Progress, retention: Retention = FOREVER) -> tuple[int, int]:
    """How many relationships, and how many days of programmes; days whose rows have left stay as they are. Raises
    ClickHouseError; a repeat is harmless."""
    for [month] in clickhouse.query("SELECT DISTINCT toYYYYMM(occurred_at) AS m FROM mentoring.events ORDER BY m"):
        tell(f"events by type, {month}")
        clickhouse.command(statement("events_by_type"), {"month": month})
    relationships = clickhouse.query(statement("all_relationships"))
    for number, some in enumerate(portions(relationships, KEYS_AT_ONCE)):
        tell(f"relationships, {number * KEYS_AT_ONCE} of {len(relationships)} done")
        parameters = {"relationships": list(some), "since": 0, "version": _version(clickhouse)}
        for table in of_scope("relationship"):
            clickhouse.command(statement(table.short), parameters)
    days = retention.whole(clickhouse.query(statement("all_days")), datetime.now(UTC))
    for number, some in enumerate(portions(days, KEYS_AT_ONCE)):
        tell(f"days, {number * KEYS_AT_ONCE} of {len(days)} done")
        parameters = {"days": list(some), "months": months(some), "since": 0, "version": _version(clickhouse)}
        for table in of_scope("day"):
            clickhouse.command(statement(table.short), parameters)
    # Last, so that it is told again after a crash before it.
    mark_filled(clickhouse)
    return len(relationships), len(days)


def _version(clickhouse: ClickHouse) -> int:
    """Now, before the rows are read: whatever is stored later is recomputed by the sink, at a later version."""
    [(now, upto)] = clickhouse.query(statement("progress"))
    return int(max(now, upto + 1))
