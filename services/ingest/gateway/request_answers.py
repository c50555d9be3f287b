"""Every request is answered, counted and has its line in the log, whatever it meets."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.ingest.domain.rate_limit import RateLimiter, items_of
from services.ingest.flow.in_flight_limiter import RefusedError, UnavailableError
from services.ingest.flow.metrics import Metrics
from services.ingest.gateway.body import HEARD_OUT_BYTES, MOST_BYTES, may_go_on, size_of
from services.ingest.gateway.guarded_protocol import CONNECTION
from services.ingest.gateway.request_errors import ProblemError, answer, rejection
from services.runtime import log

RETRY_AFTER_SECONDS = 5
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

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
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
        self._metrics.requests.labels(response.status_code).observe(seconds)
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
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ProblemError(503, "unavailable", f"{away}; send the same again later", headers=headers) from away
