"""`rapport ingest try TOOL FILE...`: shows what payloads become and sends nothing; as text or as JSON."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from schemas.events import MentoringEvent, to_json
from services.ingest.commands.tool_dry_run import (
    PLACEHOLDER_KEY,
    Conclusion,
    ConnectionChoiceError,
    PayloadResult,
    Refusal,
    StatementResult,
    ToolDryRun,
    TryOptions,
    choose_connection,
)
from services.ingest.console import quiet_settings, report_errors
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
@click.option("--connections", type=READABLE, help="The file of connections; its secrets need not be set.")
@click.option("--connection", help="The connection to use; not needed if the tool has only one.")
@click.option("--settings", type=READABLE, help="Without connections: the tool's settings, YAML.")
@click.option("--tenant", help="Without connections: whose payload it is.", default="try", show_default=True)
@click.option("--roster", type=READABLE, help="JSONL: events of relationships and sessions, and participants.")
@click.option("--live", is_flag=True, help="Use the current roster of the log and the directory.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header, such as content-type.")
@click.option("--json", "as_json", is_flag=True, help="One JSON per payload.")
def try_(*, tool: str, files: tuple[Path, ...], as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Show what request bodies of TOOL, one per FILE and in this order, would become; nothing is sent or written.

    With a roster the command shows the events, and the outcomes of the meetings once they are over; without one only
    the statements. Exits with 1 if anything is rejected.
    """
    now, names = datetime.now(UTC), ("connections", "connection", "settings", "tenant")
    with report_errors():
        try:
            connection = choose_connection(TOOLS[tool], TryOptions(**{name: options[name] for name in names}))
        except ConnectionChoiceError as missing:
            raise click.ClickException(str(missing)) from missing
        projection = _projection_of(connection, options, Clock(now))
    dry_run, results = ToolDryRun(connection, projection, now), list[NumberedResult]()
    given = (header.partition(":") for header in options["headers"])
    named = {name.strip().lower(): value.strip() for name, _, value in given}
    for file in files:
        headers = {"content-type": MEDIA_TYPES.get(file.suffix.lower(), "application/json")} | named
        results += [
            NumberedResult(str(file), number, result)
            for number, result in enumerate(dry_run.request(file.read_bytes(), headers), 1)
        ]
    lines = report_json(results, dry_run.conclude()) if as_json else report_lines(results, dry_run.conclude())
    for line in lines:
        click.echo(line)
    sys.exit(1 if any(one.result.is_rejected for one in results) else 0)


def _projection_of(connection: Connection, options: dict[str, Any], clock: Clock) -> Projection | None:
    if options["roster"] and options["live"]:
        raise click.UsageError("--roster or --live, not both")
    if options["live"]:
        return projection_now(quiet_settings(), PLACEHOLDER_KEY)
    try:
        return read_roster(options["roster"], connection.connection_scope.tenant, clock) if options["roster"] else None
    except BrokenRosterError as broken:
        raise click.ClickException(str(broken)) from broken


class BrokenRosterError(Exception):
    """The message names the file, the line and the position in it."""


def read_roster(file: Path, tenant: str, clock: Clock) -> Projection:
    """Read a JSONL file; a record without a tenant belongs to `tenant`. Raises BrokenRosterError."""
    projection = Projection(Roster(PLACEHOLDER_KEY))
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                problem = _apply_line(projection, line, tenant, clock)
                if problem:
                    first = problem.errors[0]
                    raise BrokenRosterError(
                        f"{file}: line {number}: {problem.reason}: {first.path}: {first.reason}".replace(": : ", ": ")
                    )
    return projection


def _apply_line(projection: Projection, line: bytes, tenant: str, clock: Clock) -> Rejected | None:
    parsed = read_json(line)
    if isinstance(parsed, Rejected):
        return parsed
    if isinstance(parsed.value, dict) and "type" not in parsed.value:
        stated = parsed.value.get("tenant", tenant)
        participant = read_participant(parsed.value, stated if isinstance(stated, str) else tenant, clock.now)
        if isinstance(participant, Rejected):
            return participant
        projection.upsert(participant)
        return None
    verdict = admit(parsed.value, any_scope(parsed.value, tenant), clock, pseudonym=any_pseudonym)
    if isinstance(verdict, Rejected):
        return verdict
    projection.apply(verdict.event)
    return None


class NumberedResult(NamedTuple):
    """The result of the payload with that number in a file."""

    file: str
    number: int
    result: PayloadResult


