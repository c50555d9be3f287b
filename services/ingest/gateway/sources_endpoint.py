"""`/v1/sources/{tool}/{connection}`: a tool's request as it is, proven, and what may be kept of it recorded."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.allow_list import is_word
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.intake import Begun, HandedIn, Writing
from services.ingest.flow.shared import IngestMetrics
from services.ingest.gateway.requests import Admission, check_encoding, read_body, rejection
from services.ingest.gateway.senders import InFlightBytes
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import (
    BodyNeeded,
    Connection,
    Handshake,
    Kept,
    Received,
    Tool,
    Unverified,
    Verification,
    Verified,
    is_served,
)
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError
from services.runtime.kafka import OutgoingRecord, Producer

# In the log; whoever asks for what is not there may have written anything into the path.
NO_NAME = "no name"
# Whose scheme stands for tools that there are not.
ANY_TOOL = "zoom"
# One answer to everybody who proves nothing, whatever is missing: who is told more learns which connections there are.
# The log says what was wrong with the proof.
UNPROVEN = "the request does not prove that it comes from a connection of this tool"
CHALLENGES = 'Basic realm="rapport", Bearer realm="rapport", Signature realm="rapport"'


@dataclass(frozen=True)
class Stranger:
    """Stands for a connection that there is not: it is asked for its proof like any other, which nobody has."""

    tool: Tool
    secret: str

    def verify(self, received: Received, now: datetime) -> Verification:
        return self.tool.verify(received, self.secret, now)


class RawIntake:
    """For one event loop."""

    def __init__(self, producer: Producer, writing: Writing) -> None:
        self._producer, self._writing = producer, writing

    async def take(self, payloads: Sequence[Kept], connection_scope: ConnectionScope) -> None:
        """Returns when all are on the topic. Raises UnavailableError when the broker is away or too much waits for it
        already, and RefusedError when one of them is more than a record may hold."""
        size = sum(len(kept.payload) for kept in payloads)
        refused = await self._writing.in_windows(
            payloads,
            HandedIn(connection_scope.connection, size),
            lambda window, begun: self._send(window, connection_scope, begun),
        )
        if refused:
            raise refused

    async def _send(self, payloads: Sequence[Kept], connection_scope: ConnectionScope, begun: Begun) -> Future[None]:
        # One key for a connection: its payloads stay in the order in which they came.
        topic, key = connection_scope.raw_topic, connection_scope.connection.encode()
        sending = self._producer.write_group()
        begun(sending.written)

        def send(kept: Kept) -> None:
            headers = kept.headers(connection_scope.connection)
            sending.send(OutgoingRecord(topic, kept.payload, key, headers))

        try:
            await self._writing.turns.in_slices(
                connection_scope.connection, payloads, send, lambda _: sending.hand_over()
            )
        finally:
            sending.close()
        return sending.written


class SourcesEndpoint:
    def __init__(
        self,
        connections: Mapping[str, Connection],
        intake: RawIntake,
        admission: Admission,
        unproven: InFlightBytes,
        metrics: IngestMetrics,
    ) -> None:
        self._connections, self._intake, self._admission = connections, intake, admission
        self._unproven, self._metrics = unproven, metrics
        self._secret = token_hex()

    async def receive(self, request: Request) -> Response:
        tool, name = request.path_params["tool"], request.path_params["connection"]
        found = self._connections.get(name)
        connection = found if found is not None and found.tool.name == tool else None
        notes: dict[str, object] = {
            "tool": tool if is_word(tool) else NO_NAME,
            "connection": name if is_word(name) else NO_NAME,
        }
        answering = self._answered(request, connection, notes)
        response = await self._admission.request_errors.answer(request, answering, notes)
        # Labels are those of the file of connections: whoever asks may write anything into the path.
        if connection is not None:
            outcome = notes.get("problem") or notes.get("outcome") or "gone"
            self._metrics.payloads.labels(connection.tool.name, "http", outcome).inc()
        return response

    async def _answered(self, request: Request, connection: Connection | None, notes: dict[str, object]) -> Response:
        # Whether there is such a connection is told to nobody who cannot prove that it is theirs.
        path = request.path_params
        asked = connection or Stranger(TOOLS.get(path["tool"], TOOLS[ANY_TOOL]), self._secret)
        suffix = f"/{path['route']}" if "route" in path else ""
        head = Received(dict(request.headers), b"", dict(request.query_params), request.method, suffix, is_head=True)
        now = datetime.now(UTC)
        with self._unproven.held(str(request.scope["state"][CONNECTION].address)) as held:
            received, proof = head, asked.verify(head, now)
            if isinstance(proof, BodyNeeded):
                body = await read_body(request, held, min(proof.most_bytes, asked.tool.most_bytes))
                received = replace(head, body=body, is_head=False)
                proof = asked.verify(received, now)
        match proof:
            case Handshake(body, media_type, status):
                notes["outcome"] = "handshake" if connection else "handshake of an unknown connection"
                return Response(body, status, media_type=media_type)
            case Verified() if connection is not None:
                request.scope["state"][CONNECTION].authenticated()
                notes["tenant"] = connection.connection_scope.tenant
                return await self._recorded(request, received, connection, notes)
            case Unverified(reason):
                notes["refused"] = reason if connection else "there is no such connection"
        raise ProblemError(401, "unauthorized", UNPROVEN, headers={"WWW-Authenticate": CHALLENGES})

    async def _recorded(
        self, request: Request, received: Received, connection: Connection, notes: dict[str, object]
    ) -> Response:
        _check_route(received, connection.tool)
        name = connection.connection_scope.connection
        with self._admission.senders.entered(name) as entered:
            if received.is_head:
                body = await read_body(request, entered.held, connection.tool.most_bytes)
                received = replace(received, body=body, is_head=False)
            else:
                entered.held.add(len(received.body))
            notes["bytes"] = len(received.body)
            entered.pay_bytes(len(received.body))
            _check_media(received, connection.tool)
            now, size = datetime.now(UTC), len(received.body)
            async with self._admission.in_work(name, size) as work:
                found = await self._admission.aside(name, size, lambda: connection.taken(received, now))
                if isinstance(found, Rejected):
                    raise rejection(found)
                work.items = max(1, len(found.payloads))
                entered.pay_items(len(found.payloads))
                await self._intake.take(found.payloads, connection.connection_scope)
        notes |= {"outcome": "recorded", "payloads": len(found.payloads)}
        given = found.answer
        if given is None:
            return JSONResponse({"status": 202, "reason": "recorded"}, 202)
        media = given.media_type if given.body else None
        return Response(given.body, given.status, dict(given.headers), media_type=media)


def _check_route(received: Received, tool: Tool) -> None:
    """Raises ProblemError 404 or 405."""
    methods = tool.routes.get(received.path)
    if methods is None:
        raise ProblemError(404, "not_found", "this tool is not served here")
    if received.method not in methods:
        allow = {"Allow": ", ".join(sorted(methods))}
        raise ProblemError(405, "method_not_allowed", "this tool sends otherwise", headers=allow)


def _check_media(received: Received, tool: Tool) -> None:
    """Raises ProblemError 415."""
    check_encoding(received.headers)
    if received.body and not is_served(received.headers.get("content-type", ""), tool):
        accepted = ", ".join(sorted(tool.media_types))
        raise ProblemError(415, "unsupported_media_type", f"send {accepted}", headers={"Accept-Post": accepted})
