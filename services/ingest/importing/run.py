"""An import from its first line to its last word."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import click
import httpx

from services.ingest.domain.admission import Clock
from services.ingest.importing.after_import import COMMAND, heal, report_clock, source_of
from services.ingest.importing.checkpoint import Checkpoint
from services.ingest.importing.dry_run import LateRows, Rehearsal
from services.ingest.importing.entry import ImportEntry, batches, event_entry, event_lines
from services.ingest.importing.lines import Line, LinesFile
from services.ingest.importing.options import Options
from services.ingest.importing.sender import (
    ANSWER_SECONDS,
    EVENTS_ENDPOINT,
    Endpoint,
    ImportAnswer,
    ImportStoppedError,
    Recipient,
    Sender,
)
from services.ingest.importing.table import TableRows, read_header, row_entry
from services.ingest.importing.tally import Tally, shown

INTERRUPTED = 130


@dataclass(frozen=True)
class _Content:
    """What the file holds, still unread: its lines or rows, what each asks for, and where that goes."""

    lines: Iterator[Line]
    entry: Callable[[Line], ImportEntry]
    endpoint: Endpoint = EVENTS_ENDPOINT


@dataclass(frozen=True)
class _Import:
    options: Options
    recipient: Recipient
    tally: Tally
    place: Checkpoint
    past: LateRows

    @property
    def last(self) -> int:
        """The last line that is dealt with, now or by an earlier run."""
        return max(self.tally.last_line, self.place.line)

    def run(self) -> None:
        """Raises ImportStoppedError."""
        last = self._send_all()
        time = self.options.clock_reached
        if time and self.tally.rejected:
            raise ImportStoppedError("the clock event is not sent, because lines were rejected")
        if time:
            report_clock(self.recipient, time, self.options.source or source_of(last))

    def _send_all(self) -> Line | None:
        """Returns the last line."""
        last = None
        with LinesFile(self.options.file) as file, shown(file.size, self.tally) as show:
            content = _content(iter(file), self.options)
            for batch in batches(map(content.entry, self.place.skipped(content.lines))):
                self._send(batch, content.endpoint)
                self.place.reached(batch)
                show(file.position())
                last = batch[-1].line
        return last

    def _send(self, batch: Sequence[ImportEntry], endpoint: Endpoint) -> None:
        messages = [message for entry in batch for message in entry.messages]
        answers = iter(self.recipient.send(messages, endpoint) if messages else ())
        for entry in batch:
            own = [next(answers) for _ in entry.messages] if entry.refusal is None else [entry.refusal]
            self.tally.count(entry, own)
            if _is_new(own):
                self.past.told(entry.times)


def run(options: Options) -> int:
    """Returns the exit code: 1 if a line was rejected or the import could not go on. Raises KafkaError."""
    place = Checkpoint(options.state)
    if not options.resume:
        _begin_anew(options, place)
    tally, past = Tally(options.rejected, adds=options.resume), LateRows(_clock(options))
    with closing(tally), _recipient(options) as recipient:
        code = _attempt(_Import(options, recipient, tally, place, past))
    prefix = "dry run, nothing was sent: " if options.dry_run else ""
    click.echo(f"{prefix}{tally.summary()}")
    if tally.rejected and options.rejected:
        click.echo(f"what was rejected is in {options.rejected}", err=True)
    return max(code, _healed(options, tally, past)) if code in {0, 1} else code


def _begin_anew(options: Options, place: Checkpoint) -> None:
    place.forget()
    if options.rejected:
        options.rejected.unlink(missing_ok=True)


def _attempt(work: _Import) -> int:
    place = work.place
    if place.is_known and work.options.resume:
        click.echo("going on where the last import of this file was interrupted", err=True)
    try:
        work.run()
    except ImportStoppedError as stopped:
        place.save()
        click.echo(f"stopped after line {work.last}: {stopped}", err=True)
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


def _content(lines: Iterator[Line], options: Options) -> _Content:
    if not options.is_table:
        return _Content(event_lines(lines), event_entry)
    header = read_header(lines, options.kind, options.skip_column)
    return _Content(iter(TableRows(lines, header)), row_entry(header, options.defaults), header.kind.endpoint)


@contextmanager
def _recipient(options: Options) -> Iterator[Recipient]:
    if options.dry_run:
        yield Rehearsal(lambda: _clock(options))
        return
    headers = {"authorization": f"Bearer {options.token}"}
    with httpx.Client(base_url=options.url, headers=headers, timeout=ANSWER_SECONDS) as client:
        yield Sender(client, options.patience, lambda words: click.echo(words, err=True))


def _clock(options: Options) -> Clock:
    return Clock(datetime.now(UTC), options.settings.clock)


def _is_new(answers: Sequence[ImportAnswer]) -> bool:
    return any(answer.reason == "recorded" for answer in answers)


def _healed(options: Options, tally: Tally, past: LateRows) -> int:
    if options.heal and not options.dry_run and tally.recorded:
        return heal(options.settings, options.patience, lambda words: click.echo(words, err=True))
    if past.late:
        click.echo(
            f"{past.late} lines tell of times more than 30 days back: where scores of these times are out already, "
            f"they are corrected, when scoring has caught up, by: {COMMAND}",
            err=True,
        )
    return 0
