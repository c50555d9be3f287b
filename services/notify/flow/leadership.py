"""Leader election: the instance that owns the partition of a topic, as a member of a consumer group, works. The others
stand by; the one that has waited longest takes over within the session timeout."""

import socket
import threading
from datetime import UTC, datetime
from typing import Self

from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import Reader
from services.runtime.progress import LoopWatch
from services.runtime.settings import Settings

POLL_SECONDS = 0.2
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
        while not stop.is_set():
            if self._leads.wait(POLL_SECONDS):
                log.get(__name__).info("leading")
                return True
            if self._failure is not None:
                raise self._failure
        return False

    def check(self) -> None:
        """Raise LeadershipLostError when another instance leads, or what ended the membership."""
        if self._failure is not None:
            raise self._failure
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
                while not self._ends.is_set():
                    reader.poll(POLL_SECONDS)
                    note_turn()
                    if reader.assignment():
                        self._leads.set()
                    else:
                        self._leads.clear()
        except Exception as failure:  # noqa: BLE001 (raised on the thread that asks)
            self._failure = failure
        finally:
            self._leads.clear()
            reader.close()
