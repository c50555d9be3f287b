"""What FastAPI cannot see of `POST /v1/events`, because the endpoint reads the body itself."""

from collections.abc import Mapping
from typing import Any

from services.ingest.gateway.content import BATCH, JSON, STRUCTURED
from services.ingest.gateway.problem import MEDIA_TYPE, STATUS

_OBJECT = {"type": "object"}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:rapport:problem:"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "reason"],
                "properties": {"path": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}


SECURITY = {"token": {"type": "http", "scheme": "bearer", "description": "from `rapport ingest token create`"}}


def problems(described: Mapping[str, str]) -> dict[str, Any]:
    """Responses by status, each a problem."""
    return {
        status: {"description": words, "content": {MEDIA_TYPE: {"schema": PROBLEM}}}
        for status, words in described.items()
    }


_PROBLEMS = {
    "400": "not valid: `errors` says where and why",
    "401": "no valid token",
    "403": "the token does not allow this",
    "409": "the id is taken by another event",
    "413": "more than 1 MiB",
    "415": "another content type",
    "429": "more events than the token may hand in: nothing was taken, Retry-After says when to send the same again",
    "503": "the broker is away: nothing was promised, Retry-After says when to send the same again",
}


def entry(place: str, statuses: set[int], *accepted: str) -> dict[str, Any]:
    """What is said of one of several that were handed in together; `accepted` are the reasons of those that are in."""
    return {
        "type": "object",
        "required": ["id", "status", "reason"],
        "properties": {
            "index": {"type": "integer", "description": place},
            "id": {"type": ["string", "null"]},
            "status": {"enum": sorted(statuses)},
            "reason": {"enum": [*accepted, *STATUS]},
            "errors": {"type": "array", "items": _OBJECT},
        },
    }


_EVENT = entry("in the batch", {202, *STATUS.values()} - {413}, "recorded", "duplicate")
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
        **problems(_PROBLEMS),
    },
}
