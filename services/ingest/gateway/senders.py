"""What each who has proven who they are may have in work at once, how fast, and what refusals cost: over all routes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.ingest.domain.scope import RateLimiter, items_of
from services.ingest.flow.in_flight import RefusedError, UnavailableError
from services.ingest.flow.intake import RESTS, Turns
from services.ingest.flow.shared import IngestMetrics
from services.ingest.gateway.requests import (
    HEARD_OUT_BYTES,
    MOST_BYTES,
    QUICKLY_READ_BYTES,
    InFlightBytes,
    may_go_on,
    rejection,
    size_of,
)
from services.runtime import log
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError, answer

RETRY_AFTER_SECONDS, RETRY_WHEN_AWAY_SECONDS = 1, 5
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

UNPROVEN, AWAY = 401, 503
# nginx's number for a client that went away; nobody receives it, the log shows it.
CLIENT_GONE = 499
# Of requests that are refused, in KiB: what a sender has in a second, and ten seconds of it at once. A refusal takes
# time, too, and its body comes whether it is read or not.
REFUSED_PER_SECOND = 1_000
# A head and a line in the log cost as much as this many KiB of a body.
LEAST_REFUSED = 2
# Whoever is refused more than that waits for each answer until it is paid for, at most so long; nothing of the body is
# taken meanwhile.
LONGEST_PAUSE_SECONDS = 3.0
# Whoever waits holds a connection that nobody else may have: further ones are answered at once, and end.
MOST_PAUSED, MOST_PAUSED_OF_ONE = 100, 25

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


class RequestErrors:
    """One for all routes of a gateway: what a sender was refused counts wherever it was."""

    def __init__(self, metrics: IngestMetrics) -> None:
        # By status, of which there are few: to find it by its label takes as long as to count.
        self._requests = cache(metrics.requests.labels)
        self._refused = RateLimiter(REFUSED_PER_SECOND)
        self._paused = Counter[str]()
        self._log = log.get(__name__)

    async def answer(self, request: Request, answering: Awaitable[Response], notes: dict[str, object]) -> Response:
        """`notes` is what the line in the log says; it may grow while `answering` goes on."""
        began, pause = time.monotonic(), 0.0
        try:
            response = await _answered(answering)
        except ProblemError as error:
            notes["problem"] = error.code
            response = answer(error)
            # Who has proven nothing is heard out no further than anybody may go.
            if may_go_on(request, MOST_BYTES if error.status == UNPROVEN else HEARD_OUT_BYTES):
                response.headers["connection"] = "close"
            # That the broker is away is nobody's fault.
            pause = 0.0 if error.status == AWAY else self._owed(request, notes)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        if pause:
            # Here nothing of what was sent is held any more.
            await self._wait(_owner(request, notes), pause, response)
        seconds = time.monotonic() - began
        self._requests(response.status_code).observe(seconds)
        self._log.info("request_done", status=response.status_code, **notes, seconds=round(seconds, 4))
        return response

    def _owed(self, request: Request, notes: Mapping[str, object]) -> float:
        """Seconds until what this sender was refused is paid for."""
        request.scope["state"][CONNECTION].decided()
        owner, now = _owner(request, notes), time.monotonic()
        size = max(LEAST_REFUSED, items_of(size_of(request)))
        self._refused.charge(owner, size, now, most_owed=LONGEST_PAUSE_SECONDS * REFUSED_PER_SECOND)
        return min(self._refused.take(owner, 0, now), LONGEST_PAUSE_SECONDS)

    async def _wait(self, owner: str, seconds: float, response: Response) -> None:
        if self._paused.total() >= MOST_PAUSED or self._paused[owner] >= MOST_PAUSED_OF_ONE:
            response.headers["connection"] = "close"
            return
        self._paused[owner] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._paused[owner] -= 1
            if not self._paused[owner]:
                del self._paused[owner]


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


def _owner(request: Request, notes: Mapping[str, object]) -> str:
    """Senders are told apart by what they have proven, else by their address."""
    proven = notes.get("token") or (notes["connection"] if "tenant" in notes else None)
    return str(proven or request.scope["state"][CONNECTION].address)


async def _answered(answering: Awaitable[Response]) -> Response:
    try:
        return await answering
    except RefusedError as refused:
        raise rejection(refused.rejected) from refused
    except UnavailableError as away:
        headers = {"Retry-After": str(RETRY_WHEN_AWAY_SECONDS)}
        raise ProblemError(503, "unavailable", f"{away}; send the same again later", headers=headers) from away
