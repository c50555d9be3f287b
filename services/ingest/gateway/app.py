"""The web application: every route with its part of the OpenAPI document, and errors explained."""

from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from services.ingest.gateway import docs, openapi
from services.ingest.gateway.directory_endpoint import DirectoryEndpoint
from services.ingest.gateway.events_endpoint import EventsEndpoint
from services.ingest.gateway.sources_endpoint import SourcesEndpoint
from services.runtime.http.problems import ProblemError, answer

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
