"""An import from its first line to its last word."""

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
from services.ingest.importing.entry import Checkpoint, ImportEntry, batches
from services.ingest.importing.inputs import PAIRS, REST, Input, in_order, opened
from services.ingest.importing.known import Known, LateRows, Rehearsal
from services.ingest.importing.options import Options, ask
from services.ingest.importing.sender import (
    EVENTS_ENDPOINT,
    ImportStoppedError,
    MessageRecipient,
    Sender,
    gateway_client,
)
from services.ingest.importing.tally import ImportTally, Reports, shown
from services.ingest.sources.tables import Line
from services.runtime.kafka import Reader
from services.runtime.settings import Settings

ACCEPTED = 202
# The databases that tables lie in meanwhile are files as soon as they are large.
NO_ROOM = "no room for temporary files ({}): name a folder with room in SQLITE_TMPDIR"


def report_clock(recipient: MessageRecipient, time: str, source: str) -> None:
    """Raises ImportStoppedError when the gateway refuses it: it needs an admin token and RAPPORT_CLOCK=log."""
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


def source_of(line: Line | None) -> str:
    """Raises ImportStoppedError when the line names none."""
    parsed = read_json(line.text.strip()) if line else None
    match parsed.value if isinstance(parsed, Parsed) else None:
        case {"source": str(source)}:
            return source
        case _:
            raise ImportStoppedError("the clock event needs a source: name it with --source")


COMMAND = "rapport scoring heal"
# The group that reads the log for scoring; its committed offsets show how far it has come.
SCORING = "rapport-scoring"
LOOK_SECONDS = 0.5


def heal(settings: Settings, patience: float, tell: Callable[[str], None]) -> int:
    """Returns the exit code. Waits up to `patience` seconds for scoring to apply what was imported: what it has not
    applied cannot be healed. Raises KafkaError."""
    tell("waiting for scoring to apply what was imported")
    behind = _await_scoring(settings, patience)
    if behind:
        tell(f"scoring is {behind} events behind; is `rapport scoring serve` running? Later run: {COMMAND}")
        return 1
    tell(f"running: {COMMAND}")
    return subprocess.run([sys.executable, "-m", "services.cli", *COMMAND.split()[1:]], check=False).returncode  # noqa: S603 (the command line is ours)


def _await_scoring(settings: Settings, patience: float) -> int:
    """How many events of those on the log at the call it has not applied in the end."""
    until = time.monotonic() + patience
    reader = Reader(settings, SCORING)
    try:
        ends = reader.end_offsets(reader.assign([EVENTS.at(settings.log_epoch)]))
        while True:
            behind = reader.group_lag(ends)
            if not behind or time.monotonic() > until:
                return behind
            time.sleep(LOOK_SECONDS)
    finally:
        reader.close()


INTERRUPTED = 130


@dataclass(frozen=True)
class _Import:
    options: Options
    recipient: MessageRecipient
    tally: ImportTally
    reports: Reports
    place: Checkpoint
    past: LateRows
    known: Known

    @property
    def last(self) -> int:
        """The last line that is dealt with, now or by an earlier run."""
        return max(self.tally.last_line, self.place.line)

    def run(self) -> None:
        """Everything is looked at before anything is sent. Raises ImportStoppedError."""
        with ExitStack() as stack:
            inputs = [opened(file, self.options, self.known, ask(), stack) for file in self.options.files]
            self.reports.begin([(self.options.refused_rows(found.file), found.look) for found in inputs])
            last = self._one_by_one(inputs[0]) if len(inputs) == 1 else self._together(inputs)
        time = self.options.clock_reached
        if time and self.tally.rejected:
            raise ImportStoppedError("the clock event is not sent, because lines were rejected")
        if time:
            report_clock(self.recipient, time, self.options.source or source_of(last))

    def _one_by_one(self, found: Input) -> Line | None:
        """In the order of the file, which may be of any length."""
        last = None
        with shown(found.size, self.tally) as show:
            for batch in batches(map(found.entry, self.place.skipped(found.lines))):
                self._send(batch)
                self.place.reached(batch)
                show(found.position())
                last = batch[-1].line
        return last

    def _together(self, inputs: Sequence[Input]) -> Line | None:
        last, done = None, 0
        stage_of_pairs = PAIRS if self.options.settings.clock == "wall" else REST
        with in_order(inputs, self._refuse, stage_of_pairs) as entries, shown(len(entries), self.tally) as show:
            for batch in batches(iter(entries)):
                self._send(batch)
                done += len(batch)
                show(done)
                last = batch[-1].line
        return last

    def _refuse(self, entry: ImportEntry) -> None:
        assert entry.refusal is not None, "it is refused"
        self.tally.count(entry, [entry.refusal])

    def _send(self, batch: Sequence[ImportEntry]) -> None:
        messages = [message for entry in batch for message in entry.messages]
        answers = iter(self.recipient.send(messages, batch[0].endpoint) if messages else ())
        for entry in batch:
            own = [next(answers) for _ in entry.messages] if entry.refusal is None else [entry.refusal]
            self.tally.count(entry, own)
            if any(answer.reason == "recorded" for answer in own):
                self.past.told(entry.times)


