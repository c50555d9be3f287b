"""What each who has proven who they are may have in work at once, and how fast: over all routes."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf
from typing import TypeVar

from services.ingest.flow.intake import RESTS, Turns
from services.runtime.http.problems import ProblemError

RETRY_AFTER_SECONDS = 1
Result = TypeVar("Result")

# How long a sender may have saved up: enough for a batch after some quiet.
BURST_SECONDS = 10
# An event has some 300 bytes; what is larger counts as several, so that nobody pays less by sending fewer large ones.
BYTES_PER_ITEM = 1024
# Senders that are remembered, the last used of them: whoever was quiet for BURST_SECONDS has a full bucket anyway.
MOST_BUCKETS = 10_000


@dataclass
class Bucket:
    """`left` may fall below zero: whoever has anything left may hand in a batch of any size and waits longer after it,
    so that no batch is too large for ever. Times are in seconds of any clock that only goes forward."""

    per_second: int
    left: float
    at: float

    @classmethod
    def full(cls, per_second: int, now: float) -> "Bucket":
        return cls(per_second, float(per_second * BURST_SECONDS), now)

    def take(self, amount: int, now: float) -> int:
        """0 if it was taken; else nothing was, and these whole seconds have to pass."""
        most = float(self.per_second * BURST_SECONDS)
        self.left = min(most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left <= 0:
            return ceil((1 - self.left) / self.per_second)
        self.left -= amount
        return 0


class RateLimiter:
    """One bucket for each who sends; `per_second` holds for each of them alike."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, sender: str, amount: int, now: float) -> int:
        """As `Bucket.take`. `sender` has proven who it is: strangers get no bucket."""
        return self._bucket(sender, now).take(amount, now)

    def charge(self, sender: str, amount: int, now: float, most_owed: float = inf) -> None:
        """For what was let in before it was known how much it is."""
        bucket = self._bucket(sender, now)
        bucket.left = max(bucket.left - amount, -most_owed)

    def _bucket(self, sender: str, now: float) -> Bucket:
        bucket = self._buckets.setdefault(sender, Bucket.full(self._per_second, now))
        self._buckets.move_to_end(sender)
        while len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket


def items_of(size: int) -> int:
    """What so many bytes count as, at the least."""
    return max(1, ceil(size / BYTES_PER_ITEM))


class InFlightBytes:
    """Of the bodies in work: at most `most` bytes, and `most_of_one` of one owner (an address, a token, a connection).
    `relieve` is asked to end something of an owner that has too much; what it ends gives its bytes back soon after."""

    @dataclass
    class RequestBytes:
        """Of one request."""

        bodies: "InFlightBytes"
        owner: str
        size: int = 0

        def add(self, size: int) -> None:
            """Raises ProblemError 429 or 503."""
            self.bodies.add(self.owner, size)
            self.size += size

        def check(self, size: int) -> None:
            """Raises as `add` where so many more have no room for sure."""
            self.bodies.check(self.owner, size)

    def __init__(self, most: int, most_of_one: int, relieve: Callable[[str], bool] | None = None) -> None:
        self._most, self._most_of_one, self._relieve = most, most_of_one, relieve
        self._of: Counter[str] = Counter()
        self.total = 0

    @contextmanager
    def held(self, owner: str) -> Iterator[RequestBytes]:
        """Until the request is answered."""
        held = InFlightBytes.RequestBytes(self, owner)
        try:
            yield held
        finally:
            self.total -= held.size
            self._of[owner] -= held.size
            if not self._of[owner]:
                del self._of[owner]

    def check(self, owner: str, size: int) -> None:
        """Where somebody may be asked to make room they are asked as the bytes come. Raises ProblemError 429 or 503."""
        if self._relieve is None and self._is_too_much(owner, size):
            raise self._refusal(owner, size)

    def add(self, owner: str, size: int) -> None:
        """Raises ProblemError 429 or 503."""
        if self._is_too_much(owner, size) and not (self._relieve and self._relieve(owner)):
            raise self._refusal(owner, size)
        self.total += size
        self._of[owner] += size

    def _is_too_much(self, owner: str, size: int) -> bool:
        return self.total + size > self._most or self._of[owner] + size > self._most_of_one

    def _refusal(self, owner: str, size: int) -> ProblemError:
        code, status = ("too_many", 429) if self._of[owner] + size > self._most_of_one else ("unavailable", 503)
        words = "too much is under way here; send the same again in 1 s"
        return ProblemError(status, code, words, headers={"Retry-After": "1"})


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
    held: InFlightBytes.RequestBytes
    paid: int = 1

    def pay_bytes(self, size: int) -> None:
        """Before they are looked at: nonsense costs as much as sense."""
        self.pay_items(items_of(size))

    def pay_items(self, count: int) -> None:
        """What is not paid yet of so many things, good or bad."""
        if count > self.paid:
            self.pace.charge(self.sender, count - self.paid, time.monotonic())
            self.paid = count


# Of Python's threads one runs at a time: more of them would only take more turns from the event loop.
READING_THREADS = 1
# After a large body, of the thread that reads them.
LONGEST_READING_REST_SECONDS = 1.0


class BodyReading:
    """Large bodies are taken apart beside the event loop, one of each sender at a time. Python's threads take turns
    with the loop: while somebody else has a request in work, reading rests for some time after each body."""

    def __init__(self, writing: Turns) -> None:
        self._writing, self._turns = writing, Turns(READING_THREADS)
        self._resting: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="reading")

    async def read(self, sender: str, work: Callable[[], Result]) -> Result:
        """Raises what `work` does."""
        found: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._in_turn(sender, work, found))
        self._resting.add(task)
        task.add_done_callback(self._resting.discard)
        return await found

    async def _in_turn(self, sender: str, work: Callable[[], Result], found: asyncio.Future[Result]) -> None:
        """The result is told before the rest, of which only the next body takes notice."""
        async with self._turns.turn(sender):
            began = time.perf_counter()
            try:
                result = await asyncio.get_running_loop().run_in_executor(self._threads, work)
            except BaseException as failure:  # noqa: BLE001 (told to who waits for it)
                if not found.done():
                    found.set_exception(failure)
            else:
                if not found.done():
                    found.set_result(result)
            if not self._writing.is_alone(sender):
                await asyncio.sleep(min(RESTS * (time.perf_counter() - began), LONGEST_READING_REST_SECONDS))


def too_many(words: str, seconds: int) -> ProblemError:
    return ProblemError(
        429, "too_many", f"{words}; send the same again in {seconds} s", headers={"Retry-After": str(seconds)}
    )
