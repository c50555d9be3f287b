"""Leader election: the instance that owns the partition of a topic, as a member of a consumer group, works. The others
stand by; the one that has waited longest takes over within the session timeout."""

import socket
import threading
import time
from datetime import UTC, datetime
from typing import Self

from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import Reader
from services.runtime.progress import LoopWatch
from services.runtime.settings import Settings

POLL_SECONDS = 0.2
SESSION_SECONDS = 10.0
"""Of a reader in its group: after so long without a sign of life others may take over."""
LEAVE_SECONDS = 5.0
"""To leave the group at a stop. Without it the next instance waits for our session to time out."""


class LeadershipLostError(Exception):
    """Another instance leads now, or will at once: nothing may be written any more."""


class Leadership:
    """A context manager. Its own thread keeps the membership, however long a round takes: a leader that decides or
    restores for a while is not dead. Where that is mistaken, the transactional id of the successor fences it."""

    def __init__(self, settings: Settings, topics: NotifyTopics, loops: LoopWatch) -> None:
        self._settings, self._topics, self._loops = settings, topics, loops
        self._leads, self._ends = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._lapsed: str | None = None
        """Why the membership may have been another's meanwhile, until the next term."""
        self._thread = threading.Thread(target=self._keep_membership, name="leadership", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(LEAVE_SECONDS)

    def wait(self, stop: threading.Event, health: Health) -> bool:
        """Return True as soon as this instance leads, False when `stop` is set before. Raises what ended the
        membership."""
        health.report("ready", "standing by")
        log.get(__name__).info("standing_by")
        self._lapsed = None
        while not stop.is_set():
            if self._leads.wait(POLL_SECONDS):
                log.get(__name__).info("leading")
                return True
            if self._failure is not None:
                raise self._failure
        return False

    def check(self) -> None:
        """Raise LeadershipLostError when another instance leads, or may have led."""
        if self._failure is not None:
            failed = f"the membership has ended: {type(self._failure).__name__}: {self._failure}"
            raise LeadershipLostError(failed) from self._failure
        if self._lapsed is not None:
            raise LeadershipLostError(self._lapsed)
        if not self._leads.is_set():
            raise LeadershipLostError("another instance leads now")

    def _keep_membership(self) -> None:
        try:
            # Nothing is ever written to this topic. The group assigns the free partition to the member whose client id
            # sorts first: the one that has stood by longest, never one that has just restarted after its own death.
            reader = Reader(
                self._settings,
                f"{self._topics.identity}-leader",
                client_id=f"since-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{socket.gethostname()}",
            )
        except Exception as failure:  # noqa: BLE001 (raised on the thread that asks)
            self._failure = failure
            return
        try:
            reader.subscribe([self._topics.leader])
            with self._loops.loop("leadership") as note_turn:
                polled_at = time.monotonic()
                while not self._ends.is_set():
                    reader.poll(POLL_SECONDS)
                    note_turn()
                    polled_at, stood_still = time.monotonic(), time.monotonic() - polled_at
                    if stood_still > SESSION_SECONDS:
                        # A frozen process may get the partition back before it notices that it was lost.
                        self._lapsed = f"it stood still for {stood_still:.0f} s, longer than its session"
                    if reader.assignment():
                        self._leads.set()
                    else:
                        self._leads.clear()
        except Exception as failure:  # noqa: BLE001 (raised on the thread that asks)
            self._failure = failure
        finally:
            self._leads.clear()
            reader.close()
