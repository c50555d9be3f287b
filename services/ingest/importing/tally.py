"""What has become of the lines so far, and the report of those that were rejected."""

import json
from pathlib import Path
from typing import TextIO

import click

from services.ingest.importing.lines import Line
from services.ingest.importing.sender import Answer

# On the console; the report has them all.
MOST_SHOWN = 10


class Tally:
    """`report`: where to write rejected lines, JSONL with line number, reason and the event; None for nowhere."""

    def __init__(self, report: Path | None) -> None:
        self._report = report
        self.recorded = self.duplicates = self.rejected = self.last_line = 0
        self._file: TextIO | None = None

    @property
    def lines(self) -> int:
        return self.recorded + self.duplicates + self.rejected

    def count(self, line: Line, answer: Answer) -> None:
        self.last_line = line.number
        match answer.reason:
            case "recorded":
                self.recorded += 1
            case "duplicate":
                self.duplicates += 1
            case _:
                self.rejected += 1
                self._reject(line, answer)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _reject(self, line: Line, answer: Answer) -> None:
        if self.rejected <= MOST_SHOWN:
            faults = "; ".join(f"{e['path']}: {e['reason']}".removeprefix(": ") for e in answer.errors)
            click.echo(f"line {line.number}: {answer.reason}: {faults}", err=True)
        if self._report is None:
            return
        if self._file is None:
            self._file = self._report.open("w", encoding="utf-8")
        entry = {
            "line": line.number,
            "status": answer.status,
            "reason": answer.reason,
            "errors": list(answer.errors),
            "event": line.text.decode(errors="replace"),
        }
        self._file.write(json.dumps(entry) + "\n")
