"""Which instance works: the one that owns the partition of a topic, as a member of a consumer group. The others wait
ready; the one that has waited for longest takes over within the session timeout."""

import socket
import threading
from datetime import UTC, datetime
from typing import Self

from services.notify.names import Names
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import Reader
from services.runtime.settings import Settings

POLL_SECONDS = 0.2
LEAVE_SECONDS = 5.0
"""To say goodbye at a stop. Without it the next instance waits for the end of our session."""


class LeadershipLostError(Exception):
    """Another instance works now, or will at once: nothing may be written any more."""


class Leadership:
    """Used as a context. A thread of its own keeps the membership, however long a round takes: a leader that decides or
    restores for a while is no dead one. Where it is mistaken, the transactional id of the successor fences it."""

    def __init__(self, settings: Settings, names: Names) -> None:
        self._settings, self._names = settings, names
        self._leads, self._ends = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._keep, name="leadership", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(LEAVE_SECONDS)

    def wait(self, stop: threading.Event, health: Health) -> bool:
        """Returns True as soon as this instance leads, False when `stop` is set before. Raises what made it impossible
        to be a member."""
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
        """Raises LeadershipLostError, and what made it impossible to be a member."""
        if self._failure is not None:
            raise self._failure
        if not self._leads.is_set():
            raise LeadershipLostError("another instance leads now")

    def _keep(self) -> None:
        try:
            # Nothing is ever written there. The group gives a free partition to the member whose name sorts first: to
            # the one that has stood by for longest, and never to one that has just come back from its own death.
            reader = Reader(
                self._settings,
                f"{self._names.identity}-leader",
                client_id=f"since-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{socket.gethostname()}",
            )
        except Exception as failure:  # noqa: BLE001 (raised on the thread that asks)
            self._failure = failure
            return
        try:
            reader.subscribe([self._names.leader])
            while not self._ends.is_set():
                reader.poll(POLL_SECONDS)
                if reader.assignment():
                    self._leads.set()
                else:
                    self._leads.clear()
        except Exception as failure:  # noqa: BLE001 (raised on the thread that asks)
            self._failure = failure
        finally:
            self._leads.clear()
            reader.close()
