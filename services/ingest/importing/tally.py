"""Counts the lines of an import by outcome, and reports the rejected ones."""

import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from services.ingest.importing.detection import DetectedTable
from services.ingest.importing.entry import ImportEntry
from services.ingest.importing.sender import ImportAnswer
from services.ingest.importing.table import REPORT, REPORTED
from services.ingest.importing.translation import normalized_name
from services.ingest.sources.tables import BrokenRowError

LONGEST_VALUE = 500
# Excel would evaluate a cell that begins like this as a formula.
_CALCULATED = ("=", "+", "-", "@", "\t")


class RefusedRows:
    """The refused rows as a CSV table: UTF-8 with the byte order mark by which Excel recognises it, and the delimiter
    of the input (for a workbook, the one that fits its locale). The file is created when the first row is refused."""

    def __init__(self, file: Path, table: DetectedTable, *, append: bool) -> None:
        self.path, self._table, self._append = file, table, append
        self._file: TextIO | None = None
        self._kept_columns = [
            at for at, name in enumerate(table.header.file_columns) if normalized_name(name) not in REPORTED
        ]

    def add(self, entry: ImportEntry, errors: Sequence[Mapping[str, str]]) -> None:
        header = self._table.header
        try:
            cells = header.raw_cells(entry.line)
        except BrokenRowError:
            cells = []
        column = errors[0].get("column", "") if errors else ""
        at = header.columns.index(column) if column in header.columns else None
        named = header.file_columns[at] if at is not None else column
        full_line = entry.line.text.decode(errors="backslashreplace")
        value = cells[at] if at is not None and at < len(cells) else "" if cells else full_line
        reason = "; ".join([error["reason"] for error in errors[:1]] + [describe_error(error) for error in errors[1:]])
        report_cells = [str(entry.line.number), named, value[:LONGEST_VALUE], reason]
        # Cells beyond the header are kept, so that they are visible.
        row = [cells[one] if one < len(cells) else "" for one in self._kept_columns] + cells[len(header.file_columns) :]
        rows = [[*(f"'{text}" if text.startswith(_CALCULATED) else text for text in report_cells), *row]]
        if self._file is None:
            continues = self._append and self.path.exists()
            encoding = "utf-8" if continues else "utf-8-sig"
            self._file = self.path.open("a" if continues else "w", encoding=encoding, newline="")
            if not continues:
                rows.insert(0, [*REPORT, *(header.file_columns[one] for one in self._kept_columns)])
        csv.writer(self._file, delimiter=self._table.delimiter_of_reports).writerows(rows)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def describe_error(error: Mapping[str, str]) -> str:
    return f"{error.get('column') or error['path']}: {error['reason']}".removeprefix(": ")


# On the console; the report has all of them.
MAX_SHOWN = 10
ACCEPTED_REASONS = frozenset({"recorded", "duplicate"})


class Reports:
    """The reports of one import over all its files: rejected lines as JSONL (line number, reason, column and the
    original line), and for each table its refused rows as a table. `file` None writes no JSONL. `append` continues
    existing reports."""

    def __init__(self, file: Path | None, *, append: bool = False) -> None:
        self._path, self._append = file, append
        self._file: TextIO | None = None
        self._rows: list[RefusedRows | None] = []

    @property
    def tables(self) -> list[Path]:
        """The tables of refused rows that were written."""
        return [rows.path for rows in self._rows if rows and rows.path.exists()]

    def begin(self, tables: Sequence[tuple[Path | None, DetectedTable | None]]) -> None:
        """Takes, for each file, the path of its table of refused rows and what was detected of it."""
        self._rows = [
            RefusedRows(path, table, append=self._append) if path and table else None for path, table in tables
        ]

    def add(self, entry: ImportEntry, answer: ImportAnswer, errors: Sequence[Mapping[str, str]]) -> None:
        if self._path is not None:
            if self._file is None:
                self._file = self._path.open("a" if self._append else "w", encoding="utf-8")
            report = {
                "line": entry.line.number,
                "status": answer.status,
                "reason": answer.reason,
                "errors": errors,
                entry.original: entry.line.text.decode(errors="backslashreplace").strip("\r\n"),
            }
            self._file.write(json.dumps(report) + "\n")
        rows = self._rows[entry.input] if self._rows else None
        if rows:
            rows.add(entry, errors)

    def close(self) -> None:
        for one in (self._file, *self._rows):
            if one is not None:
                one.close()


def _column(entry: ImportEntry, index: int, path: str) -> str:
    """The column that `path` of the message at this index comes from. The messages of a row take their times from
    different columns."""
    found = ""
    if path == "time" and index < len(entry.messages):
        kind = str(json.loads(entry.messages[index]).get("type"))
        found = entry.column(f"time:{kind.removeprefix('mentoring.').removesuffix('.v1')}")
    return found or entry.column(path)


class ImportTally:
    """Counts lines, and reports those that were rejected. `names` of the files, if there are several."""

    def __init__(self, reports: Reports, names: Sequence[str] = ()) -> None:
        self._reports, self._names = reports, names
        self.recorded = self.duplicates = self.rejected = self.lines = self.last_line = 0
        self._refused: set[tuple[int, int]] = set()

    def count(self, entry: ImportEntry, answers: Sequence[ImportAnswer]) -> None:
        """A line is rejected if any of its messages is; it is reported once."""
        self.last_line = entry.line.number
        self.lines += 1
        reasons = [answer.reason for answer in answers]
        self.recorded += reasons.count("recorded")
        self.duplicates += reasons.count("duplicate")
        refused = ((index, one) for index, one in enumerate(answers) if one.reason not in ACCEPTED_REASONS)
        index, fault = next(refused, (0, None))
        if fault and (entry.input, entry.line.number) not in self._refused:
            self.rejected += 1
            if self._names:
                self._refused.add((entry.input, entry.line.number))
            located = [(_column(entry, index, error["path"]), error["path"], error["reason"]) for error in fault.errors]
            errors = [{"path": at, **({"column": one} if one else {}), "reason": why} for one, at, why in located]
            if self.rejected <= MAX_SHOWN:
                location = f"{self._names[entry.input]}, line" if self._names else "line"
                click.echo(
                    f"{location} {entry.line.number}: {fault.reason}: {'; '.join(map(describe_error, errors))}",
                    err=True,
                )
            self._reports.add(entry, fault, errors)

    def summary(self) -> str:
        return f"{self.recorded} new, {self.duplicates} duplicates, {self.rejected} rejected"


LINE_SECONDS = 5.0

# Called after every batch with the position in the file.
ShowProgress = Callable[[int], None]


@contextmanager
def progress(size: int | None, tally: ImportTally) -> Iterator[ShowProgress]:
    """Show a progress bar at a terminal, else print a line from time to time. `size` of the input, None if unknown."""
    if sys.stderr.isatty() and size:
        bar: Any  # its class is private to click
        with click.progressbar(
            length=size, label="import", file=sys.stderr, item_show_func=lambda _: f"{tally.lines:,} lines"
        ) as bar:
            yield lambda position: bar.update(position - bar.pos)
        return
    began = reported_at = time.monotonic()

    def show(position: int) -> None:
        nonlocal reported_at
        now = time.monotonic()
        if now - reported_at >= LINE_SECONDS:
            reported_at = now
            part = f"{100 * position / size:.0f} %, " if size else ""
            click.echo(f"{part}{tally.lines:,} lines, {tally.lines / (now - began):,.0f}/s", err=True)

    yield show
