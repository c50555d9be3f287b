"""Every request is answered, counted and has its line in the log, whatever it meets."""

import time
from collections.abc import Awaitable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.ingest.flow.in_flight_limiter import RefusedError, UnavailableError
from services.ingest.flow.metrics import Metrics
from services.ingest.gateway.body import HEARD_OUT_BYTES, MOST_BYTES, may_go_on
from services.ingest.gateway.request_errors import ProblemError, answer, rejection
from services.runtime import log

RETRY_AFTER_SECONDS = 5
UNPROVEN = 401
# nginx's number for a client that went away; nobody receives it, the log shows it.
CLIENT_GONE = 499


class RequestErrors:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = log.get(__name__)

    async def answer(self, request: Request, answering: Awaitable[Response], notes: dict[str, object]) -> Response:
        """`notes` is what the line in the log says; it may grow while `answering` goes on."""
        began = time.monotonic()
        try:
            response = await _answered(answering)
        except ProblemError as error:
            notes["problem"] = error.code
            response = answer(error)
            # Who has proven nothing is heard out no further than anybody may go.
            if may_go_on(request, MOST_BYTES if error.status == UNPROVEN else HEARD_OUT_BYTES):
                response.headers["connection"] = "close"
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        seconds = time.monotonic() - began
        self._metrics.requests.labels(response.status_code).observe(seconds)
        self._log.info("request_done", status=response.status_code, **notes, seconds=round(seconds, 4))
        return response


async def _answered(answering: Awaitable[Response]) -> Response:
    try:
        return await answering
    except RefusedError as refused:
        raise rejection(refused.rejected) from refused
    except UnavailableError as away:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ProblemError(503, "unavailable", f"{away}; send the same again later", headers=headers) from away
