"""Records in flight to the broker: acknowledgements, the errors of writing, a worker's pending writes, and records
that failed unexpectedly."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from schemas.primitives import EPOCH, LAST_YEAR
from services.ingest.domain.verdict import Problem, Rejected, rejected
from services.runtime import log
from services.runtime.kafka import KafkaError, Partition, Record, RecordTooLargeError, Sent, UnwritableRecordError
from services.runtime.loop import TryLaterError, later_if_away
from services.runtime.progress import note_progress
from services.runtime.unexpected import Breaker, error_fields

Result = TypeVar("Result")

LAST_MS = round((datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds() * 1000) - 1


def record_time(record: Record) -> datetime:
    """The record's timestamp. Its writer may have set any number: one out of range counts as EPOCH, which is past."""
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) if 0 <= record.timestamp_ms <= LAST_MS else EPOCH


def acknowledgement(sent: Sent) -> Future[None]:
    """Completes, on the producer's thread, when the record is on the log; fails with KafkaError if it is not."""
    written: Future[None] = Future()
    written.set_running_or_notify_cancel()  # a waiter that gives up cannot cancel it
    sent.add_callback(lambda _: written.set_result(None))
    sent.add_errback(written.set_exception)
    return written


def when_all_complete(parts: Iterable[Future[None]]) -> Future[None]:
    """Completes when every part has; fails with the first failure in their order."""
    waited = list(dict.fromkeys(parts))
    if len(waited) == 1:
        return waited[0]
    combined: Future[None] = Future()
    combined.set_running_or_notify_cancel()
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
            combined.set_result(None)
        else:
            combined.set_exception(failure)

    for part in waited:
        part.add_done_callback(one_done)
    one_done(None)  # counts the loop itself: without it, an empty list would never complete
    return combined


class UnavailableError(Exception):
    """Nothing was promised: the same request may be sent again."""

    @property
    def problem(self) -> Problem:
        """For the entry of one item beside those of others of the same request."""
        return Problem("", f"{self}; send the same again later")


class RefusedError(Exception):
    """One record of the request can never be written; the others may be. Sending it again is of no use."""

    def __init__(self, refused: Rejected) -> None:
        super().__init__(refused.errors[0].reason)
        self.rejected = refused


def write_error(failure: KafkaError, verb: str) -> UnavailableError | RefusedError:
    """The error of a request whose records the broker does not `verb`, such as acknowledge."""
    if isinstance(failure, UnwritableRecordError):
        return RefusedError(rejection_of(failure))
    return UnavailableError(f"the broker does not {verb}: {failure}")


def rejection_of(failure: UnwritableRecordError) -> Rejected:
    """The verdict on something whose record can never be written."""
    return rejected("too_large" if isinstance(failure, RecordTooLargeError) else "refused", "", str(failure))


# The loop polls again after this; the producer goes on trying meanwhile.
MAX_SECONDS = 20.0

Send = Callable[[], Future[None] | Rejected]
Quarantine = Callable[[Rejected], Future[None]]


class _PendingWrite(NamedTuple):
    written: Future[None]
    resend: Send
    quarantine: Quarantine | None


class PendingWrites:
    """The records that a worker has sent and that are not acknowledged yet. For one thread."""

    def __init__(self) -> None:
        self._pending: list[_PendingWrite] = []
        self._failed: list[_PendingWrite] = []
        self._quarantine: Quarantine | None = None

    def set_origin(self, quarantine: Quarantine) -> None:
        """Writes added from now on derive from the record that `quarantine` quarantines if the broker refuses them."""
        self._quarantine = quarantine

    def add(self, written: Future[None], resend: Send) -> None:
        """Adds a record that has been sent. `resend` sends the same once more."""
        self._pending.append(_PendingWrite(written, resend, self._quarantine))

    def settle(self) -> None:
        """Returns when all are acknowledged. Raises TryLaterError: then the next call resends those that failed."""
        with later_if_away():
            while self._failed:
                self._pending.append(self._failed[0]._replace(written=_resend(self._failed[0])))
                del self._failed[0]
        wait([one.written for one in self._pending], MAX_SECONDS)
        self._failed = [one for one in self._pending if _failure_of(one.written)]
        self._pending = [one for one in self._pending if not one.written.done()]
        if self._failed or self._pending:
            raise TryLaterError("the broker does not acknowledge")


def _resend(pending: _PendingWrite) -> Future[None]:
    """Quarantines what can never be written: it would be refused as often as it is sent."""
    failure = _failure_of(pending.written)
    if isinstance(failure, UnwritableRecordError) and pending.quarantine:
        return pending.quarantine(rejection_of(failure))
    sent = pending.resend()
    if isinstance(sent, Future):
        return sent
    assert pending.quarantine, "only a write with an origin can be rejected when it is sent again"
    return pending.quarantine(sent)


def _failure_of(written: Future[None]) -> KafkaError | None:
    """None also while the outcome is not known: then the same record is waited for again."""
    try:
        written.result(0)
    except TimeoutError:
        return None
    except KafkaError as failure:
        return failure
    return None


class UnexpectedFailures:
    """For one thread. A record that is retried, because the broker was away, counts once."""

    def __init__(self) -> None:
        self._breaker = Breaker()
        self._counted: dict[Partition, int] = {}
        self._log = log.get(__name__)

    def attempt(self, record: Record, work: Callable[[], Result], *expected: type[Exception]) -> Result | Rejected:
        """Returns what `work` returns, or Rejected when it meets an error of ours, which is logged and counted.
        `expected` errors are raised as they are and not counted. Raises BadDeployError."""
        try:
            found = work()
        except expected:
            raise
        except Exception as failure:  # noqa: BLE001 (logged and counted)
            return self.rejected(record, failure)
        self._breaker.in_a_row = 0
        note_progress()
        return found

    def rejected(self, record: Record, failure: Exception) -> Rejected:
        """Raises BadDeployError."""
        found = error_fields(failure)
        self._log.error("record_failed", topic=record.topic, partition=record.partition, offset=record.offset, **found)
        partition = Partition(record.topic, record.partition)
        if self._counted.get(partition, -1) < record.offset:
            self._counted[partition] = record.offset
            self._breaker.refused(f"{found['error']} at {found['raised_at']}")
        return rejected("failed", "", f"met an error of ours: {found['error']}")
