"""What an import was asked to do."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from services.ingest.commands.console import command_settings, explained
from services.ingest.importing.kinds.registry import KINDS
from services.ingest.importing.lines import STDIN
from services.ingest.importing.row import Defaults
from services.ingest.importing.run import run
from services.ingest.settings import IngestSettings

TABLES = frozenset({".csv", ".tsv"})


@dataclass(frozen=True)
class Options:
    """`token` is empty in a dry run without one."""

    settings: IngestSettings
    file: Path
    kind: str | None
    source: str | None
    program: str | None
    time_zone: str | None
    skip_column: tuple[str, ...]
    url: str
    token: str
    rejected: Path | None
    patience: float
    clock_reached: str | None
    dry_run: bool
    resume: bool
    heal: bool

    @property
    def is_table(self) -> bool:
        plain = Path(self.file.stem) if self.file.suffix == ".gz" else self.file
        return self.kind is not None or plain.suffix.lower() in TABLES

    @property
    def defaults(self) -> Defaults:
        return Defaults(self.source or "", self.program or "", self.time_zone or "")

    @property
    def state(self) -> Path | None:
        """Where the position is kept."""
        return None if self.dry_run or self.file == STDIN else self.file.with_name(f"{self.file.name}.position.json")


def chosen(given: dict[str, Any]) -> Options:
    """Raises SettingsError, click.UsageError."""
    settings = command_settings()
    secret = settings.ingest_token.get_secret_value() if settings.ingest_token else ""
    file: Path = given["file"]
    token = given["token"] or secret
    if not token and not given["dry_run"]:
        raise click.UsageError("give --token or RAPPORT_INGEST_TOKEN")
    if given["resume"] and (file == STDIN or given["dry_run"]):
        raise click.UsageError("--resume needs a file, and goes on with what was sent: not with --dry-run")
    report = None if file == STDIN else file.with_name(f"{file.name}.rejected.jsonl")
    ours = {
        "settings": settings,
        "url": given["url"] or f"http://{settings.host}:{settings.ingest_port}",
        "token": token,
        "rejected": given["rejected"] or report,
    }
    return Options(**{**given, **ours})


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True, exists=True))
@click.option("--kind", type=click.Choice(sorted(KINDS)), help="FILE is such a table; default: by its name and header.")
@click.option("--source", help="The CloudEvents source of rows (and of the clock event) that name none.")
@click.option("--program", help="The programme of rows that name none.")
@click.option("--time-zone", metavar="ZONE", help="Where clocks hung for times without an offset: Europe/Berlin.")
@click.option("--skip-column", multiple=True, metavar="NAME", help="A column of the table that is not read.")
@click.option("--dry-run", is_flag=True, help="Judge everything, send nothing. Whether the token may is not judged.")
@click.option("--resume", is_flag=True, help="Go on where the last import of FILE was interrupted.")
@click.option("--heal", is_flag=True, help="At the end run `rapport scoring heal`, for rows of the past.")
@click.option("--url", help="Of the gateway; default: on this machine, RAPPORT_INGEST_PORT.")
@click.option("--token", help="Default: RAPPORT_INGEST_TOKEN.")
@click.option("--rejected", type=click.Path(dir_okay=False, path_type=Path), help="Default: FILE.rejected.jsonl")
@click.option("--patience", default=300.0, show_default=True, help="Seconds the gateway may stay away.")
@click.option(
    "--clock-reached", metavar="TIME", help="Say at the end that the log is complete up to TIME (log's clock)."
)
def import_events(**options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Send FILE through the gateway: CloudEvents, one JSON per line, or a table with a header (CSV with comma,
    semicolon or tab). FILE may be gzipped (.gz) or - for standard input.

    Tables: relationships, sessions, goals, feedback, directory; the README of ingest lists their columns. Running it
    again is harmless: what is recorded already counts as a duplicate."""
    with explained():
        sys.exit(run(chosen(options)))
