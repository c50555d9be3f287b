"""`rapport ingest import`."""

import codecs
import csv
import io
import sys
from pathlib import Path
from typing import Any

import click

from services.ingest.console import explained
from services.ingest.importing.excel import ABOUT_THE_TABLE, SUFFIXES, openpyxl_or_stop
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import Column, TableKind
from services.ingest.importing.options import chosen, zone_of
from services.ingest.importing.run import run
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.sources.day_formats import DAY_FORMATS

NOTE = "# "
EXAMPLE = f"{NOTE}example: "
ROWS_WITH_CHOICES = 10_000
"""Of a workbook: so far down Excel offers the allowed values."""
WIDTH = 18


@click.command()
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
def template(kind: str, file: Path | None) -> None:
    """Write a table of KIND to fill in: its header, an example and the allowed values, in rows that begin with # and
    are not read. FILE ends in .csv or .xlsx, or is - for standard output; default: KIND.csv."""
    target = file or Path(f"{kind}.csv")
    if target == Path("-"):
        click.echo(as_csv(KINDS[kind]), nl=False)
        return
    if target.exists():
        raise click.ClickException(f"{target} is there already")
    try:
        if target.suffix.lower() in SUFFIXES:
            _workbook(KINDS[kind]).save(target)
        else:
            # Excel knows UTF-8 by this mark alone.
            target.write_text(as_csv(KINDS[kind]), encoding="utf-8-sig", newline="")
    except ImportStoppedError as missing:
        raise click.ClickException(str(missing)) from missing
    click.echo(f"{target} is written; fill it in, then: rapport ingest import {target}")


def as_csv(kind: TableKind) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(kind.columns)
    table.writerow(_example(kind))
    width = len(kind.columns)
    for column in kind.columns.values():
        table.writerow([f"{NOTE}{column.name}: {_described(kind, column)}", *[""] * (width - 1)])
    return text.getvalue()


def _example(kind: TableKind) -> list[str]:
    first, *others = (column.example for column in kind.columns.values())
    return [f"{EXAMPLE}{first}", *others]


def _described(kind: TableKind, column: Column) -> str:
    needed = "needed; " if column.name in kind.needed else ""
    allowed = f" ({', '.join(column.values)})" if column.values else ""
    return f"{needed}{column.words}{allowed}"


def _workbook(kind: TableKind) -> Any:  # noqa: ANN401 (openpyxl is an extra)
    openpyxl = openpyxl_or_stop()
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = kind.name
    sheet.append(list(kind.columns))
    sheet.append(_example(kind))
    sheet.freeze_panes = "A2"
    about = book.create_sheet(ABOUT_THE_TABLE)
    for number, column in enumerate(kind.columns.values(), 1):
        letter = openpyxl.utils.get_column_letter(number)
        sheet[f"{letter}1"].font = openpyxl.styles.Font(bold=column.name in kind.needed)
        sheet.column_dimensions[letter].width = WIDTH
        about.append([column.name, _described(kind, column)])
        if column.values:
            choices = openpyxl.worksheet.datavalidation.DataValidation(
                type="list", formula1=f'"{",".join(column.values)}"', allow_blank=True
            )
            sheet.add_data_validation(choices)
            choices.add(f"{letter}3:{letter}{ROWS_WITH_CHOICES}")
    return book


def _encoding(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    try:
        if name:
            "a".encode(name)  # there are codecs of other things than text
            return codecs.lookup(name).name
    except (LookupError, TypeError) as unknown:
        raise click.BadParameter(f"{name!r} is no encoding of text") from unknown
    return None


@click.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True, exists=True),
)
@click.option("--kind", type=click.Choice(sorted(KINDS)), help="FILE is such a table; default: by its name and header.")
@click.option("--source", help="The CloudEvents source of rows (and of the clock event) that name none.")
@click.option("--program", help="The programme of rows that name none.")
@click.option(
    "--time-zone",
    callback=lambda _context, _option, name: zone_of(name) if name else None,
    metavar="ZONE",
    help="Where clocks hung for times without an offset: Europe/Berlin.",
)
@click.option(
    "--columns",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path, exists=True),
    help="A file that says what the table calls our columns and values.",
)
@click.option("--skip-column", multiple=True, metavar="NAME", help="A column of the table that is not read.")
@click.option("--day-format", type=click.Choice(DAY_FORMATS), help="Of days that are not written 2026-03-31.")
@click.option("--decimal-comma/--no-decimal-comma", default=None, help="Whether 4,5 is four and a half.")
@click.option("--encoding", callback=_encoding, metavar="NAME", help="Such as utf-8, cp1252, utf-16.")
@click.option("--sheet", help="Of a workbook with several.")
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
    """Send each FILE through the gateway: CloudEvents, one JSON per line, or a table with a header (.xlsx, or CSV with
    comma, semicolon or tab). FILE may be gzipped (.gz) or - for standard input.

    Tables: relationships, sessions, goals, feedback, directory; `rapport ingest template` writes an empty one of each.
    What is recognised of a table is said before anything is sent, and what is not certain is asked. Files that are
    given together are sent in the right order: people, pairs, then everything else by its time. Rows that were refused
    are in FILE.rejected.csv, to be mended there and imported. Running it again is harmless: what is recorded already
    counts as a duplicate."""
    with explained():
        sys.exit(run(chosen(options)))
