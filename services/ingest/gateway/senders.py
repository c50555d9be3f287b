"""What each who has proven who they are may have in work at once, and how fast: over all routes."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.ingest.domain.rate_limit import RateLimiter, items_of
from services.ingest.flow.intake import Turns
from services.ingest.gateway.body import InFlightBytes
from services.ingest.gateway.request_errors import ProblemError

RETRY_AFTER_SECONDS = 1


class Senders:
    """For one event loop. A sender is a token or a connection to a tool."""

    def __init__(self, pace: RateLimiter, most_requests: int, bodies: InFlightBytes, turns: Turns) -> None:
        self._pace, self._most, self._bodies, self._turns = pace, most_requests, bodies, turns
        self._in_work: Counter[str] = Counter()

    @contextmanager
    def entered(self, sender: str) -> Iterator["Entered"]:
        """While a request of theirs is in work. Raises ProblemError 429: they have too many of them, or were too
        fast."""
        if self._in_work[sender] >= self._most:
            raise _too_many(f"{self._most} requests of this sender are in work", RETRY_AFTER_SECONDS)
        if seconds := self._pace.take(sender, 1, time.monotonic()):
            raise _too_many("more than this sender may hand in", seconds)
        self._in_work[sender] += 1
        try:
            with self._turns.present(sender), self._bodies.held(sender) as held:
                yield Entered(sender, self._pace, held)
        finally:
            self._in_work[sender] -= 1
            if not self._in_work[sender]:
                del self._in_work[sender]


@dataclass
class Entered:
    """One request in work. It has paid for one thing already."""

    sender: str
    pace: RateLimiter
    held: "InFlightBytes.HeldBytes"
    paid: int = 1

    def pay_bytes(self, size: int) -> None:
        """Before they are looked at: nonsense costs as much as sense."""
        self.pay_items(items_of(size))

    def pay_items(self, count: int) -> None:
        """What is not paid yet of so many things, good or bad."""
        if count > self.paid:
            self.pace.charge(self.sender, count - self.paid, time.monotonic())
            self.paid = count


def _too_many(words: str, seconds: int) -> ProblemError:
    return ProblemError(
        429, "too_many", f"{words}; send the same again in {seconds} s", headers={"Retry-After": str(seconds)}
    )
