"""The gateway: its web application, every route with its part of the OpenAPI document, errors explained, its server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from schemas.topics import TOKENS
from services.ingest.domain.scope import RateLimiter
from services.ingest.flow.intake import InFlightLimiter, Turns, Writing
from services.ingest.flow.shared import ProjectionAccess, Shared
from services.ingest.flow.supervise import Parts
from services.ingest.flow.tokens import TokenFollower, TokenTable
from services.ingest.flow.tools.raw_payloads import RawIntake
from services.ingest.flow.tools.statements import Directory
from services.ingest.gateway import docs, openapi
from services.ingest.gateway.directory_endpoint import DirectoryEndpoint
from services.ingest.gateway.events_endpoint import EventsEndpoint, Intake
from services.ingest.gateway.requests import InFlightBytes
from services.ingest.gateway.senders import Admission, BodyReading, RequestErrors, Senders
from services.ingest.gateway.sources_endpoint import SourcesEndpoint
from services.runtime.http.connection_guard import ConnectionGuard, ConnectionLimits
from services.runtime.http.problems import ProblemError, answer
from services.runtime.http.server import Door, listen, run_server
from services.runtime.kafka import WAITING_FETCH_MS, reading

PEOPLE = "/v1/directory/participants"
PERSON = PEOPLE + "/{participant}"
TOOL = "/v1/sources/{tool}/{connection}"
TOOL_ROUTE = TOOL + "/{route}"
CODES = {404: "not_found", 405: "method_not_allowed"}
LINKS = {
    "events": "/v1/events",
    "sources": TOOL,
    "openapi": "/openapi.json",
    "docs": "/docs",
}


@contextmanager
def over_http(
    shared: Shared, known: ProjectionAccess, stop: threading.Event, listener: socket.socket | None = None
) -> Iterator[Parts]:
    """Ready when every token is known: an unread one would be answered 401. Raises KafkaError or OSError."""
    settings, table = shared.settings, TokenTable()
    with reading(settings, [TOKENS.name], fetch_max_wait_ms=WAITING_FETCH_MS) as reader:
        follower = TokenFollower(reader, table, shared.readiness.part("gateway"), known.wanted)
        follower.catch_up(stop)
        guard = _guard(shared)
        app = _app(shared, known, table, guard, stop)
        listener = listener or listen(settings.host, settings.ingest_port)
        door = Door(listener, guard, settings.ingest_idle_seconds)
        yield {"http": partial(run_server, app, door, stop), "tokens": partial(follower.run, stop)}


def _guard(shared: Shared) -> ConnectionGuard:
    settings, metrics = shared.settings, shared.metrics
    limits = ConnectionLimits(
        settings.ingest_open_connections,
        settings.ingest_open_connections_per_address,
        settings.ingest_head_seconds,
        settings.ingest_body_seconds,
    )
    guard = ConnectionGuard(limits, metrics.connections_cut)
    metrics.connections.set_function(lambda: guard.number)
    return guard


def _app(
    shared: Shared, known: ProjectionAccess, table: TokenTable, guard: ConnectionGuard, stop: threading.Event
) -> FastAPI:
    settings, metrics = shared.settings, shared.metrics
    writing = Writing(
        InFlightLimiter(settings.ingest_outstanding_bytes, settings.ingest_delivery_seconds, stop), Turns()
    )
    metrics.outstanding.set_function(lambda: writing.in_flight.outstanding)
    bodies = InFlightBytes(settings.ingest_body_bytes, settings.ingest_sender_bytes)
    reading_aside, request_errors = BodyReading(writing.turns), RequestErrors(metrics)

    def admission(rate: int) -> Admission:
        senders = Senders(RateLimiter(rate), settings.ingest_sender_requests, bodies, writing.turns)
        return Admission(senders, reading_aside, request_errors)

    tokens, tools = admission(settings.ingest_token_rate), admission(settings.ingest_connection_rate)
    unproven = InFlightBytes(settings.ingest_unproven_bytes, settings.ingest_unproven_bytes_per_address, guard.relieve)
    events = EventsEndpoint(table, Intake(shared.event_writer, writing, shared.gate(known.programs)), tokens, metrics)
    raw = RawIntake(shared.producer, writing)
    sources = SourcesEndpoint(shared.connections, raw, tools, unproven, metrics)
    return create_app(events, sources, DirectoryEndpoint(table, Directory(shared.producer), writing, tokens))


def create_app(events: EventsEndpoint, sources: SourcesEndpoint, directory: DirectoryEndpoint) -> FastAPI:
    app = FastAPI(title="Rapport gateway", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _explained)
    app.add_exception_handler(Exception, _failed)

    @app.get("/", summary="What is here")
    @app.get("/v1", summary="What is here", include_in_schema=False)
    async def hello() -> JSONResponse:
        return JSONResponse({"service": "rapport ingest", "links": LINKS})

    @app.get("/docs", summary="What is here, for people", include_in_schema=False)
    async def read_docs() -> HTMLResponse:
        return HTMLResponse(docs.page(app.openapi()), headers={"content-security-policy": docs.POLICY})

    # The endpoints themselves, so that nothing stands between a request and who answers it.
    taking = partial(app.post, status_code=202)
    taking("/v1/events/batch", summary="Hand in several events", openapi_extra=openapi.BATCHES, name="post_events")(
        events.post
    )
    taking("/v1/events", summary="Hand in events", openapi_extra=openapi.EVENTS, name="post_events")(events.post)
    taking(TOOL, summary="Hand in what a tool says", openapi_extra=openapi.SENT, name="post_source")(sources.receive)
    asked = partial(app.get, summary="What a tool asks first", openapi_extra=openapi.ASKED)
    asked(TOOL_ROUTE, name="serve_route")(sources.receive)
    for method in (app.put, app.post):
        sent = partial(method, summary="For tools with routes of their own", openapi_extra=openapi.SENT_TO_ROUTE)
        sent(TOOL_ROUTE, name="serve_route")(sources.receive)
    taking(PEOPLE, summary="Write people", openapi_extra=openapi.WRITTEN, name="post_participants")(directory.post)
    erasing = partial(app.delete, status_code=202, openapi_extra=openapi.ERASED)
    erasing(PERSON, summary="Erase a person", name="delete_participant")(directory.delete)
    app.openapi = partial(_described, app)  # type: ignore[method-assign]  # FastAPI's way
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """FastAPI makes the document once, when it is first asked for; it knows nothing of how we are authorised."""
    document = FastAPI.openapi(app)
    document["components"] = {"securitySchemes": openapi.SECURITY, "schemas": openapi.event_schemas()}
    return document


async def _explained(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path[:200]}: GET / says what is served"
    code = CODES.get(error.status_code, "invalid")
    return answer(ProblemError(error.status_code, code, detail, headers=error.headers))


async def _failed(_request: Request, _error: Exception) -> Response:
    """The server logs the error; the sender learns only that it was ours."""
    return answer(ProblemError(500, "failed", "this request met an error of ours; it has been logged"))
