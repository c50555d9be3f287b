"""Which of the tables that are made from others know all that is stored: written down in the database, so that whoever
asks is told of the others until they were filled, whatever died in between."""

from collections.abc import Sequence

from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.events import EVENTS
from services.warehouse.domain.scores import HISTORY
from services.warehouse.domain.target import ALERT_LOG, COPIED, DERIVED

_FILLED = "SELECT DISTINCT name FROM mentoring.filled"
# Whatever the others are made from.
_SOURCES = (EVENTS.name, HISTORY.name, ALERT_LOG.tables[0].name)


def unfilled(clickhouse: ClickHouse) -> Sequence[str]:
    """Names of tables that perhaps lack what was stored before they were made. Of a database that has stored nothing
    all are filled from now on. Raises ClickHouseError."""
    filled = {name for (name,) in clickhouse.query(_FILLED)}
    lacking = [table.name for table in (*COPIED, *DERIVED) if table.filled_as not in filled]
    if lacking and not _any_stored(clickhouse):
        # What is stored from here on comes into all of them: they are there.
        mark_filled(clickhouse)
        return ()
    return lacking


def mark_filled(clickhouse: ClickHouse) -> None:
    """Every table of this code. Raises ClickHouseError."""
    rows = [[table.filled_as] for table in (*COPIED, *DERIVED)]
    clickhouse.insert("mentoring.filled", ["name"], rows, {"async_insert": 0})


def _any_stored(clickhouse: ClickHouse) -> bool:
    counts = (f"SELECT count() AS rows FROM {table}" for table in _SOURCES)  # noqa: S608 (names of the registry)
    return clickhouse.query(f"SELECT sum(rows) FROM ({' UNION ALL '.join(counts)})") != [(0,)]  # noqa: S608
