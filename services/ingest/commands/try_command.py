"""`rapport ingest try TOOL FILE...`: what payloads become, telling nobody."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from services.ingest.console import explained, quiet_settings
from services.ingest.domain.admission import Clock
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.people.followers import projection_now
from services.ingest.sources.connections import Connection
from services.ingest.sources.registry import TOOLS
from services.ingest.trying.attempt import PRETENDED_KEY, Attempt, NoAccountError, TryOptions, connection_of
from services.ingest.trying.telling import BrokenRosterError, Shown, all_in_json, all_in_words, read_roster

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
    now = datetime.now(UTC)
    with explained():
        connection = _connection(tool, options)
        projection = _projection(connection, options, Clock(now))
    attempt = Attempt(connection, projection, now)
    found = [
        Shown(str(file), number, tried)
        for file in files
        for number, tried in enumerate(attempt.of(file.read_bytes(), _headers(file, options["headers"])), 1)
    ]
    told = all_in_json(found, attempt.concluded()) if as_json else all_in_words(found, attempt.concluded())
    for line in told:
        click.echo(line)
    sys.exit(1 if any(one.tried.is_rejected for one in found) else 0)


def _connection(tool: str, options: dict[str, Any]) -> Connection:
    names = ("connections", "connection", "settings", "tenant")
    try:
        return connection_of(TOOLS[tool], TryOptions(**{name: options[name] for name in names}))
    except NoAccountError as missing:
        raise click.ClickException(str(missing)) from missing


def _projection(connection: Connection, options: dict[str, Any], clock: Clock) -> Projection | None:
    if options["roster"] and options["live"]:
        raise click.UsageError("--roster or --live, not both")
    if options["live"]:
        return projection_now(quiet_settings(), PRETENDED_KEY)
    try:
        return read_roster(options["roster"], connection.connection_scope.tenant, clock) if options["roster"] else None
    except BrokenRosterError as broken:
        raise click.ClickException(str(broken)) from broken


def _headers(file: Path, given: tuple[str, ...]) -> dict[str, str]:
    guessed = {"content-type": MEDIA_TYPES.get(file.suffix.lower(), "application/json")}
    return guessed | {name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in given)}
