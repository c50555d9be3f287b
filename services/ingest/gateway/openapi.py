"""What FastAPI cannot see of our routes, because the endpoints read the bodies themselves."""

from collections.abc import Mapping
from typing import Any

from services.ingest.gateway.body import BATCH, JSON, STRUCTURED
from services.ingest.gateway.request_errors import MEDIA_TYPE, STATUS

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


_ANY = {"description": "as the tool documents it"}


def _parameter(name: str, words: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": words}


_CONNECTION = [_parameter("tool", "such as zoom"), _parameter("connection", "its id in the file of connections")]
_ROUTE = [*_CONNECTION, _parameter("route", "of the tool, such as statements for xAPI")]
_RECORDED = {
    "type": "object",
    "required": ["status", "reason"],
    "properties": {"status": {"const": 202}, "reason": {"const": "recorded"}},
}
_ANSWER = {
    "description": "the answer that the tool documents: to a handshake, or to what is recorded",
    "content": {"application/json": {"schema": {}}, "text/plain": {"schema": {"type": "string"}}},
}
_NOT_FOUND = {"404": "proven, but this tool has no such route", "405": "this tool sends otherwise"}
_UNPROVEN = {"401": "the request does not prove that it comes from a connection of this tool, be there one or not"}
_TOOL_PROBLEMS = {
    "400": "not readable: `errors` says where and why",
    **_UNPROVEN,
    **_NOT_FOUND,
    "413": "larger than the tool may send",
    "415": "another content type than the tool's",
    "429": "more than the connection may hand in: nothing was taken, Retry-After says when to send the same again",
    "503": "the broker is away: nothing was promised, Retry-After says when to send the same again",
}

SENT: dict[str, Any] = {
    "parameters": _CONNECTION,
    "requestBody": {"required": False, "content": {"application/json": {"schema": _ANY}, "text/csv": {"schema": _ANY}}},
    "responses": {
        "202": {
            "description": "on the tool's raw topic; what it means is decided after the answer",
            "content": {"application/json": {"schema": _RECORDED}},
        },
        "200": _ANSWER,
        "204": {"description": "recorded, for tools that expect this answer"},
        **problems(_TOOL_PROBLEMS),
    },
}
SENT_TO_ROUTE: dict[str, Any] = {**SENT, "parameters": _ROUTE}
ASKED: dict[str, Any] = {
    "parameters": _ROUTE,
    "responses": {
        "200": _ANSWER,
        **problems({name: _TOOL_PROBLEMS[name] for name in ("400", "401", "404", "405", "413", "429", "503")}),
    },
}
