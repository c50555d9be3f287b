"""Keeps the derived tables up to date with stored rows, as their only writer.

The touched keys are queried from the tables themselves, by insertion time: a crash loses none, and several instances of
the service may store rows while one of them recomputes."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.runtime import log
from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.migration import ONE_SERVER, Topology
from services.warehouse.domain.retention import FOREVER, Retention
from services.warehouse.domain.tables import FILL
from services.warehouse.domain.target import tables_of
from services.warehouse.domain.touched import months, portions
from services.warehouse.flow.erasing import delete_erased
from services.warehouse.flow.filling import unfilled_tables
from services.warehouse.flow.statements import statement

# Overlap of two scans. Our own insert has returned before the next scan, so its inserted_at is later than the last one;
# a few seconds of overlap cost little.
NARROW_MICROS = 5_000_000
# An insert of another instance, or of our own before a crash, may become visible up to its client's timeout (60 s)
# after its inserted_at. The first scan, and one per minute, therefore covers a longer time.
WIDE_MICROS = 180_000_000
WIDE_EVERY_SECONDS = 60.0
# An insert that was older than this when its keys were recomputed is not scanned again. Younger ones are scanned once
# more: `rapport warehouse recompute` may have read before them and written with a later version.
SETTLED_MICROS = 10_000_000
# Keys are part of the statement's text; this many keep it below 256 KiB, ClickHouse's default limit.
KEYS_AT_ONCE = 500


class DerivedTables:
    """Stops between statements once `stop` is set; the next start completes the work."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        every_seconds: float,
        stop: threading.Event,
        topology: Topology = ONE_SERVER,
        retention: Retention = FOREVER,
    ) -> None:
        self._clickhouse, self._every_seconds, self._stop = clickhouse, every_seconds, stop
        self._topology, self._retention = topology, retention
        self._stale = False
        self._lacking: Sequence[str] = ()
        self._scanned_at = self._wide_scan_at = -WIDE_EVERY_SECONDS
        # Rows of `stored.sql`: inserts whose keys are all recomputed.
        self._settled = set[tuple[str, int, int, int]]()
        self._log = log.get(__name__)

    def stored(self) -> None:
        """Rows were stored: recompute soon."""
        self._stale = True

    def pause(self) -> None:
        """Another instance recomputes for now; when this one resumes, its first scan is a wide one."""
        self._wide_scan_at = -WIDE_EVERY_SECONDS

    def recompute_if_due(self) -> None:
        """Idempotent. Raises ClickHouseError."""
        now = time.monotonic()
        wide = now - self._wide_scan_at >= WIDE_EVERY_SECONDS
        if wide or (self._stale and now - self._scanned_at >= self._every_seconds):
            if wide:
                self._warn_of_unfilled()
            self._recompute(WIDE_MICROS if wide else NARROW_MICROS)
            self._stale, self._scanned_at = False, time.monotonic()
            self._wide_scan_at = self._scanned_at if wide else self._wide_scan_at

    def _warn_of_unfilled(self) -> None:
        """Log the unfilled tables once, and again when they change: scans do not cover rows from before a table was
        created."""
        lacking = unfilled_tables(self._clickhouse)
        if lacking and lacking != self._lacking:
            self._log.warning("tables_to_fill", tables=lacking, hint=FILL)
        self._lacking = lacking

    def _recompute(self, back: int) -> None:
        began = time.monotonic()
        # Version and since are server time, like inserted_at.
        [(now, upto)] = self._ask("progress")
        version, since = max(now, upto + 1), max(0, upto - back)
        # First, so that nothing of an erased relationship is counted.
        forgotten = delete_erased(self._clickhouse, self._topology, since)
        # Before any rows are read: inserts that become visible later are new to the next scan.
        stored = {(name, partition, at, rows) for name, partition, at, rows in self._ask("stored", since=since)}
        # From the first insert that still has keys to recompute; without one, from now on.
        since = min((at for _, _, at, _ in stored - self._settled), default=version)
        relationships, days = self._ask("touched_relationships", since=since), self._ask("touched_days", since=since)
        touched = self._retention.complete_days(list({*days, *forgotten}), datetime.now(UTC))
        days = sorted(touched, key=lambda day: (day[2], day))
        for some in portions(relationships, KEYS_AT_ONCE):
            for table in tables_of("relationship"):
                self._run(table.short, relationships=list(some), since=since, version=version)
        for some in portions(days, KEYS_AT_ONCE):
            for table in tables_of("day"):
                self._run(table.short, days=list(some), months=months(some), since=since, version=version)
        if self._stop.is_set():
            return
        # Last, so that a crash or a stop before it repeats all of this.
        self._clickhouse.insert("mentoring.recomputed", ["name", "upto"], [["derived", version]], {"async_insert": 0})
        first, last = upto - WIDE_MICROS, now - SETTLED_MICROS
        self._settled = {insert for insert in self._settled | stored if first <= insert[2] < last}
        if relationships or days:
            seconds = round(time.monotonic() - began, 3)
            self._log.info("recomputed", relationships=len(relationships), days=len(days), seconds=seconds)

    def _ask(self, name: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self._clickhouse.query(statement(name), parameters)

    def _run(self, name: str, **parameters: object) -> None:
        if not self._stop.is_set():
            self._clickhouse.command(statement(name), parameters)
