"""Runs an import from its first line to its summary."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from schemas.topics import EVENTS
from services.ingest.domain.admission import Clock
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.importing.dry_run import DryRunRecipient, LateRows
from services.ingest.importing.entry import Checkpoint, ImportEntry, batches
from services.ingest.importing.inputs import PAIRS, REST, ImportInput, open_input, sort_messages
from services.ingest.importing.options import ImportOptions, question_handler
from services.ingest.importing.projection import ImportProjection
from services.ingest.importing.sender import (
    EVENTS_ENDPOINT,
    ImportStoppedError,
    MessageRecipient,
    Sender,
    gateway_client,
)
from services.ingest.importing.tally import ImportTally, Reports, progress
from services.ingest.sources.tables import Line
from services.runtime.kafka import Reader
from services.runtime.settings import Settings

ACCEPTED = 202
# The temporary databases become files when they are large.
NO_SPACE = "no space for temporary files ({}): set SQLITE_TMPDIR to a folder with space"


def report_clock(recipient: MessageRecipient, time: str, source: str) -> None:
    """Raises ImportStoppedError when the gateway refuses the event, as without an admin token or RAPPORT_CLOCK=log."""
    event = {
        "specversion": "1.0",
        "type": "mentoring.clock.reached.v1",
        "source": source,
        "id": "clock-reached",
        "time": time,
        "data": {"time": time},
    }
    (answer,) = recipient.send([json.dumps(event).encode()], EVENTS_ENDPOINT)
    if answer.status != ACCEPTED:
        reasons = "; ".join(f"{error['path']}: {error['reason']}" for error in answer.errors)
        raise ImportStoppedError(f"the clock event is refused, {answer.reason}: {reasons}")


def source_of_line(line: Line | None) -> str:
    """Raises ImportStoppedError when the line names none."""
    parsed = read_json(line.text.strip()) if line else None
    match parsed.value if isinstance(parsed, Parsed) else None:
        case {"source": str(source)}:
            return source
        case _:
            raise ImportStoppedError("the clock event needs a source: name it with --source")


HEAL_COMMAND = "rapport scoring heal"
# The consumer group of scoring; its committed offsets show its progress.
SCORING_GROUP = "rapport-scoring"
POLL_SECONDS = 0.5


def heal(settings: Settings, timeout: float, report: Callable[[str], None]) -> int:
    """Wait up to `timeout` seconds for scoring to apply the imported events, because only applied events can be healed,
    then run the heal command. Returns the exit code. Raises KafkaError."""
    report("waiting for scoring to apply what was imported")
    behind = _await_scoring(settings, timeout)
    if behind:
        report(f"scoring is {behind} events behind; is `rapport scoring serve` running? Later run: {HEAL_COMMAND}")
        return 1
    report(f"running: {HEAL_COMMAND}")
    return subprocess.run([sys.executable, "-m", "services.cli", *HEAL_COMMAND.split()[1:]], check=False).returncode  # noqa: S603 (the command line is ours)


def _await_scoring(settings: Settings, timeout: float) -> int:
    """Return how many of the events that the log held at the call scoring has still not applied."""
    deadline = time.monotonic() + timeout
    reader = Reader(settings, SCORING_GROUP)
    try:
        ends = reader.end_offsets(reader.assign([EVENTS.at(settings.log_epoch)]))
        while True:
            behind = reader.group_lag(ends)
            if not behind or time.monotonic() > deadline:
                return behind
            time.sleep(POLL_SECONDS)
    finally:
        reader.close()


INTERRUPTED = 130


@dataclass(frozen=True)
class _ImportRun:
    options: ImportOptions
    recipient: MessageRecipient
    tally: ImportTally
    reports: Reports
    checkpoint: Checkpoint
    late_rows: LateRows
    projection: ImportProjection

    @property
    def last_line(self) -> int:
        """The last line that this run or an earlier one has processed."""
        return max(self.tally.last_line, self.checkpoint.line)

    def run(self) -> None:
        """Open and check all inputs before anything is sent. Raises ImportStoppedError."""
        with ExitStack() as stack:
            inputs = [
                open_input(file, self.options, self.projection, question_handler(), stack)
                for file in self.options.files
            ]
            self.reports.begin(
                [(self.options.refused_rows_file(import_input.file), import_input.table) for import_input in inputs]
            )
            last_line = self._send_in_file_order(inputs[0]) if len(inputs) == 1 else self._send_sorted(inputs)
        time = self.options.clock_reached
        if time and self.tally.rejected:
            raise ImportStoppedError("the clock event is not sent, because lines were rejected")
        if time:
            report_clock(self.recipient, time, self.options.source or source_of_line(last_line))

    def _send_in_file_order(self, import_input: ImportInput) -> Line | None:
        """Stream one file of any length in its own order."""
        last_line = None
        with progress(import_input.size, self.tally) as show:
            for batch in batches(map(import_input.entry, self.checkpoint.remaining(import_input.lines))):
                self._send_batch(batch)
                self.checkpoint.advance(batch)
                show(import_input.position())
                last_line = batch[-1].line
        return last_line

    def _send_sorted(self, inputs: Sequence[ImportInput]) -> Line | None:
        last_line, done = None, 0
        stage_of_pairs = PAIRS if self.options.settings.clock == "wall" else REST
        with (
            sort_messages(inputs, self._count_refused, stage_of_pairs) as entries,
            progress(len(entries), self.tally) as show,
        ):
            for batch in batches(iter(entries)):
                self._send_batch(batch)
                done += len(batch)
                show(done)
                last_line = batch[-1].line
        return last_line

    def _count_refused(self, entry: ImportEntry) -> None:
        assert entry.refusal is not None, "it is refused"
        self.tally.count(entry, [entry.refusal])

    def _send_batch(self, batch: Sequence[ImportEntry]) -> None:
        messages = [message for entry in batch for message in entry.messages]
        answers = iter(self.recipient.send(messages, batch[0].endpoint) if messages else ())
        for entry in batch:
            own = [next(answers) for _ in entry.messages] if entry.refusal is None else [entry.refusal]
            self.tally.count(entry, own)
            if any(answer.reason == "recorded" for answer in own):
                self.late_rows.add(entry.times)


def run(options: ImportOptions) -> int:
    """Returns the exit code: 1 if a line was rejected or the import could not go on. Raises KafkaError."""
    checkpoint = Checkpoint(options.checkpoint_file)
    if not options.resume:
        checkpoint.delete()
        for report in (options.rejected, *map(options.refused_rows_file, options.files)):
            # A path given by option may be a device.
            if report and report not in options.files and report.is_file():
                report.unlink()
    names = [file.name for file in options.files] if len(options.files) > 1 else []
    reports, projection = (
        Reports(options.rejected, append=options.resume),
        ImportProjection(options.settings, options.token),
    )
    tally, late_rows = ImportTally(reports, names), LateRows(_clock(options))
    with closing(reports), _recipient(options) as recipient:
        code = _run_to_exit_code(_ImportRun(options, recipient, tally, reports, checkpoint, late_rows, projection))
    prefix = "dry run, nothing was sent: " if options.dry_run else ""
    click.echo(f"{prefix}{tally.summary()}")
    if undeclared := projection.undeclared_relationships():
        click.echo(undeclared)
    if tally.rejected and options.rejected:
        click.echo(f"rejected lines are in {options.rejected}", err=True)
        for table in reports.tables:
            click.echo(f"refused rows, to be corrected and imported again, are in {table}", err=True)
    return max(code, _heal_or_hint(options, tally, late_rows)) if code in {0, 1} else code


def _run_to_exit_code(import_run: _ImportRun) -> int:
    checkpoint = import_run.checkpoint
    if checkpoint.exists and import_run.options.resume:
        click.echo("continuing where the last import of this file was interrupted", err=True)
    try:
        import_run.run()
    except (ImportStoppedError, sqlite3.OperationalError) as stopped:
        checkpoint.save()
        reason = str(stopped) if isinstance(stopped, ImportStoppedError) else NO_SPACE.format(stopped)
        click.echo(f"stopped after line {import_run.last_line}: {reason}", err=True)
        return 1
    except KeyboardInterrupt:
        checkpoint.save()
        click.echo(
            f"interrupted after line {import_run.last_line}; some of the lines being sent may be recorded as well; "
            "running it again is harmless, --resume continues here",
            err=True,
        )
        return INTERRUPTED
    checkpoint.delete()
    return 1 if import_run.tally.rejected else 0


@contextmanager
def _recipient(options: ImportOptions) -> Iterator[MessageRecipient]:
    if options.dry_run:
        yield DryRunRecipient(lambda: _clock(options))
        return
    with gateway_client(options.url, options.token) as client:
        yield Sender(client, options.patience, lambda reason: click.echo(reason, err=True))


def _clock(options: ImportOptions) -> Clock:
    return Clock(datetime.now(UTC), options.settings.clock)


def _heal_or_hint(options: ImportOptions, tally: ImportTally, late_rows: LateRows) -> int:
    if options.heal and not options.dry_run and tally.recorded:
        return heal(options.settings, options.patience, lambda reason: click.echo(reason, err=True))
    if late_rows.late:
        click.echo(
            f"{late_rows.late} lines have times more than 30 days back: where scores of these times exist already, "
            f"they are corrected, when scoring has caught up, by: {HEAL_COMMAND}",
            err=True,
        )
    return 0
