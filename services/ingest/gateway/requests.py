"""What all routes share: bodies are read within limits, large ones one at a time for each sender, and errors become
problem responses, which cost their sender time."""

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
from services.ingest.flow.shared import IngestMetrics
from services.ingest.gateway.fair_scheduler import FairScheduler, FairThreadPool
from services.ingest.gateway.limits import InFlightBytes, RateLimiter, SenderLimits, items_of, too_many
from services.runtime import log
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError, answer

RETRY_WHEN_AWAY_SECONDS = 5
# Of a response, for each item in it.
ANSWERED_BYTES = 100
# Errors in one response.
MAX_LISTED = 1_000
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
    """An endpoint without Starlette's wrapper, which looks for exceptions that our endpoints do not raise."""

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
        extra={"errors": error_entries(rejected.errors)},
    )


def error_entries(errors: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": error.path, "reason": error.reason} for error in errors]


class ErrorListing:
    """The errors of many items in one response. Beyond MAX_LISTED each item has only its first error: otherwise the
    response to an invalid batch could be many times as large as the batch."""

    def __init__(self) -> None:
        self._left = MAX_LISTED

    def entries(self, errors: Sequence[Problem]) -> list[dict[str, str]]:
        shown = errors if len(errors) <= self._left else errors[:1]
        self._left -= len(shown)
        return error_entries(shown)


# A valid event has at most some 30 KiB; a batch of this size is about 3,000 of the usual ones.
MAX_BYTES = 2**20
# A body that is refused is read to its end up to this size, because many clients lose a response that arrives while
# they are still sending. A longer one is cut off.
DRAINED_BYTES = 16 * 2**20


async def read_body(request: Request, held: InFlightBytes.RequestBytes, most: int = MAX_BYTES) -> bytes:
    """Raises ProblemError 413 and those of `held`, before reading if the length is declared."""
    declared = _content_length(request)
    if declared > most:
        raise _too_large(most)
    held.check(declared)
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max(DRAINED_BYTES, most):
            break
        if size <= most:
            held.add(len(chunk))
            body += chunk
    if size > most:
        raise _too_large(most)
    return bytes(body)


def _content_length(request: Request) -> int:
    return int(request.headers.get("content-length", "0"))


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "too_large", f"a request has at most {most} bytes: send smaller batches")


COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})


def check_encoding(headers: Mapping[str, str]) -> None:
    """Raises ProblemError 415. Some clients write a character set into this header, which is ignored."""
    encodings = headers.get("content-encoding")
    found = {one.strip().lower() for one in encodings.split(",")} & COMPRESSIONS if encodings else frozenset()
    if found:
        detail = f"the body is compressed ({', '.join(sorted(found))}): send it as it is, without Content-Encoding"
        raise ProblemError(415, "unsupported_media_type", detail, headers={"Accept-Encoding": "identity"})


UNPROVEN, AWAY = 401, 503
# nginx's number for a client that went away; nobody receives it, the log shows it.
CLIENT_GONE = 499
# The rate limit of refused requests for each sender, in KiB per second, with a burst of ten seconds. A refusal takes
# time, too, and its body arrives whether it is read or not.
REFUSED_PER_SECOND = 1_000
# A head and a line in the log cost as much as this many KiB of a body.
MIN_REFUSED = 2
# Beyond that rate each response is delayed until the rate allows it, at most so long. The body is not read meanwhile.
LONGEST_PAUSE_SECONDS = 3.0
# A delayed response occupies a connection: beyond these limits, responses are sent at once and the connection ends.
MAX_PAUSED, MAX_PAUSED_OF_ONE = 100, 25


