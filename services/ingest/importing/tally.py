"""What has become of the lines so far, and the report of those that were rejected."""

import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from services.ingest.importing.entry import ImportEntry
from services.ingest.importing.first_look import Look
from services.ingest.importing.sender import ImportAnswer
from services.ingest.importing.table import REPORT, REPORTED
from services.ingest.importing.translation import name_of
from services.ingest.sources.tables import BrokenRowError

LONGEST_VALUE = 500
# Excel would calculate what begins like this.
_CALCULATED = ("=", "+", "-", "@", "\t")


class RefusedRows:
    """Written in UTF-8 with the mark by which Excel knows it, and with the delimiter of the table; of a workbook, that
    which goes with its days. The file is there as soon as a row is refused."""

    def __init__(self, file: Path, look: Look, *, adds: bool) -> None:
        self.path, self._look, self._adds = file, look, adds
        self._file: TextIO | None = None
        self._kept = [at for at, name in enumerate(look.header.written) if name_of(name) not in REPORTED]

    def add(self, entry: ImportEntry, errors: Sequence[Mapping[str, str]]) -> None:
        header = self._look.header
        try:
            cells = header.written_cells(entry.line)
        except BrokenRowError:
            cells = []
        column = errors[0].get("column", "") if errors else ""
        at = header.columns.index(column) if column in header.columns else None
        named = header.written[at] if at is not None else column
        whole = entry.line.text.decode(errors="backslashreplace")
        value = cells[at] if at is not None and at < len(cells) else "" if cells else whole
        reason = "; ".join([error["reason"] for error in errors[:1]] + [in_words(error) for error in errors[1:]])
        said = [str(entry.line.number), named, value[:LONGEST_VALUE], reason]
        # What is beyond the header stays, so that it is seen.
        row = [cells[one] if one < len(cells) else "" for one in self._kept] + cells[len(header.written) :]
        rows = [[*(f"'{text}" if text.startswith(_CALCULATED) else text for text in said), *row]]
        if self._file is None:
            continues = self._adds and self.path.exists()
            encoding = "utf-8" if continues else "utf-8-sig"
            self._file = self.path.open("a" if continues else "w", encoding=encoding, newline="")
            if not continues:
                rows.insert(0, [*REPORT, *(header.written[one] for one in self._kept)])
        csv.writer(self._file, delimiter=self._look.delimiter_of_reports).writerows(rows)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def in_words(error: Mapping[str, str]) -> str:
    return f"{error.get('column') or error['path']}: {error['reason']}".removeprefix(": ")


# On the console; the report has them all.
MOST_SHOWN = 10
TAKEN = frozenset({"recorded", "duplicate"})


class Reports:
    """Of the files of one import, in their order: of each the rejected lines as JSONL (line number, reason, column and
    the line as it was) and, of a table, as a table. `file` None for nowhere. `adds` to what is in them already."""

    def __init__(self, file: Path | None, *, adds: bool = False) -> None:
        self._path, self._adds = file, adds
        self._file: TextIO | None = None
        self._rows: list[RefusedRows | None] = []

    @property
    def tables(self) -> list[Path]:
        """That were written."""
        return [rows.path for rows in self._rows if rows and rows.path.exists()]

    def begin(self, looks: Sequence[tuple[Path | None, Look | None]]) -> None:
        """What was recognised of the files, each with the place of its table of refused rows."""
        self._rows = [RefusedRows(path, look, adds=self._adds) if path and look else None for path, look in looks]

    def add(self, entry: ImportEntry, answer: ImportAnswer, errors: Sequence[Mapping[str, str]]) -> None:
        if self._path is not None:
            if self._file is None:
                self._file = self._path.open("a" if self._adds else "w", encoding="utf-8")
            told = {
                "line": entry.line.number,
                "status": answer.status,
                "reason": answer.reason,
                "errors": errors,
                entry.original: entry.line.text.decode(errors="backslashreplace").strip("\r\n"),
            }
            self._file.write(json.dumps(told) + "\n")
        rows = self._rows[entry.input] if self._rows else None
        if rows:
            rows.add(entry, errors)

    def close(self) -> None:
        for one in (self._file, *self._rows):
            if one is not None:
                one.close()


def _column(entry: ImportEntry, at: int, path: str) -> str:
    """From which `path` of the message at this place comes: each message of a row has the time of another column."""
    found = ""
    if path == "time" and at < len(entry.messages):
        kind = str(json.loads(entry.messages[at]).get("type"))
        found = entry.column(f"time:{kind.removeprefix('mentoring.').removesuffix('.v1')}")
    return found or entry.column(path)


class ImportTally:
    """Counts lines, and reports those that were rejected. `names`: how each file is called, if there are several."""

    def __init__(self, reports: Reports, names: Sequence[str] = ()) -> None:
        self._reports, self._names = reports, names
        self.recorded = self.duplicates = self.rejected = self.lines = self.last_line = 0
        self._refused: set[tuple[int, int]] = set()

    def count(self, entry: ImportEntry, answers: Sequence[ImportAnswer]) -> None:
        """A line is rejected if anything that it says is; that is told once."""
        self.last_line = entry.line.number
        self.lines += 1
        reasons = [answer.reason for answer in answers]
        self.recorded += reasons.count("recorded")
        self.duplicates += reasons.count("duplicate")
        at, fault = next(((at, one) for at, one in enumerate(answers) if one.reason not in TAKEN), (0, None))
        if fault and (entry.input, entry.line.number) not in self._refused:
            self.rejected += 1
            if self._names:
                self._refused.add((entry.input, entry.line.number))
            placed = [(_column(entry, at, error["path"]), error["path"], error["reason"]) for error in fault.errors]
            errors = [{"path": at, **({"column": one} if one else {}), "reason": why} for one, at, why in placed]
            if self.rejected <= MOST_SHOWN:
                place = f"{self._names[entry.input]}, line" if self._names else "line"
                click.echo(f"{place} {entry.line.number}: {fault.reason}: {'; '.join(map(in_words, errors))}", err=True)
            self._reports.add(entry, fault, errors)

    def summary(self) -> str:
        return f"{self.recorded} new, {self.duplicates} duplicates, {self.rejected} rejected"


LINE_SECONDS = 5.0

# Called after every batch with the position in the file.
Shown = Callable[[int], None]


@contextmanager
def shown(size: int | None, tally: ImportTally) -> Iterator[Shown]:
    """`size` of the file in bytes, None if nobody knows: a bar at a terminal, else a line from time to time."""
    if sys.stderr.isatty() and size:
        bar: Any  # its class is private to click
        with click.progressbar(
            length=size, label="import", file=sys.stderr, item_show_func=lambda _: f"{tally.lines:,} lines"
        ) as bar:
            yield lambda position: bar.update(position - bar.pos)
        return
    began = said = time.monotonic()

    def show(position: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= LINE_SECONDS:
            said = now
            part = f"{100 * position / size:.0f} %, " if size else ""
            click.echo(f"{part}{tally.lines:,} lines, {tally.lines / (now - began):,.0f}/s", err=True)

    yield show
