"""Limits of the gateway: the rate of each sender, its requests and bytes in work, and the bytes that wait for the
broker. They hold over all routes."""

import asyncio
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil, inf

from services.ingest.flow.in_flight import RefusedError, UnavailableError, when_all_complete, write_error
from services.ingest.gateway.fair_scheduler import FairScheduler, Item
from services.runtime.http.problems import ProblemError
from services.runtime.kafka import KafkaError

RETRY_AFTER_SECONDS = 1

# How long a sender may save up its rate: enough for a batch after some quiet.
BURST_SECONDS = 10
# An event has some 300 bytes; what is larger counts as several, so that nobody pays less by sending fewer large ones.
BYTES_PER_ITEM = 1024
# The senders used last: a sender that was quiet for BURST_SECONDS has a full bucket anyway.
MAX_BUCKETS = 10_000


@dataclass
class TokenBucket:
    """`level` may fall below zero: a sender with anything left may send a batch of any size and waits longer after it,
    so that no batch is too large for ever. Times are in seconds of any monotonic clock."""

    per_second: int
    level: float
    at: float

    @classmethod
    def full(cls, per_second: int, now: float) -> "TokenBucket":
        return cls(per_second, float(per_second * BURST_SECONDS), now)

    def consume(self, amount: int, now: float) -> int:
        """Returns 0 if the amount was consumed. Otherwise nothing was, and the result is the seconds to wait."""
        capacity = float(self.per_second * BURST_SECONDS)
        self.level = min(capacity, self.level + (now - self.at) * self.per_second)
        self.at = now
        if self.level <= 0:
            return ceil((1 - self.level) / self.per_second)
        self.level -= amount
        return 0


class RateLimiter:
    """One bucket for each sender, all with the same rate."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def consume(self, sender: str, amount: int, now: float) -> int:
        """As `TokenBucket.consume`. `sender` is authenticated: strangers get no bucket."""
        return self._bucket(sender, now).consume(amount, now)

    def charge(self, sender: str, amount: int, now: float, most_owed: float = inf) -> None:
        """Charges what was accepted before its size was known."""
        bucket = self._bucket(sender, now)
        bucket.level = max(bucket.level - amount, -most_owed)

    def _bucket(self, sender: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(sender)
        if bucket is None:
            bucket = self._buckets[sender] = TokenBucket.full(self._per_second, now)
        self._buckets.move_to_end(sender)
        while len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket


def items_of(size: int) -> int:
    """The least number of items that a body of `size` bytes counts as."""
    return max(1, ceil(size / BYTES_PER_ITEM))


class InFlightBytes:
    """Bounds the bytes of request bodies in work: `limit` in all and `limit_per_owner` for each owner (an address, a
    token, a connection). `evict` is asked to end a connection of an owner that has too much; its bytes are released
    soon after."""

    @dataclass
    class RequestBytes:
        """The bytes of one request."""

        bodies: "InFlightBytes"
        owner: str
        size: int = 0

        def add(self, size: int) -> None:
            """Raises ProblemError 429 or 503."""
            refusal = self.bodies.refusal(self.owner, size)
            if refusal and not (self.bodies.evict and self.bodies.evict(self.owner)):
                raise refusal
            self.bodies.total += size
            self.bodies.by_owner[self.owner] += size
            self.size += size

        def check(self, size: int) -> None:
            """Raises as `add` if adding so many bytes would fail for certain. Where a connection can be evicted, only
            `add` decides, as the bytes arrive."""
            if self.bodies.evict is None and (refusal := self.bodies.refusal(self.owner, size)):
                raise refusal

    def __init__(self, limit: int, limit_per_owner: int, evict: Callable[[str], bool] | None = None) -> None:
        self._limit, self._limit_per_owner, self.evict = limit, limit_per_owner, evict
        self.by_owner: Counter[str] = Counter()
        self.total = 0

    @contextmanager
    def request(self, owner: str) -> Iterator[RequestBytes]:
        """Releases the request's bytes when it is answered."""
        held = InFlightBytes.RequestBytes(self, owner)
        try:
            yield held
        finally:
            self.total -= held.size
            self.by_owner[owner] -= held.size
            if not self.by_owner[owner]:
                del self.by_owner[owner]

    def refusal(self, owner: str, size: int) -> ProblemError | None:
        """Why the owner may not have so many bytes more; None if they may."""
        is_owners = self.by_owner[owner] + size > self._limit_per_owner
        if not is_owners and self.total + size <= self._limit:
            return None
        code, status = ("too_many", 429) if is_owners else ("unavailable", 503)
        words = "too much is under way here; send the same again in 1 s"
        return ProblemError(status, code, words, headers={"Retry-After": "1"})


