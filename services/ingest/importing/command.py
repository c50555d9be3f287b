"""`rapport ingest import`."""

import sys
from pathlib import Path
from typing import Any

import click

from services.ingest.commands.console import explained
from services.ingest.importing.kinds.registry import KINDS
from services.ingest.importing.options import chosen
from services.ingest.importing.run import run


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
