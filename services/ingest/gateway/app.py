"""The web application: every route with its part of the OpenAPI document, and errors explained."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from services.ingest.gateway import openapi
from services.ingest.gateway.body import JSON
from services.ingest.gateway.directory_endpoint import DirectoryEndpoint
from services.ingest.gateway.events_endpoint import EventsEndpoint
from services.ingest.gateway.openapi import entry, problems
from services.ingest.gateway.request_errors import STATUS, ProblemError, answer
from services.ingest.gateway.sources_endpoint import SourcesEndpoint, SourceTarget

PATH = "/v1/directory/participants"
_PROBLEMS = {
    "400": "not valid: `errors`, or those of each participant, say where and why",
    "401": "no valid token",
    "403": "the token does not allow this",
    "422": "the broker does not take one of the records, however often it is sent",
    "429": "more than the token may hand in: nothing was taken, Retry-After says when to send the same again",
    "503": "the broker is away: nothing was promised, Retry-After says when to send the same again",
}
_ENTRY = entry("in the array", {202, STATUS["invalid"], STATUS["forbidden"], STATUS["too_large"]}, "recorded", "erased")
_RESULT = {
    "type": "object",
    "properties": {
        "recorded": {"type": "integer"},
        "rejected": {"type": "integer"},
        "participants": {"type": "array", "items": _ENTRY},
    },
}
_WRITTEN: dict[str, Any] = {
    "security": [{"token": []}],
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"type": "array", "items": {"type": "object"}, "minItems": 1}}},
    },
    "responses": {
        "202": {
            "description": "all are on the way into the directory: the broker has them",
            "content": {JSON: {"schema": _RESULT}},
        },
        "207": {"description": "some are on the way into the directory", "content": {JSON: {"schema": _RESULT}}},
        **problems({**_PROBLEMS, "413": "more than 1 MiB", "415": "another content type"}),
    },
}
_ERASED: dict[str, Any] = {
    "security": [{"token": []}],
    "parameters": [{"name": "participant", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "202": {
            "description": "the erasure is on its way into the directory: the broker has it",
            "content": {JSON: {"schema": _ENTRY}},
        },
        **problems(_PROBLEMS),
    },
}


def serve_directory(app: FastAPI, endpoint: DirectoryEndpoint) -> None:
    @app.post(PATH, summary="Write people", status_code=202, openapi_extra=_WRITTEN)
    async def post_participants(request: Request) -> Response:
        return await endpoint.post(request, lambda: datetime.now(UTC))

    @app.delete(PATH + "/{participant}", summary="Erase a person", status_code=202, openapi_extra=_ERASED)
    async def delete_participant(request: Request) -> Response:
        return await endpoint.delete(request, request.path_params["participant"], lambda: datetime.now(UTC))


TOOL = "/v1/sources/{tool}/{connection}"
CODES = {404: "not_found", 405: "method_not_allowed"}
LINKS = {
    "events": "/v1/events",
    "sources": TOOL,
    "openapi": "/openapi.json",
}


def create_app(events: EventsEndpoint, sources: SourcesEndpoint) -> FastAPI:
    app = FastAPI(title="Rapport gateway", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _explained)
    app.add_exception_handler(Exception, _failed)

    @app.get("/", summary="What is here")
    @app.get("/v1", summary="What is here", include_in_schema=False)
    async def hello() -> JSONResponse:
        return JSONResponse({"service": "rapport ingest", "links": LINKS})

    @app.post("/v1/events", summary="Hand in events", status_code=202, openapi_extra=openapi.EVENTS)
    async def post_events(request: Request) -> Response:
        return await events.post(request)

    _serve_tools(app, sources)
    app.openapi = partial(_described, app)  # type: ignore[method-assign]  # FastAPI's way
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """FastAPI makes the document once, when it is first asked for; it knows nothing of how we are authorised."""
    document = FastAPI.openapi(app)
    document["components"] = {"securitySchemes": openapi.SECURITY}
    return document


def _serve_tools(app: FastAPI, sources: SourcesEndpoint) -> None:
    @app.post(TOOL, summary="Hand in what a tool says", status_code=202, openapi_extra=openapi.SENT)
    async def post_source(request: Request) -> Response:
        return await sources.receive(request, _target(request))

    @app.get(TOOL + "/{route}", summary="What a tool asks first", openapi_extra=openapi.ASKED)
    @app.put(TOOL + "/{route}", summary="For tools with routes of their own", openapi_extra=openapi.SENT_TO_ROUTE)
    @app.post(TOOL + "/{route}", summary="For tools with routes of their own", openapi_extra=openapi.SENT_TO_ROUTE)
    async def serve_route(request: Request) -> Response:
        return await sources.receive(request, _target(request))


def _target(request: Request) -> SourceTarget:
    path = request.path_params
    return SourceTarget(path["tool"], path["connection"], f"/{path['route']}" if "route" in path else "")


async def _explained(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path[:200]}: GET / says what is served"
    code = CODES.get(error.status_code, "invalid")
    return answer(ProblemError(error.status_code, code, detail, headers=error.headers))


async def _failed(_request: Request, _error: Exception) -> Response:
    """The server logs the error; the sender learns only that it was ours."""
    return answer(ProblemError(500, "failed", "this request met an error of ours; it has been logged"))