class SenderLimits:
    """For one event loop. A sender is a token or a connection to a tool."""

    def __init__(
        self, rate_limiter: RateLimiter, most_requests: int, bodies: InFlightBytes, scheduler: FairScheduler
    ) -> None:
        self._rate_limiter, self._most_requests = rate_limiter, most_requests
        self._bodies, self._scheduler = bodies, scheduler
        self._in_work: Counter[str] = Counter()

    @contextmanager
    def request(self, sender: str) -> Iterator["SenderRequest"]:
        """Counts a request as in work. Raises ProblemError 429 if the sender has too many in work or was too fast."""
        if self._in_work[sender] >= self._most_requests:
            raise too_many(f"{self._most_requests} requests of this sender are in work", RETRY_AFTER_SECONDS)
        if seconds := self._rate_limiter.consume(sender, 1, time.monotonic()):
            raise too_many("more than this sender may hand in", seconds)
        self._in_work[sender] += 1
        try:
            with self._scheduler.active(sender), self._bodies.request(sender) as held:
                yield SenderRequest(sender, self._rate_limiter, held)
        finally:
            self._in_work[sender] -= 1
            if not self._in_work[sender]:
                del self._in_work[sender]


@dataclass
class SenderRequest:
    """One request in work. Its first item is charged already."""

    sender: str
    rate_limiter: RateLimiter
    body_bytes: InFlightBytes.RequestBytes
    charged: int = 1

    def charge_bytes(self, size: int) -> None:
        """Before the bytes are parsed: invalid content costs as much as valid content."""
        self.charge_items(items_of(size))

    def charge_items(self, count: int) -> None:
        """Charges for `count` items, valid or not, less what is charged already."""
        if count > self.charged:
            self.rate_limiter.charge(self.sender, count - self.charged, time.monotonic())
            self.charged = count


def too_many(words: str, seconds: int) -> ProblemError:
    return ProblemError(
        429, "too_many", f"{words}; send the same again in {seconds} s", headers={"Retry-After": str(seconds)}
    )


# Of one request so many records at most wait for the broker at a time: the producer's thread completes them one by one,
# before those of all other senders.
BATCH_RECORDS = 500
# A stop interrupts a wait for the broker within this; the process has 2 s in all.
STOP_NOTICED_SECONDS = 0.5

OnStarted = Callable[[Future[None]], None]
"""Called before the first record is sent, with the future that completes when all records are settled, however sending
ends."""


class InFlightLimiter:
    """`limit` bounds the bytes that wait for the broker. A request waits for `timeout` seconds, or until `stop` is set.
    Its records may reach the log after that: their bytes count until then, and a repeat of the request waits for the
    same records, so that each is written once."""

    def __init__(self, limit: int, timeout: float, stop: threading.Event) -> None:
        self._limit, self._timeout, self._stop = limit, timeout, stop
        self._lock = threading.Lock()
        self.outstanding = 0

    async def write(self, size: int, send: Callable[[OnStarted], Awaitable[Future[None]]]) -> None:
        """Sends records of `size` bytes, and returns when all are on the log. Raises UnavailableError when the broker
        is away or too much waits for it already, and RefusedError."""
        with self._lock:
            if self.outstanding + size > self._limit:
                raise UnavailableError("too many events wait for the broker")
            self.outstanding += size

        def release(_: Future[None]) -> None:
            with self._lock:
                self.outstanding -= size

        started = list[Future[None]]()
        try:
            sent = await send(started.append)
        except BaseException as failure:
            # Whatever the failure is: bytes that are never released are lost for good, and the records that were sent
            # are still in flight.
            when_all_complete(started).add_done_callback(release)
            if isinstance(failure, KafkaError):
                raise write_error(failure, "answer") from failure
            raise
        sent.add_done_callback(release)
        waited, until = asyncio.wrap_future(sent), time.monotonic() + self._timeout
        while not (await asyncio.wait([waited], timeout=STOP_NOTICED_SECONDS))[0]:
            if self._stop.is_set() or time.monotonic() >= until:
                waited.cancel()
                raise UnavailableError(
                    "the gateway stops" if self._stop.is_set() else "the broker does not acknowledge"
                )
        try:
            waited.result()
        except KafkaError as away:
            raise write_error(away, "acknowledge") from away


@dataclass(frozen=True)
class RequestSize:
    """`size` is the request's body in bytes."""

    sender: str
    size: int


@dataclass(frozen=True)
class BoundedWriter:
    """Writes the items of a request in batches, within the in-flight limit."""

    in_flight: InFlightLimiter
    scheduler: FairScheduler

    async def write_in_batches(
        self,
        items: Sequence[Item],
        request: RequestSize,
        send: Callable[[Sequence[Item], OnStarted], Awaitable[Future[None]]],
    ) -> RefusedError | None:
        """Calls `send` for one batch of the items after the other, each when the batch before is settled. Returns None
        when all are on the log. Otherwise the broker refused one of them for good: each of the others has an outcome
        of its own, and the last ones may not have been sent. Raises UnavailableError if none was refused: then all
        of the request may be sent again."""
        refusal: RefusedError | None = None
        for start in range(0, len(items), BATCH_RECORDS):
            batch = items[start : start + BATCH_RECORDS]
            size = request.size * len(batch) // len(items)
            try:
                await self.in_flight.write(size, partial(send, batch))
            except RefusedError as refused:
                refusal = refusal or refused
            except UnavailableError:
                # A sender that learnt only this would send all of it again for ever, the refused one included.
                if refusal is None:
                    raise
                break
        return refusal
