"""Statements as a client sends them, one by one and completed as the standard asks of a receiver: with an id and, where
the client has left it out, the time."""

import json
from collections.abc import Mapping
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.strict_json import Parsed
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import Answer, Taken
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.xapi.identity import is_uuid, made_id
from services.ingest.sources.xapi.multipart import parse
from services.ingest.sources.xapi.proof import VERSION, VERSION_HEADER

HEADERS = ((VERSION_HEADER, VERSION),)
Statement = Mapping[str, object]


def take(received: Received, _settings: ToolSettings, now: datetime) -> Taken | Rejected:
    parsed = parse(received.body, received.headers.get("content-type", ""))
    if isinstance(parsed, Rejected):
        return parsed
    statements = _put(received, parsed) if received.method == "PUT" else _posted(parsed)
    if isinstance(statements, Rejected):
        return statements
    try:
        completed = [_completed(statement, now) for statement in statements]
        payloads = tuple(json.dumps(statement, ensure_ascii=False).encode() for statement in completed)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    # An empty array is right, and says nothing.
    return Taken(payloads or (b"[]",), answer=_answer(received, [str(statement["id"]) for statement in completed]))


def _posted(parsed: Parsed) -> list[Statement] | Rejected:
    values = parsed.value if isinstance(parsed.value, list) else [parsed.value]
    statements = [value for value in values if isinstance(value, dict)]
    if len(statements) < len(values):
        return rejected("malformed", "", "a statement is a JSON object; several are an array of them")
    ids: set[str] = set()
    for index, statement in enumerate(statements):
        given = statement.get("id")
        if given is None:
            continue
        if not isinstance(given, str) or not is_uuid(given):
            return rejected("invalid", f"{index}.id", "must be a UUID")
        if given.lower() in ids:
            return rejected("invalid", f"{index}.id", "is that of another statement of this request")
        ids.add(given.lower())
    return list(statements)


def _put(received: Received, parsed: Parsed) -> list[Statement] | Rejected:
    name = received.query.get("statementId", "")
    if not is_uuid(name):
        return rejected("invalid", "statementId", "PUT needs ?statementId= and the UUID of the statement")
    if not isinstance(parsed.value, dict):
        return rejected("malformed", "", "PUT carries one statement")
    statements = _posted(Parsed({"id": name, **parsed.value}))
    if isinstance(statements, Rejected):
        return statements
    if str(statements[0]["id"]).lower() != name.lower():
        return rejected("invalid", "id", "is another than that of ?statementId=")
    return statements


def _completed(statement: Statement, now: datetime) -> Statement:
    """What is complete stays as it is. Without an id of its own, the same statement gets the same."""
    timed = {**statement}
    if timed.get("timestamp") is None and timed.get("stored") is None:
        timed["timestamp"] = to_rfc3339(now)
    if timed.get("id") is None:
        timed["id"] = made_id(timed)
    return timed


def _answer(received: Received, ids: list[str]) -> Answer:
    if received.method == "PUT":
        return Answer(204, headers=HEADERS)
    return Answer(200, json.dumps(ids).encode(), headers=HEADERS)
