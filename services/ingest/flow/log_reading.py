"""Reads events from the log. Every reader of ingest skips records that are no events, or that lie on a partition where
their key does not belong. Scoring, which reads every record, quarantines them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from pydantic import ValidationError

from schemas.events import MENTORING_EVENT, MentoringEvent, OfPartition, partition_key
from schemas.programs import Programme
from schemas.topics import EVENTS, PROGRAMS
from services.ingest.domain.verdict import explain
from services.runtime.kafka import Partition, Reader, Record, open_reader, read_to_end
from services.runtime.key_placement import Misplaced, misplaced
from services.runtime.settings import Settings
from services.validation_errors import field_errors


def event_at(record: Record, partitions: int) -> MentoringEvent | Misplaced:
    """`partitions`: how many the log has. Events of all partitions, such as those of the clock, have a copy on each.
    Raises pydantic's ValidationError."""
    event = MENTORING_EVENT.validate_json(record.value or b"")
    if isinstance(event, OfPartition):
        return event
    if event.partitionkey != partition_key(event.tenant, event.subject):
        return Misplaced("key", "its partitionkey is that of another relationship")
    return misplaced(record.key, record.partition, partitions, event.partitionkey) or event


def event_or_none(record: Record, partitions: int) -> MentoringEvent | None:
    """None for a record that every reader skips."""
    try:
        event = event_at(record, partitions)
    except ValidationError:
        return None
    return None if isinstance(event, Misplaced) else event


def event_or_note(
    record: Record, partitions: int, line: structlog.stdlib.BoundLogger, notes: Counter[str]
) -> MentoringEvent | None:
    """As `event_or_none`, for readers that follow the log: skipped records are logged and counted."""
    position = {"partition": record.partition, "offset": record.offset}
    try:
        event = event_at(record, partitions)
    except ValidationError as invalid:
        line.error("unreadable", **position, places=field_errors(invalid))
        notes["unreadable"] += 1
        return None
    if isinstance(event, Misplaced):
        line.error("misplaced", **position, at=event.path)
        notes["misplaced"] += 1
        return None
    return event


BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
SCANNED_RECORDS = 1_000
"""Records at the end of each partition. A history is imported in the order of its times: these include the latest."""


def log_end(settings: Settings) -> datetime:
    """The latest `recordedtime`; BEGINNING if the log is empty. Raises KafkaError."""
    events = EVENTS.at(settings.log_epoch)
    latest = BEGINNING
    with open_reader(settings, [events]) as reader:
        partitions, ends = reader.partition_count(events), reader.end_offsets(sorted(reader.assignment()))
        for partition, end in ends.items():
            reader.seek(partition, max(reader.position(partition), end - SCANNED_RECORDS))
        for polled in reader.poll_until(ends):
            for records in polled.values():
                found = (event_or_none(record, partitions) for record in records)
                latest = max([latest, *(event.recordedtime for event in found if event)])
    return latest


class HeldProgrammes(NamedTuple):
    """By key. If the last record cannot be read, the last readable one is in force; `unreadable` says why."""

    programmes: dict[str, Programme]
    unreadable: dict[str, str]


def held(settings: Settings) -> HeldProgrammes:
    """Raises KafkaError."""
    found = HeldProgrammes({}, {})
    for record in read_to_end(settings, [PROGRAMS.name]):
        key = (record.key or b"").decode(errors="replace")
        found.unreadable.pop(key, None)
        if record.value is None:
            found.programmes.pop(key, None)
            continue
        try:
            found.programmes[key] = Programme.model_validate_json(record.value)
        except ValidationError as invalid:
            first = explain(invalid)[0]
            found.unreadable[key] = f"offset {record.offset}: {first.path}: {first.reason}"
    return found


DAY_MS = 24 * 60 * 60 * 1000


def day_before(settings: Settings, partition: Partition, offset: int) -> Iterator[Record]:
    """The records of the 24 hours before that offset, by record timestamp. Raises KafkaError."""
    with closing(Reader(settings, group=None)) as reader:
        reader.assign_partitions([partition])
        last = next(_read(reader, partition, offset - 1, offset), None) if offset > 0 else None
        first = reader.offset_at(partition, max(0, last.timestamp_ms - DAY_MS)) if last else None
        if first is not None:
            yield from _read(reader, partition, first, offset)


def between(settings: Settings, partition: Partition, begin: int, end: int) -> Iterator[Record]:
    """The records from one offset up to another, as far as the topic still holds them. Raises KafkaError."""
    with closing(Reader(settings, group=None)) as reader:
        reader.assign_partitions([partition])
        yield from _read(reader, partition, begin, end)


def _read(reader: Reader, partition: Partition, begin: int, end: int) -> Iterator[Record]:
    reader.seek(partition, begin)
    for polled in reader.poll_until({partition: end}):
        yield from (record for record in polled.get(partition, ()) if record.offset < end)
