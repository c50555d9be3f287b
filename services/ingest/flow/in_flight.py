"""What all share who work on records: the time of one, what is under way to the broker and how its failures are told,
what a worker sends again, and what it puts aside because it met an error of ours."""

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
from services.runtime.unexpected import Breaker, error_fields

T = TypeVar("T")

LAST_MS = round((datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds() * 1000) - 1


def time_of(record: Record) -> datetime:
    """Its writer may have put any number there: what is no time of ours counts as now's past, the beginning."""
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) if 0 <= record.timestamp_ms <= LAST_MS else EPOCH


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


# The loop polls again after this; the producer goes on trying meanwhile.
MOST_SECONDS = 20.0

Send = Callable[[], Future[None] | Rejected]
PutAside = Callable[[Rejected], Future[None]]


class _Owed(NamedTuple):
    written: Future[None]
    again: Send
    put_aside: PutAside | None


class PendingWrites:
    """What a worker has sent and is not acknowledged yet. For one thread."""

    def __init__(self) -> None:
        self._owed: list[_Owed] = []
        self._failed: list[_Owed] = []
        self._put_aside: PutAside | None = None

    def of(self, put_aside: PutAside) -> None:
        """What is owed from now on came of the record that this puts aside, should the broker never take it."""
        self._put_aside = put_aside

    def owe(self, written: Future[None], again: Send) -> None:
        """It has been sent; `again` sends the same once more."""
        self._owed.append(_Owed(written, again, self._put_aside))

    def settle(self) -> None:
        """Returns when all is acknowledged. Raises TryLaterError: then the next call sends again what is not."""
        with later_if_away():
            while self._failed:
                self._owed.append(self._failed[0]._replace(written=_sent_again(self._failed[0])))
                del self._failed[0]
        wait([owed.written for owed in self._owed], MOST_SECONDS)
        self._failed = [owed for owed in self._owed if _failure_of(owed.written)]
        self._owed = [owed for owed in self._owed if not owed.written.done()]
        if self._failed or self._owed:
            raise TryLaterError("the broker does not acknowledge")


def _sent_again(owed: _Owed) -> Future[None]:
    """What can never be written is put aside: it would be refused as often as it is sent."""
    failure = _failure_of(owed.written)
    if isinstance(failure, UnwritableRecordError) and owed.put_aside:
        return owed.put_aside(unwritable(failure))
    sent = owed.again()
    if isinstance(sent, Future):
        return sent
    assert owed.put_aside, "only what came of a record can be rejected when it is sent again"
    return owed.put_aside(sent)


def _failure_of(written: Future[None]) -> KafkaError | None:
    """None as well where it is not known yet: then the same record is waited for again."""
    try:
        written.result(0)
    except TimeoutError:
        return None
    except KafkaError as failure:
        return failure
    return None


class UnexpectedFailures:
    """For one thread. A record that is tried again, because the broker was away, counts once."""

    def __init__(self) -> None:
        self._breaker = Breaker()
        self._counted: dict[Partition, int] = {}
        self._log = log.get(__name__)

    def attempt(self, record: Record, work: Callable[[], T], *known: type[Exception]) -> T | Rejected:
        """What `work` returns; Rejected when it meets an error of ours, which is told and counted. `known` errors are
        raised as they are, and count for nothing. Raises BadDeployError."""
        try:
            found = work()
        except known:
            raise
        except Exception as failure:  # noqa: BLE001 (told and counted)
            return self.rejected(record, failure)
        self._breaker.in_a_row = 0
        return found

    def rejected(self, record: Record, failure: Exception) -> Rejected:
        """Raises BadDeployError."""
        found = error_fields(failure)
        self._log.error("record_failed", topic=record.topic, partition=record.partition, offset=record.offset, **found)
        place = Partition(record.topic, record.partition)
        if self._counted.get(place, -1) < record.offset:
            self._counted[place] = record.offset
            self._breaker.refused(f"{found['error']} at {found['raised_at']}")
        return rejected("failed", "", f"met an error of ours: {found['error']}")
