"""Histories for backtests: from the log, or from a file, plain or gzipped. A file holds CloudEvents, one JSON document
per line, as they are sent in or as they are on the log; or contacts as CSV."""

import csv
import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import TypeAdapter, ValidationError

from schemas import events as e
from schemas import payloads as p
from schemas.events import MentoringEvent, OfPartition, OfRelationship, partition_key
from schemas.primitives import EPOCH, FIRST_YEAR, LAST_YEAR, Id, Side, to_micros, to_utc
from services.runtime.kafka import partition_count, read_to_end
from services.runtime.settings import Settings
from services.scoring.domain.backtesting.cases import PairHistories, histories_of
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Fact, Key, facts_of, merge_into
from services.scoring.flow.decoding import Refusal, event_of
from services.scoring.flow.log_reading import LoggedEvent, events_of
from services.scoring.topics import Topics


def file_events(file: Path) -> Iterator[LoggedEvent]:
    """Raises HistoryError for another type of file, and while it is read."""
    readers: Mapping[str, Callable[[Path], Iterator[MentoringEvent]]] = {".csv": csv_events, ".jsonl": jsonl_events}
    read = readers.get(kind_of(file))
    if read is None:
        raise HistoryError(f"{file}: must be named .csv, .csv.gz, .jsonl or .jsonl.gz")
    yield from (LoggedEvent(0, number, event) for number, event in enumerate(read(file)))


def log_events(settings: Settings, topics: Topics) -> Iterator[LoggedEvent]:
    """All events of the log. Raises KafkaError."""
    yield from events_of(read_to_end(settings, [topics.events]), topics, partition_count(settings, topics.events))


def read_histories(events: Iterable[LoggedEvent], program: str | None) -> PairHistories:
    """Of the relationships of one programme, or of all. The history ends with the time of the last event of any kind.
    Raises HistoryError if no relationship was ever in contact."""
    facts: dict[str, dict[Key, Fact]] = defaultdict(dict)
    programs: set[str] = set()
    end = NONE
    for _, position, event in events:
        end = max(end, to_micros(event.time))
        if isinstance(event, OfPartition):
            continue
        programs.add(event.program)
        if program in {None, event.program}:
            merge_into(facts[event.partitionkey], facts_of(event, position))
    histories = histories_of(facts, end)
    if histories is None:
        others = f"; there are the programmes {', '.join(sorted(programs))}" if program and programs else ""
        raise HistoryError(f"no relationship was ever in contact{others}")
    return histories


class HistoryError(Exception):
    """The history cannot be used; the message names the location and the reason."""


def kind_of(file: Path) -> str:
    """`.csv` for `contacts.csv` and for `contacts.csv.gz`; empty without a suffix."""
    return next((suffix for suffix in reversed(file.suffixes) if suffix != ".gz"), "")


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, plain or gzipped. Raises HistoryError if the file is truncated or does not match its
    name."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as octets:
            yield cast("BinaryIO", octets)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as broken:
        raise HistoryError(f"{file}: cannot be read: {broken}") from broken


def jsonl_events(file: Path) -> Iterator[MentoringEvent]:
    """Skips blank lines. Raises HistoryError."""
    with opened(file) as octets, TextIOWrapper(octets, "utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{file}: line {number}"
            try:
                sent = json.loads(line)
            except (ValueError, RecursionError) as broken:
                raise HistoryError(f"{where}: is no JSON: {broken}") from broken
            if not isinstance(sent, dict):
                raise HistoryError(f"{where}: must be one CloudEvent, a JSON object")
            # Add the attributes that ingest would add.
            completed = {"tenant": TENANT, "recordedtime": sent.get("time"), **sent}
            if "subject" in completed:
                completed.setdefault("partitionkey", partition_key(completed["tenant"], completed["subject"]))
            event = event_of(json.dumps(completed).encode())
            if isinstance(event, Refusal):
                raise HistoryError(f"{where}, {event.path or 'the event'}: {event.detail}")
            yield event


SOURCE, TENANT, PROGRAM = "/history", "history", "history"
"""Defaults for events that do not name them: ingest adds the tenant by the token."""
COLUMNS = ("pair_id", "t", "dir")
SIDES: Mapping[str, Side | None] = {"-1": None, "0": "mentor", "1": "mentee"}
"""-1: from both sides, or the side is unknown."""
_ID: TypeAdapter[str] = TypeAdapter(Id)


def csv_events(file: Path) -> Iterator[OfRelationship]:
    """A row is a held session, or a message where `dir` names a side. Raises HistoryError."""
    with opened(file) as octets, TextIOWrapper(octets, "utf-8-sig") as lines:
        rows = csv.DictReader(lines, strict=True)
        if sorted(rows.fieldnames or ()) != sorted(COLUMNS):
            raise HistoryError(f"{file}: line 1: the columns must be {','.join(COLUMNS)}")
        for row in rows:
            yield _contact(row, f"{file}: line {rows.line_num}")


def _contact(row: Mapping[str | None, str | None], where: str) -> OfRelationship:
    """The same row twice is one contact."""
    if None in row or None in row.values():
        raise HistoryError(f"{where}: must have {len(COLUMNS)} columns")
    pair, seconds, side = (str(row[name]) for name in COLUMNS)
    try:
        _ID.validate_python(pair)
    except ValidationError:
        raise HistoryError(f"{where}, column pair_id: must be letters and digits, not {pair!r}") from None
    try:
        when = to_utc(EPOCH + timedelta(seconds=int(seconds)))
    except (ValueError, OverflowError):
        wanted = f"seconds since 1970, in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise HistoryError(f"{where}, column t: must be whole {wanted}, not {seconds!r}") from None
    if side not in SIDES:
        raise HistoryError(f"{where}, column dir: must be one of {', '.join(SIDES)}, not {side!r}")
    identity, by = f"{pair}-{when.timestamp():.0f}", SIDES[side]
    of_pair = {"tenant": TENANT, "subject": pair, "program": PROGRAM, "partitionkey": partition_key(TENANT, pair)}
    envelope: dict[str, Any] = {"source": SOURCE, "id": identity, "time": when, "recordedtime": when, **of_pair}
    if by is None:
        held = p.SessionHeld(session_id=identity, started_at=when, evidence="inferred")
        return e.SessionHeld(type="mentoring.session.held.v1", data=held, **envelope)
    message = p.MessageSent(by=by, channel="history", evidence="inferred")
    return e.MessageSent(type="mentoring.message.sent.v1", data=message, **envelope)
