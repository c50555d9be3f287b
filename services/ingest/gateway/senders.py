"""What each who has proven who they are may have in work at once, and how fast: over all routes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from services.ingest.domain.scope import RateLimiter, items_of
from services.ingest.flow.intake import BodyReading, Turns
from services.ingest.gateway.requests import QUICKLY_READ_BYTES, InFlightBytes, RequestErrors
from services.runtime.http.problems import ProblemError

RETRY_AFTER_SECONDS = 1
# As many as a mebibyte holds of the smallest that mean something.
MOST_ITEMS = 10_000
# How many senders may have a large body in work. What is read of it is many objects, each of which Python's collector
# looks at while it stops all senders.
LARGE_AT_ONCE = 4
# One thing is read and judged in one piece, during which no other thread runs: a huge one costs others most and, if it
# is refused, its sender least. So many bytes of a refused thing are looked at in a second; how long its sender waits at
# most with the next large body, and how long a request waits for the one before.
HUGE_BYTES_PER_SECOND, LONGEST_REST_SECONDS, LONGEST_WAIT_SECONDS = 32 * 2**10, 10.0, 30
# Of an answer, for each thing in it.
ANSWERED_BYTES = 100

Result = TypeVar("Result")


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
            raise too_many(f"{self._most} requests of this sender are in work", RETRY_AFTER_SECONDS)
        if seconds := self._pace.take(sender, 1, time.monotonic()):
            raise too_many("more than this sender may hand in", seconds)
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
    held: "InFlightBytes.RequestBytes"
    paid: int = 1

    def pay_bytes(self, size: int) -> None:
        """Before they are looked at: nonsense costs as much as sense."""
        self.pay_items(items_of(size))

    def pay_items(self, count: int) -> None:
        """What is not paid yet of so many things, good or bad."""
        if count > self.paid:
            self.pace.charge(self.sender, count - self.paid, time.monotonic())
            self.paid = count


@dataclass
class BodyWork:
    """`items`: how many things the body holds, as soon as that is known."""

    items: int = 1


@dataclass(frozen=True)
class Admission:
    """What all routes share: who may have how much in work, where long work is done that is not in slices, and who
    waits for a refusal."""

    senders: Senders
    reading: BodyReading
    request_errors: RequestErrors
    large: Turns = field(default_factory=lambda: Turns(LARGE_AT_ONCE))

    @asynccontextmanager
    async def in_work(self, sender: str, size: int) -> AsyncIterator[BodyWork]:
        """While a body of so many bytes is read, written and answered: of large ones each sender has one in work, the
        next waits as the bytes that it came in, and longer after one that was refused whole. Raises ProblemError 429
        where that takes too long."""
        work = BodyWork()
        if size <= QUICKLY_READ_BYTES:
            yield work
            return
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                    turn = await stack.enter_async_context(self.large.turn(sender))
            except TimeoutError:
                raise too_many("large bodies of this sender are in work", LONGEST_WAIT_SECONDS) from None
            try:
                yield work
            except ProblemError:
                turn.rest = min(size / work.items / HUGE_BYTES_PER_SECOND, LONGEST_REST_SECONDS)
                raise

    async def aside(self, sender: str, size: int, work: Callable[[], Result]) -> Result:
        """What `work` makes of a body of so many bytes, beside the event loop if that takes long. Raises what it
        does."""
        return work() if size <= QUICKLY_READ_BYTES else await self.reading.read(sender, work)


def not_too_many(count: int) -> None:
    """Raises ProblemError 413: each is answered for itself."""
    if count > MOST_ITEMS:
        words = f"a request holds at most {MOST_ITEMS:,} of them, not {count:,}: send fewer at once"
        raise ProblemError(413, "too_large", words)


def too_many(words: str, seconds: int) -> ProblemError:
    return ProblemError(
        429, "too_many", f"{words}; send the same again in {seconds} s", headers={"Retry-After": str(seconds)}
    )