class RequestErrors:
    """One for all routes of a gateway: a sender's refusals count over all of them."""

    def __init__(self, metrics: IngestMetrics) -> None:
        # By status, of which there are few: looking up a label takes as long as counting.
        self._requests = cache(metrics.requests.labels)
        self._refused = RateLimiter(REFUSED_PER_SECOND)
        self._paused = Counter[str]()
        self._log = log.get(__name__)

    async def answer(self, request: Request, answering: Awaitable[Response], notes: dict[str, object]) -> Response:
        """Awaits `answering` and turns its errors into problem responses. `notes` are the fields of the request's line
        in the log, which `answering` may add to."""
        began, is_refused = time.monotonic(), True
        try:
            response = await answering
            is_refused = False
        except ProblemError as error:
            response = _problem_response(error, notes)
        except RefusedError as refused:
            response = _problem_response(rejection(refused.rejected), notes)
        except UnavailableError as away:
            headers = {"Retry-After": str(RETRY_WHEN_AWAY_SECONDS)}
            words = f"{away}; send the same again later"
            response = _problem_response(ProblemError(503, "unavailable", words, headers=headers), notes)
        except ClientDisconnect:
            response, is_refused = Response(status_code=CLIENT_GONE), False
        if is_refused:
            # Outside of the `except` blocks: there, the exception's frames would keep the body in memory.
            await self._delay_refusal(response, request, notes)
        seconds = time.monotonic() - began
        self._requests(response.status_code).observe(seconds)
        self._log.info("request_done", status=response.status_code, **notes, seconds=round(seconds, 4))
        return response

    async def _delay_refusal(self, response: Response, request: Request, notes: Mapping[str, object]) -> None:
        """Returns when the sender's rate of refusals allows one more."""
        # The connection is closed if more of the body may follow than is drained: the server would read it for as long
        # as it comes. Of an unauthenticated sender no more is drained than a request may have.
        most = MAX_BYTES if response.status_code == UNPROVEN else DRAINED_BYTES
        is_chunked = "transfer-encoding" in request.headers
        if is_chunked or _content_length(request) > most:
            response.headers["connection"] = "close"
        # That the broker is away is no sender's fault.
        if response.status_code == AWAY:
            return
        connection, now = request.scope["state"][CONNECTION], time.monotonic()
        connection.decided()
        # Senders are identified by their token or connection if authenticated, else by their address.
        authenticated = notes.get("token") or (notes["connection"] if "tenant" in notes else None)
        owner = str(authenticated or connection.address)
        size = int(connection.received) if is_chunked else min(_content_length(request), DRAINED_BYTES)
        self._refused.charge(
            owner, max(MIN_REFUSED, items_of(size)), now, most_owed=LONGEST_PAUSE_SECONDS * REFUSED_PER_SECOND
        )
        if pause := min(self._refused.consume(owner, 0, now), LONGEST_PAUSE_SECONDS):
            await self._pause(owner, pause, response)

    async def _pause(self, owner: str, seconds: float, response: Response) -> None:
        if self._paused.total() >= MAX_PAUSED or self._paused[owner] >= MAX_PAUSED_OF_ONE:
            response.headers["connection"] = "close"
            return
        self._paused[owner] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._paused[owner] -= 1
            if not self._paused[owner]:
                del self._paused[owner]


def _problem_response(problem: ProblemError, notes: dict[str, object]) -> Response:
    notes["problem"] = problem.code
    return answer(problem)


Result = TypeVar("Result")
# Larger bodies are parsed beside the event loop; parsing this much takes a millisecond.
SMALL_BODY_BYTES = 64 * 2**10
# How many senders may have a large body in work. A parsed body is many objects, and Python's collector stops all
# senders while it visits them.
LARGE_AT_ONCE = 4
# One item is parsed and admitted in one piece, during which no other thread runs. A huge one that is refused costs
# other senders most and its own sender least. So its sender's next large body waits: a second for so many bytes of the
# refused item, up to a limit. The last is how long a request waits for the large body before it.
HUGE_BYTES_PER_SECOND, LONGEST_COOLDOWN_SECONDS, LONGEST_WAIT_SECONDS = 32 * 2**10, 10.0, 30


@dataclass
class BodyWork:
    """`items`: how many items the body holds, set when it is parsed."""

    items: int = 1


@dataclass(frozen=True)
class AdmissionControl:
    """Limits of senders, threads for long work, and the responses to errors. `large` schedules large bodies."""

    senders: SenderLimits
    threads: FairThreadPool
    request_errors: RequestErrors
    large: FairScheduler = field(default_factory=lambda: FairScheduler(LARGE_AT_ONCE))

    @asynccontextmanager
    async def body_in_work(self, sender: str, size: int) -> AsyncIterator[BodyWork]:
        """Spans parsing, writing and answering a body of `size` bytes. Each sender has one large body in work. The next
        one waits, still unparsed, and longer if the one before was refused entirely. Raises ProblemError 429 where
        that takes too long."""
        work = BodyWork()
        if size <= SMALL_BODY_BYTES:
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
                turn.cooldown = min(size / work.items / HUGE_BYTES_PER_SECOND, LONGEST_COOLDOWN_SECONDS)
                raise

    async def run(self, sender: str, size: int, work: Callable[[], Result]) -> Result:
        """Runs `work` on a body of `size` bytes, in a thread if that takes long. Raises what `work` raises."""
        return work() if size <= SMALL_BODY_BYTES else await self.threads.run(sender, work)


# As many as a mebibyte holds of the smallest valid ones.
MAX_ITEMS = 10_000


def check_item_count(count: int) -> None:
    """Raises ProblemError 413: the response has an entry for each item."""
    if count > MAX_ITEMS:
        words = f"a request holds at most {MAX_ITEMS:,} of them, not {count:,}: send fewer at once"
        raise ProblemError(413, "too_large", words)
