"""`rapport ingest import` and `rapport ingest template`."""

import codecs
import csv
import io
import sys
from pathlib import Path
from typing import Any

import click

from services.ingest.console import report_errors
from services.ingest.importing.excel import EXPLANATION_SHEET, SUFFIXES, import_openpyxl
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import Column, TableKind
from services.ingest.importing.options import parse_options, time_zone_name
from services.ingest.importing.run import run
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.sources.day_formats import DAY_FORMATS

COMMENT_PREFIX = "# "
EXAMPLE_PREFIX = f"{COMMENT_PREFIX}example: "
LAST_ROW_WITH_CHOICES = 10_000
"""Excel offers the allowed values of a column down to this row."""
WIDTH = 18


@click.command()
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
def template(kind: str, file: Path | None) -> None:
    """Write an empty table of KIND to fill in. It holds the header, an example and the allowed values, in rows that
    begin with # and are not imported. FILE ends in .csv or .xlsx, or is - for standard output; default: KIND.csv."""
    target = file or Path(f"{kind}.csv")
    if target == Path("-"):
        click.echo(as_csv(KINDS[kind]), nl=False)
        return
    if target.exists():
        raise click.ClickException(f"{target} already exists")
    try:
        if target.suffix.lower() in SUFFIXES:
            _workbook(KINDS[kind]).save(target)
        else:
            # Excel recognises UTF-8 by the byte order mark only.
            target.write_text(as_csv(KINDS[kind]), encoding="utf-8-sig", newline="")
    except ImportStoppedError as missing:
        raise click.ClickException(str(missing)) from missing
    click.echo(f"{target} is written; fill it in, then run: rapport ingest import {target}")


def as_csv(kind: TableKind) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(kind.columns)
    table.writerow(_example(kind))
    width = len(kind.columns)
    for column in kind.columns.values():
        table.writerow([f"{COMMENT_PREFIX}{column.name}: {_description(kind, column)}", *[""] * (width - 1)])
    return text.getvalue()


def _example(kind: TableKind) -> list[str]:
    first, *others = (column.example for column in kind.columns.values())
    return [f"{EXAMPLE_PREFIX}{first}", *others]


def _description(kind: TableKind, column: Column) -> str:
    required = "needed; " if column.name in kind.required else ""
    allowed = f" ({', '.join(column.values)})" if column.values else ""
    return f"{required}{column.description}{allowed}"


def _workbook(kind: TableKind) -> Any:  # noqa: ANN401 (openpyxl is an extra)
    openpyxl = import_openpyxl()
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = kind.name
    sheet.append(list(kind.columns))
    sheet.append(_example(kind))
    sheet.freeze_panes = "A2"
    explanation = book.create_sheet(EXPLANATION_SHEET)
    for number, column in enumerate(kind.columns.values(), 1):
        letter = openpyxl.utils.get_column_letter(number)
        sheet[f"{letter}1"].font = openpyxl.styles.Font(bold=column.name in kind.required)
        sheet.column_dimensions[letter].width = WIDTH
        explanation.append([column.name, _description(kind, column)])
        if column.values:
            choices = openpyxl.worksheet.datavalidation.DataValidation(
                type="list", formula1=f'"{",".join(column.values)}"', allow_blank=True
            )
            sheet.add_data_validation(choices)
            choices.add(f"{letter}3:{letter}{LAST_ROW_WITH_CHOICES}")
    return book


def _encoding(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    try:
        if name:
            "a".encode(name)  # some codecs do not encode text
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
@click.option(
    "--kind",
    type=click.Choice(sorted(KINDS)),
    help="The kind of table in FILE; default: detected from its name and header.",
)
@click.option("--source", help="The CloudEvents source of rows without one, and of the clock event.")
@click.option("--program", help="The programme of rows without one.")
@click.option(
    "--time-zone",
    callback=lambda _context, _option, name: time_zone_name(name) if name else None,
    metavar="ZONE",
    help="The time zone of times without an offset, such as Europe/Berlin.",
)
@click.option(
    "--columns",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path, exists=True),
    help="A file that maps the column names and values of the table to Rapport's.",
)
@click.option("--skip-column", multiple=True, metavar="NAME", help="Ignore this column of the table.")
@click.option("--day-format", type=click.Choice(DAY_FORMATS), help="The format of dates other than 2026-03-31.")
@click.option("--decimal-comma/--no-decimal-comma", default=None, help="Whether 4,5 means four and a half.")
@click.option(
    "--encoding", callback=_encoding, metavar="NAME", help="The encoding of FILE, such as utf-8, cp1252, utf-16."
)
@click.option("--sheet", help="The sheet to read, of a workbook with several.")
@click.option(
    "--dry-run", is_flag=True, help="Check every line, send nothing. The token's permissions are not checked."
)
@click.option("--resume", is_flag=True, help="Continue where the last import of FILE was interrupted.")
@click.option("--heal", is_flag=True, help="At the end run `rapport scoring heal`, which corrects past scores.")
@click.option("--url", help="The gateway; default: this machine, RAPPORT_INGEST_PORT.")
@click.option("--token", help="The gateway token; default: RAPPORT_INGEST_TOKEN.")
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write rejected lines; default: FILE.rejected.jsonl",
)
@click.option("--patience", default=300.0, show_default=True, help="Seconds to wait for an unavailable gateway.")
@click.option("--clock-reached", metavar="TIME", help="At the end, declare the log complete up to TIME (log's clock).")
def import_events(**options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Send each FILE through the gateway. A FILE holds CloudEvents, one JSON object per line, or a table with a header
    (.xlsx, or CSV with commas, semicolons or tabs). It may be gzipped (.gz) or - for standard input.

    Tables: relationships, sessions, goals, feedback, directory; `rapport ingest template` writes an empty one of each.
    The command prints the detected format before it sends anything, and asks about what is ambiguous. Several files are
    sent in the right order: people, relationships, then everything else by time. Refused rows are written to
    FILE.rejected.csv, to be corrected there and imported again. Repeating an import is harmless: recorded rows count as
    duplicates.
    """
    with report_errors():
        sys.exit(run(parse_options(options)))
