"""Runs the recomputation of derived tables on a thread: one that takes minutes delays no batch, and the service stays
in its consumer group."""

import threading
from types import TracebackType
from typing import Self

from services.runtime.clickhouse import ClickHouseAwayError
from services.runtime.partition_buffer import Backoff
from services.warehouse.flow.derived import DerivedTables

# A stop does not wait longer for a running statement; the next start repeats unfinished work.
LEAVE_SECONDS = 1.0
SCAN_SECONDS = 0.1


class RecomputeThread:
    """A context manager that runs the thread. Only this thread uses `derived`."""

    def __init__(self, derived: DerivedTables) -> None:
        self._derived = derived
        self._stop, self._owned, self._fresh = threading.Event(), threading.Event(), threading.Event()
        self._away = ""
        self._failure: Exception | None = None
        # A daemon thread: the process can end while a statement is running.
        self._thread = threading.Thread(target=self._run, name="recomputing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(LEAVE_SECONDS)

    def stored(self) -> None:
        """Rows were stored: recompute soon."""
        self._fresh.set()

    def supervise(self, *, owned: bool) -> str:
        """Called by the loop once per round. `owned`: whether this instance recomputes for now. Returns why it
        currently cannot, and raises the failure that ended the thread."""
        if self._failure is not None:
            raise self._failure
        if owned:
            self._owned.set()
        else:
            self._owned.clear()
        return self._away

    def _run(self) -> None:
        backoff, owned = Backoff(), False
        try:
            while not self._stop.wait(SCAN_SECONDS):
                if self._fresh.is_set():
                    self._fresh.clear()
                    self._derived.stored()
                if owned and not self._owned.is_set():
                    self._derived.pause()
                owned = self._owned.is_set()
                if owned and backoff.ready():
                    backoff = self._recompute(backoff)
        except Exception as failure:  # noqa: BLE001 (raised again in the loop, which ends the service)
            self._failure = failure

    def _recompute(self, backoff: Backoff) -> Backoff:
        try:
            self._derived.recompute_if_due()
        except ClickHouseAwayError as away:
            self._away = f"ClickHouse is away: {away}"
            backoff.record_failure()
            return backoff
        self._away = ""
        return Backoff()
