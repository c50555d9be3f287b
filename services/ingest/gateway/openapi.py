"""The OpenAPI document: the paths of the gateway with their request bodies and responses."""

from collections.abc import Mapping
from typing import Any

from schemas.events import EVENT_TYPES
from schemas.models import PREFIX, models
from services.ingest.domain.cloudevents import BATCH, JSON, STRUCTURED
from services.ingest.gateway.requests import STATUS
from services.runtime.http.problems import MEDIA_TYPE

EVENTS = "/v1/events"
BATCH_OF_EVENTS = "/v1/events/batch"
PEOPLE = "/v1/directory/participants"
PERSON = PEOPLE + "/{participant}"
TOOL = "/v1/sources/{tool}/{connection}"
TOOL_ROUTE = TOOL + "/{route}"

_OBJECT = {"type": "object"}
_PROBLEM = {
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


_SECURITY = {"token": {"type": "http", "scheme": "bearer", "description": "from `rapport ingest token create`"}}


def _problems(described: Mapping[str, str]) -> dict[str, Any]:
    """Responses by status, each a problem."""
    return {
        status: {"description": words, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
        for status, words in described.items()
    }


_TOKEN = {"401": "no valid token", "403": "the token does not allow this"}
_BODY = {"413": "more than 1 MiB", "415": "another content type, or a compressed body"}
_ONE_REFUSED = {"422": "the broker does not take one of the records, however often it is sent"}
_AWAY = {"503": "the broker is away: nothing was promised, Retry-After says when to send the same again"}
_LATER = "nothing was taken, Retry-After says when to send the same again"
_PROBLEMS = {
    "400": "not valid: `errors` says where and why",
    **_TOKEN,
    "409": "the id is taken by another event",
    **_BODY,
    "422": "the broker does not take the record, however often it is sent",
    "429": f"more events than the token may hand in: {_LATER}",
    **_AWAY,
}


def _entry(index_of: str, statuses: set[int], *accepted: str) -> dict[str, Any]:
    """The schema of one item's entry in a response; `accepted` are the reasons of accepted items."""
    return {
        "type": "object",
        "required": ["id", "status", "reason"],
        "properties": {
            "index": {"type": "integer", "description": index_of},
            "id": {"type": ["string", "null"]},
            "status": {"enum": sorted(statuses)},
            "reason": {"enum": [*accepted, *STATUS, "unavailable"]},
            "errors": {"type": "array", "items": _OBJECT},
        },
    }


_EVENT = _entry("in the batch", {202, *STATUS.values(), 503}, "recorded", "duplicate")
_BATCH_RESULT = {
    "type": "object",
    "properties": {
        "recorded": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "rejected": {"type": "integer"},
        "unavailable": {"type": "integer", "description": "may be sent again; only where one was refused for good"},
        "events": {"type": "array", "items": _EVENT},
    },
}

_REFERENCE = "#/components/schemas/{model}"
_ANY_EVENT = {"$ref": _REFERENCE.format(model="Event")}
# Attributes that ingest adds where a sender leaves them out.
_ADDED = frozenset({"tenant", "partitionkey", "recordedtime"})


def _event_schemas() -> dict[str, Any]:
    """The schema of every type of event as a sender writes it, and of `Event`: one of them, by its type. Additional
    attributes are allowed, because unknown ones are dropped."""
    found: dict[str, Any] = {}
    references: dict[str, str] = {}
    for name in EVENT_TYPES:
        schema = models()[name.removeprefix(PREFIX)].model_json_schema(by_alias=True, ref_template=_REFERENCE)
        found |= schema.pop("$defs")
        schema.pop("additionalProperties")
        schema |= {"title": name, "required": sorted({"specversion", *schema["required"]} - _ADDED)}
        # `SessionHeldEvent` for `mentoring.session.held.v1`.
        words = name.removeprefix(PREFIX).removesuffix(".v1").replace(".", "_").split("_")
        model = "".join(map(str.capitalize, words)) + "Event"
        found[model], references[name] = schema, _REFERENCE.format(model=model)
    one_of = [{"$ref": reference} for reference in references.values()]
    return found | {"Event": {"oneOf": one_of, "discriminator": {"propertyName": "type", "mapping": references}}}


_ANSWERS = {
    "202": {
        "description": "every event is on the log",
        "content": {"application/json": {"schema": {"oneOf": [_EVENT, _BATCH_RESULT]}}},
    },
    "207": {
        "description": "some events of the batch are on the log",
        "content": {"application/json": {"schema": _BATCH_RESULT}},
    },
    **_problems(_PROBLEMS),
}


def _events_operation(media_type: str, schema: Mapping[str, Any], words: str) -> dict[str, Any]:
    body = {"required": True, "content": {media_type: {"schema": schema}}}
    return {"security": [{"token": []}], "description": words, "requestBody": body, "responses": _ANSWERS}


# Client generators fail on an operation with several content types: each content type has its own operation.
_POST_EVENTS = _events_operation(
    STRUCTURED,
    _ANY_EVENT,
    f"One CloudEvent in structured mode. Also a batch ({BATCH}), and binary mode: attributes in `ce-` headers, `data` "
    f"as the body ({JSON}).",
)
_POST_BATCH = _events_operation(
    BATCH, {"type": "array", "items": _ANY_EVENT, "minItems": 1}, "The same for several events: a JSON array of them."
)


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
    "415": "another content type than the tool's, or a compressed body",
    **_ONE_REFUSED,
    "429": f"more than the connection may hand in: {_LATER}",
    **_AWAY,
}

_SEND: dict[str, Any] = {
    "parameters": _CONNECTION,
    "requestBody": {"required": False, "content": {"application/json": {"schema": _ANY}, "text/csv": {"schema": _ANY}}},
    "responses": {
        "202": {
            "description": "on the tool's raw topic; what it means is decided after the answer",
            "content": {"application/json": {"schema": _RECORDED}},
        },
        "200": _ANSWER,
        "204": {"description": "recorded, for tools that expect this answer"},
        **_problems(_TOOL_PROBLEMS),
    },
}
_SEND_TO_ROUTE: dict[str, Any] = {**_SEND, "parameters": _ROUTE}
_ASK_ROUTE: dict[str, Any] = {
    "parameters": _ROUTE,
    "responses": {
        "200": _ANSWER,
        **_problems({name: _TOOL_PROBLEMS[name] for name in ("400", "401", "404", "405", "413", "429", "503")}),
    },
}


_OF_PEOPLE = {
    "400": "not valid: `errors`, or those of each participant, say where and why",
    **_TOKEN,
    **_ONE_REFUSED,
    "429": f"more than the token may hand in: {_LATER}",
    **_AWAY,
}
_PERSON = _entry(
    "in the array",
    {202, STATUS["invalid"], STATUS["forbidden"], STATUS["too_large"], STATUS["refused"], 503},
    "recorded",
    "erased",
)
_PEOPLE = {
    "type": "object",
    "properties": {
        "recorded": {"type": "integer"},
        "rejected": {"type": "integer"},
        "participants": {"type": "array", "items": _PERSON},
    },
}
_WRITE_PEOPLE: dict[str, Any] = {
    "security": [{"token": []}],
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"type": "array", "items": {"type": "object"}, "minItems": 1}}},
    },
    "responses": {
        "202": {
            "description": "all are on the way into the directory: the broker has them",
            "content": {JSON: {"schema": _PEOPLE}},
        },
        "207": {"description": "some are on the way into the directory", "content": {JSON: {"schema": _PEOPLE}}},
        **_problems(_OF_PEOPLE | _BODY),
    },
}
_ERASE_PERSON: dict[str, Any] = {
    "security": [{"token": []}],
    "parameters": [{"name": "participant", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "202": {
            "description": "the erasure is on its way into the directory: the broker has it",
            "content": {JSON: {"schema": _PERSON}},
        },
        **_problems(_OF_PEOPLE),
    },
}

_HELLO = {"responses": {"200": {"description": "Successful Response", "content": {JSON: {"schema": {}}}}}}
_OF_ROUTE = "serve_route_v1_sources__tool___connection___route__"
_ROUTE_SUMMARY = "For tools with routes of their own"


def document() -> dict[str, Any]:
    """Generated clients name their functions after these operation ids."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rapport gateway", "version": "1"},
        "paths": {
            "/": {"get": _operation("What is here", "hello__get", _HELLO)},
            BATCH_OF_EVENTS: {
                "post": _operation("Hand in several events", "post_events_v1_events_batch_post", _POST_BATCH)
            },
            EVENTS: {"post": _operation("Hand in events", "post_events_v1_events_post", _POST_EVENTS)},
            TOOL: {
                "post": _operation("Hand in what a tool says", "post_source_v1_sources__tool___connection__post", _SEND)
            },
            TOOL_ROUTE: {
                "get": _operation("What a tool asks first", _OF_ROUTE + "get", _ASK_ROUTE),
                "put": _operation(_ROUTE_SUMMARY, _OF_ROUTE + "put", _SEND_TO_ROUTE),
                "post": _operation(_ROUTE_SUMMARY, _OF_ROUTE + "post", _SEND_TO_ROUTE),
            },
            PEOPLE: {
                "post": _operation("Write people", "post_participants_v1_directory_participants_post", _WRITE_PEOPLE)
            },
            PERSON: {
                "delete": _operation(
                    "Erase a person", "delete_participant_v1_directory_participants__participant__delete", _ERASE_PERSON
                )
            },
        },
        "components": {"securitySchemes": _SECURITY, "schemas": _event_schemas()},
    }


def _operation(summary: str, operation_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "operationId": operation_id, **content}
