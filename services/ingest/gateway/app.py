"""The gateway: its web application, routes, error responses and server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from schemas.topics import TOKENS
from services.ingest.flow.shared import ProjectionAccess, Shared
from services.ingest.flow.supervise import Parts
from services.ingest.flow.tokens import TokenFollower, TokenTable
from services.ingest.flow.tools.statements import DirectoryStatementWriter
from services.ingest.gateway import docs, openapi
from services.ingest.gateway.directory_endpoint import DirectoryEndpoint
from services.ingest.gateway.events_endpoint import EventIntake, EventsEndpoint
from services.ingest.gateway.fair_scheduler import FairScheduler, FairThreadPool
from services.ingest.gateway.limits import BoundedWriter, InFlightBytes, InFlightLimiter, RateLimiter, SenderLimits
from services.ingest.gateway.requests import AdmissionControl, DirectAnswer, RequestErrors
from services.ingest.gateway.sources_endpoint import RawPayloadWriter, SourcesEndpoint
from services.runtime.http.connection_guard import ConnectionGuard, ConnectionLimits
from services.runtime.http.problems import ProblemError, answer
from services.runtime.http.server import ServerEndpoint, listen, run_server
from services.runtime.kafka import WAITING_FETCH_MS, open_reader

CODES = {404: "not_found", 405: "method_not_allowed"}
LINKS = {
    "events": openapi.EVENTS,
    "sources": openapi.TOOL,
    "openapi": "/openapi.json",
    "docs": "/docs",
}


@contextmanager
def http_gateway(
    shared: Shared, access: ProjectionAccess, stop: threading.Event, listener: socket.socket | None = None
) -> Iterator[Parts]:
    """Ready when every token is read: an unread one would be answered 401. Raises KafkaError or OSError."""
    settings, table = shared.settings, TokenTable()
    with open_reader(settings, [TOKENS.name], fetch_max_wait_ms=WAITING_FETCH_MS) as reader:
        follower = TokenFollower(reader, table, shared.readiness.part("gateway"), access.wanted)
        follower.catch_up(stop)
        metrics = shared.metrics
        limits = ConnectionLimits(
            settings.ingest_open_connections,
            settings.ingest_open_connections_per_address,
            settings.ingest_head_seconds,
            settings.ingest_body_seconds,
        )
        guard = ConnectionGuard(limits, metrics.connections_cut)
        metrics.connections.set_function(lambda: guard.number)
        app = _app(shared, access, table, guard, stop)
        listener = listener or listen(settings.host, settings.ingest_port)
        loops = shared.readiness.loops
        endpoint = ServerEndpoint(listener, guard, settings.ingest_idle_seconds, loops=loops)
        yield {"http": partial(run_server, app, endpoint, stop), "tokens": partial(follower.run, stop)}


def _app(
    shared: Shared, access: ProjectionAccess, table: TokenTable, guard: ConnectionGuard, stop: threading.Event
) -> Starlette:
    settings, metrics = shared.settings, shared.metrics
    limiter = InFlightLimiter(settings.ingest_outstanding_bytes, settings.ingest_delivery_seconds, stop)
    metrics.outstanding.set_function(lambda: limiter.outstanding)
    scheduler = FairScheduler()
    writer = BoundedWriter(limiter, scheduler)
    bodies = InFlightBytes(settings.ingest_body_bytes, settings.ingest_sender_bytes)
    threads, request_errors = FairThreadPool(scheduler), RequestErrors(metrics)

    def control(rate: int) -> AdmissionControl:
        senders = SenderLimits(RateLimiter(rate), settings.ingest_sender_requests, bodies, scheduler)
        return AdmissionControl(senders, threads, request_errors)

    tokens, tools = control(settings.ingest_token_rate), control(settings.ingest_connection_rate)
    unproven = InFlightBytes(
        settings.ingest_unproven_bytes, settings.ingest_unproven_bytes_per_address, guard.evict_body
    )
    intake = EventIntake(shared.event_writer, writer, shared.admission(access.programs))
    raw = RawPayloadWriter(shared.producer, writer)
    return create_app(
        EventsEndpoint(table, intake, tokens, metrics),
        SourcesEndpoint(shared.connections, raw, tools, unproven, metrics),
        DirectoryEndpoint(table, DirectoryStatementWriter(shared.producer), writer, tokens),
    )


def create_app(events: EventsEndpoint, sources: SourcesEndpoint, directory: DirectoryEndpoint) -> Starlette:
    document = cache(openapi.document)

    async def hello(_: Request) -> Response:
        return JSONResponse({"service": "rapport ingest", "links": LINKS})

    async def describe(_: Request) -> Response:
        return JSONResponse(document())

    async def read_docs(_: Request) -> Response:
        return HTMLResponse(docs.page(document()), headers={"content-security-policy": docs.POLICY})

    # Routes are tried in this order: nearly all requests carry events.
    routes = [
        Route(openapi.EVENTS, DirectAnswer(events.post), methods=["POST"]),
        Route(openapi.BATCH_OF_EVENTS, DirectAnswer(events.post), methods=["POST"]),
        Route(openapi.TOOL, DirectAnswer(sources.receive), methods=["POST"]),
        Route(openapi.TOOL_ROUTE, DirectAnswer(sources.receive), methods=["GET", "PUT", "POST"]),
        Route(openapi.PEOPLE, DirectAnswer(directory.post), methods=["POST"]),
        Route(openapi.PERSON, DirectAnswer(directory.delete), methods=["DELETE"]),
        Route("/", hello),
        Route("/v1", hello),
        Route("/openapi.json", describe),
        Route("/docs", read_docs),
    ]
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: _answer_http_error, Exception: _answer_internal_error}
    )
    app.router.redirect_slashes = False
    return app


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow")
    served = f"{allowed} is served here" if allowed else "GET / says what is served"
    detail = f"{request.method} {request.url.path[:200]}: {served}"
    code = CODES.get(error.status_code, "invalid")
    return answer(ProblemError(error.status_code, code, detail, headers=error.headers))


async def _answer_internal_error(_request: Request, _error: Exception) -> Response:
    """The server logs the error; the sender learns only that it was ours."""
    return answer(ProblemError(500, "failed", "this request met an error of ours; it has been logged"))
