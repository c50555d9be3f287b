"""What is under way to the broker: a future for one record or for many, how much may wait at once, and for how long."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future

from services.ingest.domain.verdict import Rejected, rejected
from services.runtime.kafka import KafkaError, RecordTooLargeError, Sent, UnwritableRecordError


def acknowledged(sent: Sent) -> Future[None]:
    """Completes, on the sender's thread, when the record is on the log; fails with KafkaError if it is not."""
    written: Future[None] = Future()
    written.set_running_or_notify_cancel()  # a waiter that gives up cannot cancel it under our hands
    sent.add_callback(lambda _: written.set_result(None))
    sent.add_errback(written.set_exception)
    return written


def all_of(parts: Iterable[Future[None]]) -> Future[None]:
    """Completes when every part has; fails with the first failure in their order."""
    waited = list(dict.fromkeys(parts))
    if len(waited) == 1:
        return waited[0]
    whole: Future[None] = Future()
    whole.set_running_or_notify_cancel()
    left, lock = len(waited) + 1, threading.Lock()

    def one_done(_: Future[None] | None) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            _finish(whole, waited)

    for part in waited:
        part.add_done_callback(one_done)
    one_done(None)  # stands for the loop itself: without it no part at all would never end
    return whole


def _finish(whole: Future[None], parts: list[Future[None]]) -> None:
    failure = next((error for part in parts if (error := part.exception())), None)
    if failure is None:
        whole.set_result(None)
    else:
        whole.set_exception(failure)


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


def unwritable(failure: UnwritableRecordError) -> Rejected:
    """What becomes of something whose record can never be written."""
    return rejected("too_large" if isinstance(failure, RecordTooLargeError) else "refused", "", str(failure))
