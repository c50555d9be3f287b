"""The sources of a replay: the log, or a copy of it. A JSONL file has one event per line as on the log, or a record
`{"key": ..., "value": ...}`, optionally with its `partition` and `offset` (kcat -J writes `payload` instead of
`value`)."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol, get_args
from zlib import crc32

from schemas.events import OfPartition, ProfileSet, type_of
from schemas.primitives import to_micros
from schemas.topics import position
from services.runtime.kafka import Partition, partition_count
from services.runtime.key_placement import misplaced
from services.runtime.settings import Settings
from services.scoring.domain.bounds import NONE
from services.scoring.domain.profiles import Programmes, applied_profiles
from services.scoring.flow.decoding import event_of
from services.scoring.flow.histories import HistoryError, opened
from services.scoring.flow.log_reading import PROGRESS_EVERY, Passed, Stored, records_up_to
from services.scoring.topics import Topics


class ReplaySourceError(Exception):
    """The source cannot be used; the message names the location and the reason."""


class SourceRecord(NamedTuple):
    """A record of the log, not yet decoded."""

    relationship: str
    partition: int
    position: int
    value: bytes


class Upto(NamedTuple):
    """How far a partition is read: the position of its last record, and the clock up to which its rows are computed."""

    position: int
    clock: int


class SourcePart(NamedTuple):
    """One of `of` parts of all relationships, each of which fits into memory."""

    number: int
    of: int

    def has(self, relationship: bytes) -> bool:
        return self.of == 1 or crc32(relationship) % self.of == self.number


class ReplaySource(Protocol):
    """`size`: records in total. `upto`: by partition. The records of a relationship come in the order of the log."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def upto(self) -> Mapping[int, Upto]: ...

    def records(self, part: SourcePart, passed: Passed) -> Iterator[SourceRecord]: ...


class KafkaSource:
    name = "kafka"

    def __init__(self, settings: Settings, topics: Topics, upto_before: Stored) -> None:
        self._settings, self._topics = settings, topics
        self._offsets = {number: mark.offset for number, mark in sorted(upto_before.watermarks.items())}
        self.size = sum(offset + 1 for offset in self._offsets.values())
        # What the workers have acknowledged of each partition.
        marks = upto_before.watermarks.items()
        self.upto = {number: Upto(position(topics.epoch, mark.offset), mark.clock) for number, mark in marks}

    def records(self, part: SourcePart, passed: Passed) -> Iterator[SourceRecord]:
        """Raises LogCutOffError, KafkaError."""
        partitions = partition_count(self._settings, self._topics.events)
        for number, offset in self._offsets.items():
            for record in records_up_to(self._settings, Partition(self._topics.events, number), offset, passed):
                if record.key is None or record.value is None or not part.has(record.key):
                    continue
                name = record.key.decode(errors="replace")
                # Whether the key matches the event is checked when the value is decoded.
                if misplaced(record.key, number, partitions, name) is None:
                    yield SourceRecord(name, number, position(self._topics.epoch, record.offset), record.value)


_KEY = re.compile(rb'"partitionkey"\s*:\s*"([^"\\]+)"')
_RECORDED = re.compile(rb'"recordedtime"\s*:\s*"([^"]+)"')
_PROFILE_SET = type_of(ProfileSet).encode()
OF_PARTITION = frozenset(map(type_of, get_args(OfPartition)))
VALUES = ("value", "payload")


class FileRecord(NamedTuple):
    """`relationship` None: it belongs to none. Without an offset, the order of the file is that of the log."""

    relationship: str | None
    value: bytes
    partition: int | None = None
    offset: int | None = None


class FileSource:
    """Read once at first, to find its length and the end of its clock. `has_positions`: its records have the partitions
    and offsets of the log, from its beginning. Raises ReplaySourceError."""

    def __init__(self, file: Path) -> None:
        self.name, self._file = str(file), file
        self.size, self.upto, self.has_positions = 0, dict[int, Upto](), True
        self.programmes: dict[int, Programmes] = {}
        for number, record in enumerate(jsonl_records(file), 1):
            self.size = number
            self.has_positions = self.has_positions and record.partition is not None and record.offset is not None
            partition, position = self._position_of(number, record)
            upto_before = self.upto.get(partition)
            if upto_before is None and self.has_positions and position > 0:
                raise ReplaySourceError(f"{file}: record {number}: partition {partition} begins at offset {position}")
            # Records that are no events do not move the clock.
            clock, recorded = NONE, _RECORDED.search(record.value)
            if recorded is not None:
                try:
                    clock = to_micros(datetime.fromisoformat(recorded[1].decode()))
                except (ValueError, TypeError) as invalid:
                    raise ReplaySourceError(f"{file}: record {number}: recordedtime: {invalid}") from invalid
            programmes = self.programmes.setdefault(partition, Programmes())
            if _PROFILE_SET in record.value and isinstance(event := event_of(record.value), ProfileSet):
                programmes.apply(*applied_profiles(event, position))
            position_before, clock_before = upto_before or (NONE, NONE)
            self.upto[partition] = Upto(max(position, position_before), max(clock, clock_before))
        if not self.size:
            raise ReplaySourceError(f"{file}: there is nothing in it")

    def records(self, part: SourcePart, passed: Passed) -> Iterator[SourceRecord]:
        for number, record in enumerate(jsonl_records(self._file), 1):
            if number % PROGRESS_EVERY == 0:
                passed(PROGRESS_EVERY)
            if record.relationship is not None and part.has(record.relationship.encode()):
                yield SourceRecord(record.relationship, *self._position_of(number, record), record.value)
        passed(self.size % PROGRESS_EVERY)

    def _position_of(self, number: int, record: FileRecord) -> tuple[int, int]:
        if record.partition is None or record.offset is None:
            return 0, number - 1
        return record.partition, record.offset


def jsonl_records(file: Path) -> Iterator[FileRecord]:
    """Skips blank lines. Raises ReplaySourceError."""
    try:
        with opened(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _record(line, f"{file}: line {number}")
    except HistoryError as broken:
        raise ReplaySourceError(str(broken)) from broken


def _record(line: bytes, where: str) -> FileRecord:
    # The form in which this project writes events: only the key is needed here; the rest is decoded later, on all
    # cores.
    key = _KEY.search(line) if line.startswith(b'{"specversion"') else None
    if key:
        return FileRecord(key[1].decode(errors="replace"), line)
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as broken:
        raise ReplaySourceError(f"{where}: is no JSON: {broken}") from broken
    if not isinstance(document, dict):
        raise ReplaySourceError(f"{where}: must be an object")
    name = next((name for name in VALUES if name in document), None)
    if name is None:
        relationship = _text(document.get("partitionkey"), f"{where}: partitionkey")
        if relationship is None and document.get("type") not in OF_PARTITION:
            raise ReplaySourceError(f"{where}: has no partitionkey: events must be as they stand on the log")
        return FileRecord(relationship, line)
    value, numbers = document[name], [document.get(number) for number in ("partition", "offset")]
    # bool is a subclass of int.
    if not all(number is None or (type(number) is int and number >= 0) for number in numbers):
        raise ReplaySourceError(f"{where}: partition and offset must be whole numbers")
    raw = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return FileRecord(_text(document.get("key"), f"{where}: key"), raw.encode(), *numbers)


def _text(value: object, where: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ReplaySourceError(f"{where}: must be text")
    return value or None
