"""The routes of the directory, and what FastAPI cannot see of them."""

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from services.ingest.gateway.content import JSON
from services.ingest.gateway.directory import DirectoryEndpoint
from services.ingest.gateway.openapi import entry, problems
from services.ingest.gateway.problem import STATUS

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
        "202": {"description": "all are in the directory", "content": {JSON: {"schema": _RESULT}}},
        "207": {"description": "some are in the directory", "content": {JSON: {"schema": _RESULT}}},
        **problems({**_PROBLEMS, "413": "more than 1 MiB", "415": "another content type"}),
    },
}
_ERASED: dict[str, Any] = {
    "security": [{"token": []}],
    "parameters": [{"name": "participant", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "202": {"description": "a tombstone is on the directory's topic", "content": {JSON: {"schema": _ENTRY}}},
        **problems(_PROBLEMS),
    },
}


def serve_directory(app: FastAPI, endpoint: DirectoryEndpoint) -> None:
    @app.post(PATH, summary="Write people", status_code=202, openapi_extra=_WRITTEN)
    async def post_participants(request: Request) -> Response:
        return await endpoint.post(request, lambda: datetime.now(UTC))

    @app.delete(PATH + "/{participant}", summary="Erase a person", status_code=202, openapi_extra=_ERASED)
    async def delete_participant(request: Request) -> Response:
        return await endpoint.delete(request, request.path_params["participant"])
