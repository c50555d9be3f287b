"""What an attempt showed, for people and for programs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from schemas.directory import Participant
from schemas.events import MentoringEvent, to_json
from services.ingest.domain.admission import Clock, admit, any_pseudonym, any_scope
from services.ingest.domain.cloudevents import read_json
from services.ingest.domain.dead_letters import harmless
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.trying.attempt import PRETENDED_KEY, Conclusion, Heard, Refusal, Tried


class BrokenRosterError(Exception):
    """The message names the file, the line and the place in it."""


def read_roster(file: Path, tenant: str, clock: Clock) -> Projection:
    """What names no tenant is of this one. Raises BrokenRosterError."""
    projection = Projection(Roster(PRETENDED_KEY))
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                problem = _learn(projection, line, tenant, clock)
                if problem:
                    first = problem.errors[0]
                    raise BrokenRosterError(
                        f"{file}: line {number}: {problem.reason}: {first.path}: {first.reason}".replace(": : ", ": ")
                    )
    return projection


def _learn(projection: Projection, line: bytes, tenant: str, clock: Clock) -> Rejected | None:
    parsed = read_json(line)
    if isinstance(parsed, Rejected):
        return parsed
    if isinstance(parsed.value, dict) and "type" not in parsed.value:
        return _learn_participant(projection, parsed.value, tenant, clock)
    verdict = admit(parsed.value, any_scope(parsed.value, tenant), clock, pseudonym=any_pseudonym)
    if isinstance(verdict, Rejected):
        return verdict
    projection.apply(verdict.event)
    return None


def _learn_participant(projection: Projection, value: dict[str, object], tenant: str, clock: Clock) -> Rejected | None:
    of = value.get("tenant", tenant)
    found = read_participant(value, of if isinstance(of, str) else tenant, clock.now)
    if not isinstance(found, Participant):
        return found
    projection.upsert(found)
    return None


class Shown(NamedTuple):
    """The payload of that number in a file."""

    file: str
    number: int
    tried: Tried


def all_in_json(found: list[Shown], conclusion: Conclusion) -> Iterator[str]:
    """One line for each payload. What became of the meetings is told with the last: by then all is told of them."""
    for place, one in enumerate(found, 1):
        last = conclusion if place == len(found) else Conclusion()
        value = {"file": one.file, "payload": one.number, **in_json(one.tried), **_concluded_json(last)}
        yield json.dumps(value)


def all_in_words(found: list[Shown], conclusion: Conclusion) -> Iterator[str]:
    for one in found:
        yield f"{one.file}, payload {one.number}"
        yield from (f"  {line}" for line in in_words(one.tried))
    if conclusion.outcomes or conclusion.undecided:
        yield "when the meetings are over"
    for event in conclusion.outcomes:
        yield from _event(event)
    for key, reason in conclusion.undecided:
        yield harmless(f"  nothing is said of session {key.session} of {key.relationship}: {reason}")


def _concluded_json(conclusion: Conclusion) -> dict[str, object]:
    return {
        "outcomes": [json.loads(to_json(event)) for event in conclusion.outcomes],
        "undecided": [
            {"subject": key.relationship, "session_id": key.session, "reason": reason}
            for key, reason in conclusion.undecided
        ],
    }


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
        found |= {"outcome": kind, **_refusal(one.refusal)}
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
        yield from _event(event)
    for participant in one.participants:
        yield harmless(f"  writes the participant {participant.id}, {participant.status}")


def _event(event: MentoringEvent) -> Iterator[str]:
    yield harmless(f"  becomes {event.type} of {event.subject if hasattr(event, 'subject') else event.tenant}")
    yield harmless(f"    {to_json(event).decode()}")


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
