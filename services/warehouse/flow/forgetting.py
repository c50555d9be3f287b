"""Rows of erased relationships are deleted for good, and once more whenever a replay of the log brings them back."""

from typing import Any

from services.runtime import log
from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.touched import Day, portions
from services.warehouse.flow.statements import statement

# Keys are part of a statement's text, and each statement rewrites parts of a table: few at a time, yet not one by one.
FORGOTTEN_AT_ONCE = 500
TABLES = ("events", "score_history", "alert_log", "relationship_state")


def forget_erased(clickhouse: ClickHouse, since: int) -> list[Day]:
    """`since`: what was stored before, in microseconds of the server's clock, is known to be in order. Returns the days
    of programmes that count other rows now. Raises ClickHouseError; a repeat is harmless."""
    clickhouse.command(statement("erased_now"), {"since": since})
    erased = clickhouse.query(statement("to_forget"), {"since": since})
    days: list[Any] = []
    for some in portions(erased, FORGOTTEN_AT_ONCE):
        # 1. Asked first: afterwards nobody knows.
        days += clickhouse.query(statement("days_to_forget"), {"relationships": list(some)})
        # 2. What the next look finds them by goes last.
        for table in reversed(TABLES):
            clickhouse.command(statement(f"forget_{table}"), {"relationships": list(some)})
    if erased:
        log.get(__name__).info("forgotten", relationships=len(erased), days=len(days))
    return days
