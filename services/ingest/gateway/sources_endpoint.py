"""`/v1/sources/{tool}/{connection}`: a tool's request as it is, proven, and what may be kept of it recorded."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.ingest.domain.pace import Pace
from services.ingest.domain.tools.leaves import is_word
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.tools.raw_intake import RawIntake
from services.ingest.gateway.body import read_body
from services.ingest.gateway.handled import Handled, not_too_fast
from services.ingest.gateway.problem import ProblemError, rejection
from services.ingest.sources.connection import Connection
from services.ingest.sources.kept import Kept
from services.ingest.sources.media import is_served
from services.ingest.sources.proof import Handshake, Proven, Received, Refused
from services.ingest.sources.taken import Taken
from services.ingest.sources.tool import MOST_BYTES

# In the log; whoever asks for what is not there may have written anything into the path.
NO_NAME = "no name"
# Larger bodies are taken apart on another thread: Slack waits 3 s for its answer, whatever HR sends meanwhile.
QUICKLY_TAKEN_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Target:
    """Of a path: `suffix` is what follows the connection's name, empty or with its slash."""

    tool: str
    connection: str
    suffix: str = ""


class SourcesEndpoint:
    def __init__(self, connections: Mapping[str, Connection], intake: RawIntake, pace: Pace, metrics: Metrics) -> None:
        self._connections, self._intake, self._pace, self._metrics = connections, intake, pace, metrics
        self._handled = Handled(metrics)

    async def receive(self, request: Request, target: Target) -> Response:
        notes: dict[str, object] = {
            "tool": target.tool if is_word(target.tool) else NO_NAME,
            "connection": target.connection if is_word(target.connection) else NO_NAME,
        }
        response = await self._handled.answer(request, self._answered(request, target, notes), notes)
        if target.connection in self._connections:
            outcome = notes.get("problem") or notes.get("outcome") or "gone"
            self._metrics.payloads.labels(target.tool, "http", outcome).inc()
        return response

    async def _answered(self, request: Request, target: Target, notes: dict[str, object]) -> Response:
        connection = self._found(request, target)
        notes["tenant"] = connection.speaker.tenant
        received = await _received(request, target, connection.tool.most_bytes)
        notes["bytes"] = len(received.body)
        now = datetime.now(UTC)
        match connection.prove(received, now):
            case Refused(reason, scheme):
                challenge = {"WWW-Authenticate": f'{scheme} realm="{connection.tool.name}"'}
                raise ProblemError(401, "unauthorized", reason, headers=challenge)
            case Handshake(body, media_type, status):
                notes["outcome"] = "handshake"
                return Response(body, status, media_type=media_type)
            case Proven():
                return await self._recorded(received, connection, now, notes)

    def _found(self, request: Request, target: Target) -> Connection:
        connection = self._connections.get(target.connection)
        if connection is None or connection.tool.name != target.tool:
            raise ProblemError(404, "not_found", "there is no such connection of this tool")
        methods = connection.tool.routes.get(target.suffix)
        if methods is None:
            raise ProblemError(404, "not_found", "this tool is not served here")
        if request.method not in methods:
            allow = {"Allow": ", ".join(sorted(methods))}
            raise ProblemError(405, "method_not_allowed", "this tool sends otherwise", headers=allow)
        return connection

    async def _recorded(
        self, received: Received, connection: Connection, now: datetime, notes: dict[str, object]
    ) -> Response:
        if received.body and not is_served(received.headers.get("content-type", ""), connection.tool):
            accepted = ", ".join(sorted(connection.tool.media_types))
            raise ProblemError(415, "unsupported_media_type", f"send {accepted}", headers={"Accept-Post": accepted})
        if len(received.body) > QUICKLY_TAKEN_BYTES:
            taken, payloads = await asyncio.to_thread(_taken, received, connection, now)
        else:
            taken, payloads = _taken(received, connection, now)
        not_too_fast(self._pace.take(connection.speaker.connection, len(payloads), time.monotonic()))
        await self._intake.take(payloads, connection.speaker)
        notes |= {"outcome": "recorded", "payloads": len(payloads)}
        return _answer(taken)


async def _received(request: Request, target: Target, most_bytes: int) -> Received:
    """Raises ProblemError 413."""
    body = await read_body(request, most_bytes)
    return Received(dict(request.headers), body, dict(request.query_params), request.method, target.suffix)


def _taken(received: Received, connection: Connection, now: datetime) -> tuple[Taken, list[Kept]]:
    """Raises ProblemError."""
    taken = connection.tool.take(received, connection.settings, now)
    if isinstance(taken, Rejected):
        raise rejection(taken)
    return taken, [_readable(payload, taken.media_type, connection) for payload in taken.payloads]


def _readable(payload: bytes, media_type: str, connection: Connection) -> Kept:
    """Raises ProblemError: what cannot be read even now would only lie in quarantine."""
    if len(payload) > MOST_BYTES:
        raise rejection(rejected("too_large", "", f"a payload has at most {MOST_BYTES} bytes"))
    kept = connection.kept(payload, media_type)
    if isinstance(kept, Rejected):
        raise rejection(kept)
    return kept


def _answer(taken: Taken) -> Response:
    if taken.answer is None:
        return JSONResponse({"status": 202, "reason": "recorded"}, 202)
    given = taken.answer
    return Response(given.body, given.status, dict(given.headers), media_type=given.media_type if given.body else None)
