"""What FastAPI cannot see of `POST /v1/events`, because the endpoint reads the body itself."""

from typing import Any

from services.ingest.gateway.content import BATCH, JSON, STRUCTURED
from services.ingest.gateway.problem import MEDIA_TYPE, STATUS

_OBJECT = {"type": "object"}
_PROBLEMS = {
    "400": "not valid: `errors` says where and why",
    "401": "no valid token",
    "403": "the token does not allow this",
    "409": "the id is taken by another event",
    "413": "more than 1 MiB",
    "415": "another content type",
    "503": "the broker is away; Retry-After says when to send the same again",
}
_EVENT = {
    "type": "object",
    "required": ["id", "status", "reason"],
    "properties": {
        "index": {"type": "integer", "description": "in the batch"},
        "id": {"type": ["string", "null"]},
        "status": {"enum": sorted({202, *STATUS.values()} - {413})},
        "reason": {"enum": ["recorded", "duplicate", *STATUS]},
        "errors": {"type": "array", "items": _OBJECT},
    },
}
_BATCH_RESULT = {
    "type": "object",
    "properties": {
        "recorded": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "rejected": {"type": "integer"},
        "events": {"type": "array", "items": _EVENT},
    },
}

EVENTS: dict[str, Any] = {
    "security": [{"token": []}],
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": _OBJECT},
            BATCH: {"schema": {"type": "array", "items": _OBJECT, "minItems": 1}},
            JSON: {"schema": _OBJECT},
        },
    },
    "responses": {
        "202": {
            "description": "every event is on the log",
            "content": {"application/json": {"schema": {"oneOf": [_EVENT, _BATCH_RESULT]}}},
        },
        "207": {
            "description": "some events of the batch are on the log",
            "content": {"application/json": {"schema": _BATCH_RESULT}},
        },
        **{
            status: {"description": words, "content": {MEDIA_TYPE: {"schema": _OBJECT}}}
            for status, words in _PROBLEMS.items()
        },
    },
}
