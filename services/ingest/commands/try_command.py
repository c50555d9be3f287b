"""`rapport ingest try TOOL FILE...`: what payloads become, telling nobody; for people and for programs."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from schemas.events import MentoringEvent, to_json
from services.ingest.commands.attempt import (
    PRETENDED_KEY,
    Attempt,
    Conclusion,
    Heard,
    NoAccountError,
    Refusal,
    Tried,
    TryOptions,
    connection_of,
)
from services.ingest.console import explained, quiet_settings
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents import read_json
from services.ingest.domain.dead_letters import harmless
from services.ingest.domain.ids import any_pseudonym
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.scope import any_scope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.people.followers import projection_now
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import Connection

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
MEDIA_TYPES = dict.fromkeys((".csv", ".tsv", ".txt"), "text/csv")


@click.command("try")
@click.argument("tool", type=click.Choice(sorted(TOOLS)))
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=READABLE)
@click.option("--connections", type=READABLE, help="The file of connections; secrets need not be there.")
@click.option("--connection", help="Which of them; not needed if there is one of the tool.")
@click.option("--settings", type=READABLE, help="Without connections: the tool's settings, YAML.")
@click.option("--tenant", help="Without connections: whose payload it is.", default="try", show_default=True)
@click.option("--roster", type=READABLE, help="JSONL: events of relationships and sessions, and participants.")
@click.option("--live", is_flag=True, help="The roster that the log and the directory know now.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Of the request, such as content-type.")
@click.option("--json", "as_json", is_flag=True, help="One JSON per payload.")
def try_(*, tool: str, files: tuple[Path, ...], as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Show what the bodies of requests, one per FILE and in this order, would become; nothing is sent or written.

    With a roster the events are shown, and what becomes of the meetings when they are over; without one the statements
    only. Ends with 1 if anything is rejected."""
    now, names = datetime.now(UTC), ("connections", "connection", "settings", "tenant")
    with explained():
        try:
            connection = connection_of(TOOLS[tool], TryOptions(**{name: options[name] for name in names}))
        except NoAccountError as missing:
            raise click.ClickException(str(missing)) from missing
        projection = _projection(connection, options, Clock(now))
    attempt, found = Attempt(connection, projection, now), list[Shown]()
    given = (header.partition(":") for header in options["headers"])
    named = {name.strip().lower(): value.strip() for name, _, value in given}
    for file in files:
        headers = {"content-type": MEDIA_TYPES.get(file.suffix.lower(), "application/json")} | named
        found += [
            Shown(str(file), number, tried) for number, tried in enumerate(attempt.of(file.read_bytes(), headers), 1)
        ]
    told = all_in_json(found, attempt.concluded()) if as_json else all_in_words(found, attempt.concluded())
    for line in told:
        click.echo(line)
    sys.exit(1 if any(one.tried.is_rejected for one in found) else 0)


def _projection(connection: Connection, options: dict[str, Any], clock: Clock) -> Projection | None:
    if options["roster"] and options["live"]:
        raise click.UsageError("--roster or --live, not both")
    if options["live"]:
        return projection_now(quiet_settings(), PRETENDED_KEY)
    try:
        return read_roster(options["roster"], connection.connection_scope.tenant, clock) if options["roster"] else None
    except BrokenRosterError as broken:
        raise click.ClickException(str(broken)) from broken


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
        of = parsed.value.get("tenant", tenant)
        found = read_participant(parsed.value, of if isinstance(of, str) else tenant, clock.now)
        if isinstance(found, Rejected):
            return found
        projection.upsert(found)
        return None
    verdict = admit(parsed.value, any_scope(parsed.value, tenant), clock, pseudonym=any_pseudonym)
    if isinstance(verdict, Rejected):
        return verdict
    projection.apply(verdict.event)
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
        outcomes = [json.loads(to_json(event)) for event in last.outcomes]
        undecided = [
            {"subject": key.relationship, "session_id": key.session, "reason": reason} for key, reason in last.undecided
        ]
        concluded = {"outcomes": outcomes, "undecided": undecided}
        yield json.dumps({"file": one.file, "payload": one.number, **in_json(one.tried), **concluded})


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


def in_json(tried: Tried) -> dict[str, object]:
    kind = "pointer" if tried.pointer else "ignored" if tried.refusal else "told"
    outcome: dict[str, object] = {"outcome": "rejected" if tried.is_rejected else kind}
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