def run(options: Options) -> int:
    """Returns the exit code: 1 if a line was rejected or the import could not go on. Raises KafkaError."""
    place = Checkpoint(options.state)
    if not options.resume:
        place.forget()
        for report in (options.rejected, *map(options.refused_rows, options.files)):
            # What somebody named may be a device.
            if report and report not in options.files and report.is_file():
                report.unlink()
    names = [file.name for file in options.files] if len(options.files) > 1 else []
    reports, known = Reports(options.rejected, adds=options.resume), Known(options.settings, options.token)
    tally, past = ImportTally(reports, names), LateRows(_clock(options))
    with closing(reports), _recipient(options) as recipient:
        code = _attempt(_Import(options, recipient, tally, reports, place, past, known))
    prefix = "dry run, nothing was sent: " if options.dry_run else ""
    click.echo(f"{prefix}{tally.summary()}")
    if undeclared := known.undeclared():
        click.echo(undeclared)
    if tally.rejected and options.rejected:
        click.echo(f"what was rejected is in {options.rejected}", err=True)
        for table in reports.tables:
            click.echo(f"to mend its rows and import them again: {table}", err=True)
    return max(code, _healed(options, tally, past)) if code in {0, 1} else code


def _attempt(work: _Import) -> int:
    place = work.place
    if place.is_known and work.options.resume:
        click.echo("going on where the last import of this file was interrupted", err=True)
    try:
        work.run()
    except (ImportStoppedError, sqlite3.OperationalError) as stopped:
        place.save()
        words = str(stopped) if isinstance(stopped, ImportStoppedError) else NO_ROOM.format(stopped)
        click.echo(f"stopped after line {work.last}: {words}", err=True)
        return 1
    except KeyboardInterrupt:
        place.save()
        click.echo(
            f"interrupted after line {work.last}; of the lines in hand some may be recorded too; "
            "running it again is harmless, --resume goes on here",
            err=True,
        )
        return INTERRUPTED
    place.forget()
    return 1 if work.tally.rejected else 0


@contextmanager
def _recipient(options: Options) -> Iterator[MessageRecipient]:
    if options.dry_run:
        yield Rehearsal(lambda: _clock(options))
        return
    with gateway_client(options.url, options.token) as client:
        yield Sender(client, options.patience, lambda words: click.echo(words, err=True))


def _clock(options: Options) -> Clock:
    return Clock(datetime.now(UTC), options.settings.clock)


def _healed(options: Options, tally: ImportTally, past: LateRows) -> int:
    if options.heal and not options.dry_run and tally.recorded:
        return heal(options.settings, options.patience, lambda words: click.echo(words, err=True))
    if past.late:
        click.echo(
            f"{past.late} lines tell of times more than 30 days back: where scores of these times are out already, "
            f"they are corrected, when scoring has caught up, by: {COMMAND}",
            err=True,
        )
    return 0
