"""The web application: its routes, its errors as problem details, and what it says of itself."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from services.ingest.gateway import openapi, problem
from services.ingest.gateway.endpoint import EventsEndpoint
from services.ingest.gateway.problem import ProblemError

CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(endpoint: EventsEndpoint) -> FastAPI:
    app = FastAPI(title="Rapport gateway", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _explained)
    app.add_exception_handler(Exception, _failed)

    @app.get("/", summary="What is here")
    @app.get("/v1", summary="What is here", include_in_schema=False)
    async def hello() -> JSONResponse:
        return JSONResponse(
            {"service": "rapport ingest", "links": {"events": "/v1/events", "openapi": "/openapi.json"}}
        )

    @app.post("/v1/events", summary="Hand in events", status_code=202, openapi_extra=openapi.EVENTS)
    async def post_events(request: Request) -> Response:
        return await endpoint.post(request)

    return app


async def _explained(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path[:200]}: GET / says what is served"
    code = CODES.get(error.status_code, "invalid")
    return problem.answer(ProblemError(error.status_code, code, detail, headers=error.headers))


async def _failed(_request: Request, _error: Exception) -> Response:
    """The server logs the error; the sender learns only that it was ours."""
    return problem.answer(ProblemError(500, "failed", "this request met an error of ours; it has been logged"))
