"""What was decided and is not yet acknowledged. The next decision already relies on it; hence after a failure the same
is sent again, for deciding anew would find it done."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import NamedTuple

from services.ingest.domain.verdict import Rejected
from services.ingest.flow.dead_letters import unwritable
from services.runtime.kafka import KafkaError, UnwritableRecordError
from services.runtime.loop import TryLaterError

# The loop polls again after this; the producer goes on trying meanwhile.
MOST_SECONDS = 20.0

Send = Callable[[], Future[None] | Rejected]
PutAside = Callable[[Rejected], Future[None]]


class _Owed(NamedTuple):
    written: Future[None]
    again: Send
    put_aside: PutAside | None


class PendingWrites:
    """For one thread."""

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
        try:
            while self._failed:
                self._owed.append(self._failed[0]._replace(written=_sent_again(self._failed[0])))
                del self._failed[0]
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
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
