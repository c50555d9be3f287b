"""Records in the database which derived tables are filled, so that every command warns of the others until they are,
whatever crashed in between."""

from collections.abc import Sequence

from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.events import EVENTS
from services.warehouse.domain.scores import HISTORY
from services.warehouse.domain.target import ALERT_LOG, COPIED, DERIVED, SUMMARIZED
from services.warehouse.flow.statements import statement

MONTHS = "SELECT DISTINCT toYYYYMM(occurred_at) AS m FROM mentoring.events ORDER BY m"
_FILLED = "SELECT DISTINCT name FROM mentoring.filled"
# The tables that all others are derived from.
_SOURCES = (EVENTS.name, HISTORY.name, ALERT_LOG.tables[0].name)


def unfilled_tables(clickhouse: ClickHouse) -> Sequence[str]:
    """Return the names of tables that may lack rows from before they were created. In a database without rows all
    tables count as filled from now on. Raises ClickHouseError."""
    filled = {name for (name,) in clickhouse.query(_FILLED)}
    lacking = [table.name for table in (*COPIED, *DERIVED) if table.filled_as not in filled]
    if lacking and not _any_stored(clickhouse):
        # All tables exist, so they receive every row from here on.
        mark_filled(clickhouse)
        return ()
    return lacking


def fill_summaries(clickhouse: ClickHouse) -> None:
    """Fill the tables that summarize events with rows from before they were created, unless that is done: a few seconds
    for 20 million events, month by month, so that no statement outlasts the client's timeout. Idempotent. Raises
    ClickHouseError."""
    filled = {name for (name,) in clickhouse.query(_FILLED)}
    for table in (one for one in SUMMARIZED if one.filled_as not in filled):
        for [month] in clickhouse.query(MONTHS):
            clickhouse.command(statement(table.short), {"month": month})
        clickhouse.insert("mentoring.filled", ["name"], [[table.filled_as]], {"async_insert": 0})


def mark_filled(clickhouse: ClickHouse) -> None:
    """Mark every table of this code as filled. Raises ClickHouseError."""
    rows = [[table.filled_as] for table in (*COPIED, *DERIVED)]
    clickhouse.insert("mentoring.filled", ["name"], rows, {"async_insert": 0})


def _any_stored(clickhouse: ClickHouse) -> bool:
    counts = (f"SELECT count() AS rows FROM {table}" for table in _SOURCES)  # noqa: S608 (names of the registry)
    return clickhouse.query(f"SELECT sum(rows) FROM ({' UNION ALL '.join(counts)})") != [(0,)]  # noqa: S608
