"""`/v1/sources/{tool}/{connection}`: verifies a tool's request and records what may be kept of it on the raw topic."""

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
from services.ingest.flow.shared import IngestMetrics
from services.ingest.gateway.limits import BoundedWriter, InFlightBytes, OnStarted, RequestSize
from services.ingest.gateway.requests import AdmissionControl, check_encoding, read_body, rejection
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import (
    BodyNeeded,
    Connection,
    Handshake,
    Received,
    RedactedPayload,
    Tool,
    Unverified,
    Verification,
    Verified,
    is_served,
)
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError
from services.runtime.kafka import OutgoingRecord, Producer

# In the log, for a path that is no name: its sender may have written anything there.
NO_NAME = "no name"
# Unknown tools are verified by the scheme of this one.
ANY_TOOL = "zoom"
# One response to all unverified requests, whatever is missing: a more specific one would reveal which connections
# exist. The log says why verification failed.
UNPROVEN = "the request does not prove that it comes from a connection of this tool"
CHALLENGES = 'Basic realm="rapport", Bearer realm="rapport", Signature realm="rapport"'


@dataclass(frozen=True)
class UnknownConnection:
    """Stands for a connection that does not exist. It verifies like any other, with a secret that nobody has."""

    tool: Tool
    secret: str

    def verify(self, received: Received, now: datetime) -> Verification:
        return self.tool.verify(received, self.secret, now)


class RawPayloadWriter:
    """Writes payloads to the raw topics. For one event loop."""

    def __init__(self, producer: Producer, writer: BoundedWriter) -> None:
        self._producer, self._writer = producer, writer

    async def write(self, payloads: Sequence[RedactedPayload], connection_scope: ConnectionScope) -> None:
        """Returns when all are on the topic. Raises UnavailableError when the broker is away or too much waits for it
        already, and RefusedError when one of them is more than a record may hold."""
        size = sum(len(kept.payload) for kept in payloads)
        refused = await self._writer.write_in_batches(
            payloads,
            RequestSize(connection_scope.connection, size),
            lambda batch, on_started: self._send(batch, connection_scope, on_started),
        )
        if refused:
            raise refused

    async def _send(
        self, payloads: Sequence[RedactedPayload], connection_scope: ConnectionScope, on_started: OnStarted
    ) -> Future[None]:
        # One key for a connection keeps its payloads in order.
        topic, key = connection_scope.raw_topic, connection_scope.connection.encode()
        sending = self._producer.write_group()
        on_started(sending.written)

        def send(kept: RedactedPayload) -> None:
            headers = kept.headers(connection_scope.connection)
            sending.send(OutgoingRecord(topic, kept.payload, key, headers))

        try:
            await self._writer.scheduler.run_in_slices(
                connection_scope.connection, payloads, send, lambda _: sending.submit_pending()
            )
        finally:
            sending.close()
        return sending.written


class SourcesEndpoint:
    def __init__(
        self,
        connections: Mapping[str, Connection],
        writer: RawPayloadWriter,
        control: AdmissionControl,
        unverified_bytes: InFlightBytes,
        metrics: IngestMetrics,
    ) -> None:
        self._connections, self._writer, self._control = connections, writer, control
        self._unverified_bytes, self._metrics = unverified_bytes, metrics
        self._secret = token_hex()

    async def receive(self, request: Request) -> Response:
        tool, name = request.path_params["tool"], request.path_params["connection"]
        found = self._connections.get(name)
        connection = found if found is not None and found.tool.name == tool else None
        notes: dict[str, object] = {
            "tool": tool if is_word(tool) else NO_NAME,
            "connection": name if is_word(name) else NO_NAME,
        }
        answering = self._answer(request, connection, notes)
        response = await self._control.request_errors.answer(request, answering, notes)
        # Labels come from the connections file: a sender may write anything into the path.
        if connection is not None:
            outcome = notes.get("problem") or notes.get("outcome") or "gone"
            self._metrics.payloads.labels(connection.tool.name, "http", outcome).inc()
        return response

    async def _answer(self, request: Request, connection: Connection | None, notes: dict[str, object]) -> Response:
        # Only a verified sender may learn whether the connection exists.
        path = request.path_params
        verifier = connection or UnknownConnection(TOOLS.get(path["tool"], TOOLS[ANY_TOOL]), self._secret)
        suffix = f"/{path['route']}" if "route" in path else ""
        head = Received(dict(request.headers), b"", dict(request.query_params), request.method, suffix, is_head=True)
        now = datetime.now(UTC)
        with self._unverified_bytes.request(str(request.scope["state"][CONNECTION].address)) as held:
            received, verification = head, verifier.verify(head, now)
            if isinstance(verification, BodyNeeded):
                body = await read_body(request, held, min(verification.most_bytes, verifier.tool.most_bytes))
                received = replace(head, body=body, is_head=False)
                verification = verifier.verify(received, now)
        match verification:
            case Handshake(body, media_type, status):
                notes["outcome"] = "handshake" if connection else "handshake of an unknown connection"
                return Response(body, status, media_type=media_type)
            case Verified() if connection is not None:
                request.scope["state"][CONNECTION].authenticated()
                notes["tenant"] = connection.connection_scope.tenant
                return await self._record(request, received, connection, notes)
            case Unverified(reason):
                notes["refused"] = reason if connection else "there is no such connection"
        raise ProblemError(401, "unauthorized", UNPROVEN, headers={"WWW-Authenticate": CHALLENGES})

    async def _record(
        self, request: Request, received: Received, connection: Connection, notes: dict[str, object]
    ) -> Response:
        _check_route(received, connection.tool)
        name = connection.connection_scope.connection
        with self._control.senders.request(name) as entered:
            if received.is_head:
                body = await read_body(request, entered.body_bytes, connection.tool.most_bytes)
                received = replace(received, body=body, is_head=False)
            else:
                entered.body_bytes.add(len(received.body))
            notes["bytes"] = len(received.body)
            entered.charge_bytes(len(received.body))
            _check_media(received, connection.tool)
            now, size = datetime.now(UTC), len(received.body)
            async with self._control.body_in_work(name, size) as work:
                found = await self._control.run(name, size, lambda: connection.accept(received, now))
                if isinstance(found, Rejected):
                    raise rejection(found)
                work.items = max(1, len(found.payloads))
                entered.charge_items(len(found.payloads))
                await self._writer.write(found.payloads, connection.connection_scope)
        notes |= {"outcome": "recorded", "payloads": len(found.payloads)}
        response = found.answer
        if response is None:
            return JSONResponse({"status": 202, "reason": "recorded"}, 202)
        media = response.media_type if response.body else None
        return Response(response.body, response.status, dict(response.headers), media_type=media)


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
