"""What was decided and is not yet acknowledged. The next decision already relies on it; hence after a failure the same
is sent again, for deciding anew would find it done."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import NamedTuple

from services.runtime.kafka import KafkaError
from services.runtime.loop import TryLaterError

# The loop polls again after this; the producer goes on trying meanwhile.
MOST_SECONDS = 20.0

Send = Callable[[], Future[None]]


class _Owed(NamedTuple):
    written: Future[None]
    again: Send


class Outbox:
    """For one thread."""

    def __init__(self) -> None:
        self._owed: list[_Owed] = []
        self._failed: list[Send] = []

    def owe(self, written: Future[None], again: Send) -> None:
        """It has been sent; `again` sends the same once more."""
        self._owed.append(_Owed(written, again))

    def settle(self) -> None:
        """Returns when all is acknowledged. Raises TryLaterError: then the next call sends again what is not."""
        try:
            while self._failed:
                self.owe(self._failed[0](), self._failed[0])
                del self._failed[0]
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
        wait([owed.written for owed in self._owed], MOST_SECONDS)
        self._failed = [owed.again for owed in self._owed if _has_failed(owed.written)]
        self._owed = [owed for owed in self._owed if not owed.written.done()]
        if self._failed or self._owed:
            raise TryLaterError("the broker does not acknowledge")


def _has_failed(written: Future[None]) -> bool:
    """False as well where it is not known yet: then the same record is waited for again."""
    try:
        written.result(0)
    except TimeoutError:
        return False
    except KafkaError:
        return True
    return False
