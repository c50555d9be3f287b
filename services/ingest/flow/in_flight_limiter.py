"""Back-pressure: how much may wait for the broker at once, and how long it is waited for."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from services.ingest.domain.verdict import Rejected
from services.ingest.flow.dead_letters import unwritable
from services.runtime.kafka import KafkaError, UnwritableRecordError

# A stop ends a wait for the broker within this; the process has 2 s in all.
STOP_NOTICED_SECONDS = 0.5


class UnavailableError(Exception):
    """Nothing was promised: the same request may be sent again."""


class RefusedError(Exception):
    """One record of the request can never be written; the others may be. To send the same again is of no use."""

    def __init__(self, refused: Rejected) -> None:
        super().__init__(refused.errors[0].reason)
        self.rejected = refused


class InFlightLimiter:
    """`limit` bounds the bytes that wait for the broker. A request waits for `patience` seconds, or until `stop` is
    set. What it has sent may come onto the log after that: it keeps its place until it does, and whoever sends the
    same again waits for the same record, so that it is written once."""

    def __init__(self, limit: int, patience: float, stop: threading.Event) -> None:
        self._limit, self._patience, self._stop = limit, patience, stop
        self._lock = threading.Lock()
        self.outstanding = 0

    async def written(self, size: int, send: Callable[[], Awaitable[Future[None]]]) -> None:
        """Sends a request of `size` bytes, and returns when all of it is on the log. Raises UnavailableError when the
        broker is away or too much waits for it already, and RefusedError."""
        self._enter(size)
        try:
            sent = await send()
        except KafkaError as away:
            self._leave(size)
            raise _unwritten(away, "answer") from away
        except BaseException:
            # Whatever it was: nothing is under way, and what is not counted off is lost for good.
            self._leave(size)
            raise
        sent.add_done_callback(lambda _: self._leave(size))
        try:
            await self._settled(sent)
        except KafkaError as away:
            raise _unwritten(away, "acknowledge") from away

    async def _settled(self, sent: Future[None]) -> None:
        waited, until = asyncio.wrap_future(sent), time.monotonic() + self._patience
        while not (await asyncio.wait([waited], timeout=STOP_NOTICED_SECONDS))[0]:
            if self._stop.is_set() or time.monotonic() >= until:
                waited.cancel()
                raise UnavailableError(
                    "the gateway stops" if self._stop.is_set() else "the broker does not acknowledge"
                )
        waited.result()

    def _enter(self, size: int) -> None:
        with self._lock:
            if self.outstanding + size > self._limit:
                raise UnavailableError("too many events wait for the broker")
            self.outstanding += size

    def _leave(self, size: int) -> None:
        with self._lock:
            self.outstanding -= size


def _unwritten(failure: KafkaError, verb: str) -> UnavailableError | RefusedError:
    if isinstance(failure, UnwritableRecordError):
        return RefusedError(unwritable(failure))
    return UnavailableError(f"the broker does not {verb}: {failure}")
