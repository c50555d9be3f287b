"""`rapport scoring explain RELATIONSHIP`: how it is, why, how it came to be, and what would lift it."""

import json
import sys

import click

from services.scoring.commands.console import command_settings, explained, instant, output, progress
from services.scoring.commands.explain_json import document
from services.scoring.commands.explain_report import report
from services.scoring.domain.explaining.explanation import Untold, explain
from services.scoring.domain.explaining.knowledge import knowledge_of
from services.scoring.flow.one_relationship import Log, UnknownRelationshipError, read_relationship
from services.scoring.flow.programmes import UnreadableProgrammeError, programmes
from services.scoring.flow.settings import ScoringSettings
from services.scoring.names import Names


@click.command("explain")
@click.argument("relationship")
@click.option("--as-of", callback=instant, help="The story up to then, ISO 8601; UTC without a zone. Default: now.")
@click.option("--known-at", callback=instant, help="As known then: events recorded later are left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
def explain_(relationship: str, as_of: int | None, known_at: int | None, *, as_json: bool) -> None:
    """Explain the score of RELATIONSHIP (tenant/id, or the id where only one tenant has it).

    With --known-at alone the story ends there too; with both, it is the story up to --as-of as it was known at
    --known-at."""
    settings = command_settings()
    names = Names.at(settings.log_epoch)
    with explained("explain", UnknownRelationshipError, UnreadableProgrammeError):
        log = _read(settings, names, relationship)
        profiles = programmes(settings, names)
    known = knowledge_of(log.relationship, log.events, known_at)
    upto = as_of if as_of is not None else known_at if known_at is not None else log.clock
    found = explain(known, profiles.of(log.relationship, known.program), upto)
    if isinstance(found, Untold):
        sys.exit(f"rapport scoring explain: {log.relationship}: {found.reason}")
    if as_json:
        click.echo(json.dumps(document(found), indent=2))
    else:
        report(output(), found, log.clock)


def _read(settings: ScoringSettings, names: Names, relationship: str) -> Log:
    with progress() as bar:
        task = bar.add_task("reading the log", total=None)
        return read_relationship(settings, names, relationship, lambda: bar.advance(task))
