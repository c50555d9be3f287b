"""The web application: its routes, its errors as problem details, and what it says of itself."""

from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from services.ingest.gateway import openapi, openapi_tools, problem
from services.ingest.gateway.endpoint import EventsEndpoint
from services.ingest.gateway.problem import ProblemError
from services.ingest.gateway.sources_endpoint import SourcesEndpoint, Target

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
    @app.post(TOOL, summary="Hand in what a tool says", status_code=202, openapi_extra=openapi_tools.SENT)
    async def post_source(request: Request) -> Response:
        return await sources.receive(request, _target(request))

    @app.get(TOOL + "/{route}", summary="What a tool asks first", openapi_extra=openapi_tools.ASKED)
    @app.put(TOOL + "/{route}", summary="For tools with routes of their own", openapi_extra=openapi_tools.SENT_TO_ROUTE)
    @app.post(
        TOOL + "/{route}", summary="For tools with routes of their own", openapi_extra=openapi_tools.SENT_TO_ROUTE
    )
    async def serve_route(request: Request) -> Response:
        return await sources.receive(request, _target(request))


def _target(request: Request) -> Target:
    path = request.path_params
    return Target(path["tool"], path["connection"], f"/{path['route']}" if "route" in path else "")


async def _explained(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path[:200]}: GET / says what is served"
    code = CODES.get(error.status_code, "invalid")
    return problem.answer(ProblemError(error.status_code, code, detail, headers=error.headers))


async def _failed(_request: Request, _error: Exception) -> Response:
    """The server logs the error; the sender learns only that it was ours."""
    return problem.answer(ProblemError(500, "failed", "this request met an error of ours; it has been logged"))
