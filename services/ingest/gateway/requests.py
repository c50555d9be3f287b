"""Requests: bodies read within limits, how long work on them takes its turn, and what refusals say and cost."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.ingest.domain.verdict import Problem, Reason, Rejected
from services.ingest.flow.in_flight import RefusedError, UnavailableError
from services.ingest.flow.intake import Turns
from services.ingest.flow.shared import IngestMetrics
from services.ingest.gateway.senders import BodyReading, InFlightBytes, RateLimiter, Senders, items_of, too_many
from services.runtime import log
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError, answer

RETRY_WHEN_AWAY_SECONDS = 5
# Of an answer, for each thing in it.
ANSWERED_BYTES = 100
# Faults in one answer.
MOST_LISTED = 1_000
STATUS: Mapping[Reason, int] = {
    "malformed": 400,
    "invalid": 400,
    "unknown_type": 400,
    "future": 400,
    "forbidden": 403,
    "conflict": 409,
    "too_large": 413,
    "unresolved": 400,
    "refused": 422,
    "failed": 500,
}


@dataclass(frozen=True)
class DirectAnswer:
    """Nothing stands between a request and who answers it: Starlette would look for errors of its own, which ours do
    not raise."""

    answer: Callable[[Request], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive, send))
        await response(scope, receive, send)


def rejection(rejected: Rejected) -> ProblemError:
    first = rejected.errors[0]
    return ProblemError(
        STATUS[rejected.reason],
        rejected.reason,
        f"{first.path or 'the body'}: {first.reason}",
        extra={"errors": listed(rejected.errors)},
    )


def listed(errors: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": error.path, "reason": error.reason} for error in errors]


class Listing:
    """The faults of many things in one answer: when very many are listed, each thing has its first one only, lest the
    answer to a batch of nonsense be many times as large as the batch."""

    def __init__(self) -> None:
        self._left = MOST_LISTED

    def listed(self, errors: Sequence[Problem]) -> list[dict[str, str]]:
        shown = errors if len(errors) <= self._left else errors[:1]
        self._left -= len(shown)
        return listed(shown)


# A valid event has at most some 30 KiB; a batch of this size is about 3,000 of the usual ones.
MOST_BYTES = 2**20
# A sender whose body is longer than this is cut off. One below it is heard out first, since many clients lose an
# answer that arrives while they are still sending.
HEARD_OUT_BYTES = 16 * 2**20


async def read_body(request: Request, held: InFlightBytes.RequestBytes, most: int = MOST_BYTES) -> bytes:
    """Raises ProblemError 413 and those of `held`, before reading if the length is declared."""
    if _declared(request) > most:
        raise _too_large(most)
    held.check(_declared(request))
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max(HEARD_OUT_BYTES, most):
            break
        if size <= most:
            held.add(len(chunk))
            body += chunk
    if size > most:
        raise _too_large(most)
    return bytes(body)


def _declared(request: Request) -> int:
    return int(request.headers.get("content-length", "0"))


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "too_large", f"a request has at most {most} bytes: send smaller batches")


COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})


def check_encoding(headers: Mapping[str, str]) -> None:
    """Raises ProblemError 415. Some clients write a character set into this header: that says nothing."""
    given = headers.get("content-encoding")
    found = {one.strip().lower() for one in given.split(",")} & COMPRESSIONS if given else frozenset()
    if found:
        detail = f"the body is compressed ({', '.join(sorted(found))}): send it as it is, without Content-Encoding"
        raise ProblemError(415, "unsupported_media_type", detail, headers={"Accept-Encoding": "identity"})


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
        began, is_refused = time.monotonic(), True
        try:
            response = await answering
            is_refused = False
        except ProblemError as error:
            response = _explained(error, notes)
        except RefusedError as refused:
            response = _explained(rejection(refused.rejected), notes)
        except UnavailableError as away:
            headers = {"Retry-After": str(RETRY_WHEN_AWAY_SECONDS)}
            words = f"{away}; send the same again later"
            response = _explained(ProblemError(503, "unavailable", words, headers=headers), notes)
        except ClientDisconnect:
            response, is_refused = Response(status_code=CLIENT_GONE), False
        if is_refused:
            # Here nothing of what was sent is held any more, as an error with its frames would hold it.
            await self._paid_for(response, request, notes)
        seconds = time.monotonic() - began
        self._requests(response.status_code).observe(seconds)
        self._log.info("request_done", status=response.status_code, **notes, seconds=round(seconds, 4))
        return response

    async def _paid_for(self, response: Response, request: Request, notes: Mapping[str, object]) -> None:
        """Returns when the refusal is paid for: whoever is refused much waits for it."""
        # The connection is closed where more may come than is worth hearing out: the server would take it for as long
        # as it comes. Who has proven nothing is heard out no further than anybody may go.
        most = MOST_BYTES if response.status_code == UNPROVEN else HEARD_OUT_BYTES
        is_chunked = "transfer-encoding" in request.headers
        if is_chunked or _declared(request) > most:
            response.headers["connection"] = "close"
        # That the broker is away is nobody's fault.
        if response.status_code == AWAY:
            return
        connection, now = request.scope["state"][CONNECTION], time.monotonic()
        connection.decided()
        # Senders are told apart by what they have proven, else by their address.
        proven = notes.get("token") or (notes["connection"] if "tenant" in notes else None)
        owner = str(proven or connection.address)
        size = int(connection.received) if is_chunked else min(_declared(request), HEARD_OUT_BYTES)
        self._refused.charge(
            owner, max(LEAST_REFUSED, items_of(size)), now, most_owed=LONGEST_PAUSE_SECONDS * REFUSED_PER_SECOND
        )
        if pause := min(self._refused.take(owner, 0, now), LONGEST_PAUSE_SECONDS):
            await self._wait(owner, pause, response)

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


def _explained(problem: ProblemError, notes: dict[str, object]) -> Response:
    notes["problem"] = problem.code
    return answer(problem)


Result = TypeVar("Result")
# Larger ones are read beside the event loop; reading this much takes a millisecond.
QUICKLY_READ_BYTES = 64 * 2**10
# How many senders may have a large body in work. What is read of it is many objects, each of which Python's collector
# looks at while it stops all senders.
LARGE_AT_ONCE = 4
# One thing is read and judged in one piece, during which no other thread runs: a huge one costs others most and, if it
# is refused, its sender least. So many bytes of a refused thing are looked at in a second; how long its sender waits at
# most with the next large body, and how long a request waits for the one before.
HUGE_BYTES_PER_SECOND, LONGEST_REST_SECONDS, LONGEST_WAIT_SECONDS = 32 * 2**10, 10.0, 30


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


# As many as a mebibyte holds of the smallest that mean something.
MOST_ITEMS = 10_000


def not_too_many(count: int) -> None:
    """Raises ProblemError 413: each is answered for itself."""
    if count > MOST_ITEMS:
        words = f"a request holds at most {MOST_ITEMS:,} of them, not {count:,}: send fewer at once"
        raise ProblemError(413, "too_large", words)
