"""What is under way to the broker: a future for one record or for several parts, and how their failures are told."""

import threading
from collections.abc import Iterable
from concurrent.futures import Future

from services.ingest.domain.verdict import Problem, Rejected, rejected
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
        if not last:
            return
        failure = next((error for part in waited if (error := part.exception())), None)
        if failure is None:
            whole.set_result(None)
        else:
            whole.set_exception(failure)

    for part in waited:
        part.add_done_callback(one_done)
    one_done(None)  # stands for the loop itself: without it no part at all would never end
    return whole


class UnavailableError(Exception):
    """Nothing was promised: the same may be sent again."""

    @property
    def problem(self) -> Problem:
        """As it stands beside what became of others of the same request."""
        return Problem("", f"{self}; send the same again later")


class RefusedError(Exception):
    """One record of the request can never be written; the others may be. To send the same again is of no use."""

    def __init__(self, refused: Rejected) -> None:
        super().__init__(refused.errors[0].reason)
        self.rejected = refused


def unwritten(failure: KafkaError, verb: str) -> UnavailableError | RefusedError:
    """What a request hears that the broker does not `verb`."""
    if isinstance(failure, UnwritableRecordError):
        return RefusedError(unwritable(failure))
    return UnavailableError(f"the broker does not {verb}: {failure}")


def unwritable(failure: UnwritableRecordError) -> Rejected:
    """What becomes of something whose record can never be written."""
    return rejected("too_large" if isinstance(failure, RecordTooLargeError) else "refused", "", str(failure))
