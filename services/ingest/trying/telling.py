"""What an attempt showed, for people and for programs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime

from schemas.events import to_json
from services.ingest.domain.dead_letters import harmless
from services.ingest.domain.verdict import Ignored
from services.ingest.trying.attempt import Heard, Refusal, Tried


def in_json(tried: Tried) -> dict[str, object]:
    outcome: dict[str, object] = {"outcome": _outcome(tried)}
    if tried.pointer:
        outcome["resource"] = tried.pointer.resource
    if tried.refusal:
        outcome |= _refusal(tried.refusal)
    return {
        **outcome,
        "text_cut": bool(tried.cut),
        "cut": list(tried.cut),
        "statements": [_heard_json(one) for one in tried.heard],
    }


def in_words(tried: Tried) -> Iterator[str]:
    if tried.cut:
        yield harmless(f"is not kept: {', '.join(path or 'all of it' for path in tried.cut)}")
    if tried.pointer:
        yield f"points to {harmless(tried.pointer.resource)}: it is fetched from the tool's API by the service"
    if tried.refusal:
        yield from _refused(tried.refusal)
    for one in tried.heard:
        yield from _heard(one)


def _outcome(tried: Tried) -> str:
    if tried.is_rejected:
        return "rejected"
    if tried.pointer:
        return "pointer"
    return "ignored" if tried.refusal else "told"


def _refusal(refusal: Refusal) -> dict[str, object]:
    if isinstance(refusal, Ignored):
        return {"reason": refusal.reason}
    return {"reason": refusal.reason, "errors": [{"path": e.path, "reason": e.reason} for e in refusal.errors]}


def _refused(refusal: Refusal) -> Iterator[str]:
    if isinstance(refusal, Ignored):
        yield f"ignored: {harmless(refusal.reason)}"
        return
    for error in refusal.errors:
        yield harmless(f"rejected: {refusal.reason}: {error.path}: {error.reason}".replace(": : ", ": "))


def _heard_json(one: Heard) -> dict[str, object]:
    found: dict[str, object] = {"said": type(one.said).__name__.lower(), **_members(one.said)}
    if one.refusal:
        kind = "ignored" if isinstance(one.refusal, Ignored) else "rejected"
        return found | {"outcome": kind, **_refusal(one.refusal)}
    return found | {
        "events": [json.loads(to_json(event)) for event in one.events],
        "participants": [participant.model_dump(mode="json") for participant in one.participants],
    }


def _heard(one: Heard) -> Iterator[str]:
    yield f"says {type(one.said).__name__.lower()}"
    for name, value in _members(one.said).items():
        yield harmless(f"    {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    if one.refusal:
        yield from (f"  {line}" for line in _refused(one.refusal))
    for event in one.events:
        yield harmless(f"  becomes {event.type} of {event.subject if hasattr(event, 'subject') else event.tenant}")
        yield harmless(f"    {to_json(event).decode()}")
    for participant in one.participants:
        yield harmless(f"  writes the participant {participant.id}, {participant.status}")


def _members(value: object) -> dict[str, object]:
    """Of a frozen dataclass; what is not known is left out."""
    assert is_dataclass(value)
    found = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return {name: member for name, member in found.items() if member not in (None, "", (), [], {})}


def _plain(value: object) -> object:
    match value:
        case datetime() | date():
            return value.isoformat()
        case tuple() | list() | frozenset():
            return [_plain(one) for one in value]
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case str() | int() | float() | None:
            return value
        case _:
            return _members(value) if is_dataclass(value) else str(value)
