"""What FastAPI cannot see of `/v1/sources/...`: each tool has a form and a proof of its own."""

from typing import Any

from services.ingest.gateway.openapi import problems

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
_PROBLEMS = {
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
        **problems(_PROBLEMS),
    },
}
SENT_TO_ROUTE: dict[str, Any] = {**SENT, "parameters": _ROUTE}
ASKED: dict[str, Any] = {
    "parameters": _ROUTE,
    "responses": {
        "200": _ANSWER,
        **problems({name: _PROBLEMS[name] for name in ("400", "401", "404", "405", "413", "429", "503")}),
    },
}
