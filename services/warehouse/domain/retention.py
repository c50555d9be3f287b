"""Retention of rows: the TTL of each table, and how far back rows are recomputed and compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.warehouse.domain.migration import Topology
from services.warehouse.domain.tables import Kind, WarehouseTable
from services.warehouse.domain.touched import Day

_TTL = re.compile(r" TTL (.+?)(?: SETTINGS |$)")


@dataclass(frozen=True)
class Retention:
    """Days by kind of table, by event time and wall clock; 0 means for ever."""

    events: int = 0
    scores: int = 0
    alerts: int = 0

    def days_of(self, kind: Kind | None) -> int:
        return {"events": self.events, "scores": self.scores, "alerts": self.alerts}[kind] if kind else 0

    def since(self, table: WarehouseTable, now: datetime) -> datetime | None:
        """Return the time since which all rows of a table are present; None means from the beginning. It is one day
        later than the TTL, because rows expire at any time."""
        days = self.days_of(table.kind)
        return _midnight(now) - timedelta(days=days - 1) if days else None

    def complete_days(self, days: Sequence[Day], now: datetime) -> Sequence[Day]:
        """Return the days whose source rows are all present; the counts of other days stay as they are."""
        shortest = min(filter(None, (self.events, self.scores, self.alerts)), default=0)
        first = (_midnight(now) - timedelta(days=shortest - 1)).date()
        return [one for one in days if one[2] >= first] if shortest else days


FOREVER = Retention()


def ttl(table: WarehouseTable, retention: Retention) -> str:
    """Return the TTL expression as the engine formats it; empty without retention."""
    days = retention.days_of(table.kind)
    rows = f" WHERE {table.leaving}" if table.leaving else ""
    return f"toDateTime({table.time}) + toIntervalDay({days}){rows}" if days else ""


def ttl_of(engine_full: str) -> str:
    """Extract the TTL from the engine's description of a table."""
    found = _TTL.search(engine_full)
    return found[1] if found else ""


def alter_ttl(table: WarehouseTable, wanted: str, topology: Topology) -> str:
    on = topology.fill("{on_cluster}")
    change = f"MODIFY TTL {wanted.replace(' WHERE ', ' DELETE WHERE ')}" if wanted else "REMOVE TTL"
    return f"ALTER TABLE {table.name} {on} {change}"


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