def report_json(results: list[NumberedResult], conclusion: Conclusion) -> Iterator[str]:
    """Yield one line per payload. The last line also holds the outcomes of the meetings, because they depend on all
    payloads."""
    for index, one in enumerate(results, 1):
        last = conclusion if index == len(results) else Conclusion()
        outcomes = [json.loads(to_json(event)) for event in last.outcomes]
        undecided = [
            {"subject": key.relationship, "session_id": key.session, "reason": reason} for key, reason in last.undecided
        ]
        concluded = {"outcomes": outcomes, "undecided": undecided}
        yield json.dumps({"file": one.file, "payload": one.number, **payload_json(one.result), **concluded})


def report_lines(results: list[NumberedResult], conclusion: Conclusion) -> Iterator[str]:
    for one in results:
        yield f"{one.file}, payload {one.number}"
        yield from (f"  {line}" for line in payload_lines(one.result))
    if conclusion.outcomes or conclusion.undecided:
        yield "when the meetings are over"
    for event in conclusion.outcomes:
        yield from _event_lines(event)
    for key, reason in conclusion.undecided:
        yield harmless(f"  no outcome for session {key.session} of {key.relationship}: {reason}")


def payload_json(result: PayloadResult) -> dict[str, object]:
    kind = "pointer" if result.pointer else "ignored" if result.refusal else "told"
    outcome: dict[str, object] = {"outcome": "rejected" if result.is_rejected else kind}
    if result.pointer:
        outcome["resource"] = result.pointer.resource
    if result.refusal:
        outcome |= _refusal_json(result.refusal)
    return {
        **outcome,
        "text_cut": bool(result.cut),
        "cut": list(result.cut),
        "statements": [_statement_json(one) for one in result.statements],
    }


def payload_lines(result: PayloadResult) -> Iterator[str]:
    if result.cut:
        yield harmless(f"is not kept: {', '.join(path or 'all of it' for path in result.cut)}")
    if result.pointer:
        yield f"points to {harmless(result.pointer.resource)}: it is fetched from the tool's API by the service"
    if result.refusal:
        yield from _refusal_lines(result.refusal)
    for one in result.statements:
        yield from _statement_lines(one)


def _refusal_json(refusal: Refusal) -> dict[str, object]:
    if isinstance(refusal, Ignored):
        return {"reason": refusal.reason}
    return {"reason": refusal.reason, "errors": [{"path": e.path, "reason": e.reason} for e in refusal.errors]}


def _refusal_lines(refusal: Refusal) -> Iterator[str]:
    if isinstance(refusal, Ignored):
        yield f"ignored: {harmless(refusal.reason)}"
        return
    for error in refusal.errors:
        yield harmless(f"rejected: {refusal.reason}: {error.path}: {error.reason}".replace(": : ", ": "))


def _statement_json(one: StatementResult) -> dict[str, object]:
    document: dict[str, object] = {"said": type(one.activity).__name__.lower(), **_fields_of(one.activity)}
    if one.refusal:
        kind = "ignored" if isinstance(one.refusal, Ignored) else "rejected"
        document |= {"outcome": kind, **_refusal_json(one.refusal)}
    return document | {
        "events": [json.loads(to_json(event)) for event in one.events],
        "participants": [participant.model_dump(mode="json") for participant in one.participants],
    }


def _statement_lines(one: StatementResult) -> Iterator[str]:
    yield f"says {type(one.activity).__name__.lower()}"
    for name, value in _fields_of(one.activity).items():
        yield harmless(f"    {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    if one.refusal:
        yield from (f"  {line}" for line in _refusal_lines(one.refusal))
    for event in one.events:
        yield from _event_lines(event)
    for participant in one.participants:
        yield harmless(f"  writes the participant {participant.id}, {participant.status}")


def _event_lines(event: MentoringEvent) -> Iterator[str]:
    yield harmless(f"  becomes {event.type} of {event.subject if hasattr(event, 'subject') else event.tenant}")
    yield harmless(f"    {to_json(event).decode()}")


def _fields_of(value: object) -> dict[str, object]:
    """Return the members of a frozen dataclass that have a value."""
    assert is_dataclass(value)
    members = {one.name: _json_value(getattr(value, one.name)) for one in fields(value)}
    return {name: member for name, member in members.items() if member not in (None, "", (), [], {})}


def _json_value(value: object) -> object:
    match value:
        case datetime() | date():
            return value.isoformat()
        case frozenset():
            # Sorted: the order of a set of texts differs from process to process.
            return sorted(str(one) for one in value)
        case tuple() | list():
            return [_json_value(one) for one in value]
        case Mapping():
            return {str(name): _json_value(one) for name, one in value.items()}
        case str() | int() | float() | None:
            return value
        case _:
            return _fields_of(value) if is_dataclass(value) else str(value)
