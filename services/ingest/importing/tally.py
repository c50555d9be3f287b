"""What has become of the lines so far, and the report of those that were rejected."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from services.ingest.importing.entry import ImportEntry
from services.ingest.importing.sender import ImportAnswer

# On the console; the report has them all.
MOST_SHOWN = 10
TAKEN = frozenset({"recorded", "duplicate"})


class Tally:
    """`report`: where to write rejected lines, JSONL with line number, reason, column and the line as it was; None for
    nowhere. `adds` to what is in it already."""

    def __init__(self, report: Path | None, *, adds: bool = False) -> None:
        self._report, self._adds = report, adds
        self.recorded = self.duplicates = self.rejected = self.lines = self.last_line = 0
        self._file: TextIO | None = None

    def count(self, entry: ImportEntry, answers: Sequence[ImportAnswer]) -> None:
        """A line is rejected if anything that it says is."""
        self.last_line = entry.line.number
        self.lines += 1
        reasons = [answer.reason for answer in answers]
        self.recorded += reasons.count("recorded")
        self.duplicates += reasons.count("duplicate")
        fault = next((answer for answer in answers if answer.reason not in TAKEN), None)
        if fault:
            self.rejected += 1
            self._reject(entry, fault)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def summary(self) -> str:
        return f"{self.recorded} new, {self.duplicates} duplicates, {self.rejected} rejected"

    def _reject(self, entry: ImportEntry, answer: ImportAnswer) -> None:
        errors = [_placed(entry, error["path"], error["reason"]) for error in answer.errors]
        if self.rejected <= MOST_SHOWN:
            faults = "; ".join(f"{e.get('column') or e['path']}: {e['reason']}".removeprefix(": ") for e in errors)
            click.echo(f"line {entry.line.number}: {answer.reason}: {faults}", err=True)
        if self._report is None:
            return
        if self._file is None:
            self._file = self._report.open("a" if self._adds else "w", encoding="utf-8")
        told = {
            "line": entry.line.number,
            "status": answer.status,
            "reason": answer.reason,
            "errors": errors,
            entry.original: entry.line.text.decode(errors="backslashreplace").strip("\r\n"),
        }
        self._file.write(json.dumps(told) + "\n")


def _placed(entry: ImportEntry, path: str, reason: str) -> dict[str, str]:
    column = entry.column(path)
    return {"path": path, "column": column, "reason": reason} if column else {"path": path, "reason": reason}


LINE_SECONDS = 5.0

# Called after every batch with the position in the file.
Shown = Callable[[int], None]


@contextmanager
def shown(size: int | None, tally: Tally) -> Iterator[Shown]:
    """`size` of the file in bytes, None if nobody knows."""
    if sys.stderr.isatty() and size:
        with _bar(size, tally) as show:
            yield show
    else:
        yield _line_by_line(size, tally)


@contextmanager
def _bar(size: int, tally: Tally) -> Iterator[Shown]:
    bar: Any  # its class is private to click
    with click.progressbar(
        length=size, label="import", file=sys.stderr, item_show_func=lambda _: f"{tally.lines:,} lines"
    ) as bar:
        yield lambda position: bar.update(position - bar.pos)


def _line_by_line(size: int | None, tally: Tally) -> Shown:
    began = said = time.monotonic()

    def show(position: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= LINE_SECONDS:
            said = now
            part = f"{100 * position / size:.0f} %, " if size else ""
            click.echo(f"{part}{tally.lines:,} lines, {tally.lines / (now - began):,.0f}/s", err=True)

    return show
