"""JSONL with the log as the source of a replay: an event per line as it stands there, or a record
`{"key": ..., "value": ...}`, perhaps with its `partition` and `offset` (kcat -J says `payload` instead of `value`)."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, get_args

from schemas.events import OfPartition, ProfileSet, type_of
from schemas.primitives import to_micros
from services.scoring.domain.bounds import NONE
from services.scoring.domain.profiles import Programmes, applied_profiles
from services.scoring.flow.decoding import event_of
from services.scoring.flow.histories import HistoryError, opened
from services.scoring.flow.log_reading import SAID_EVERY, Passed
from services.scoring.flow.replay.source import ReplaySourceError, SourcePart, SourceRecord, Upto

_KEY = re.compile(rb'"partitionkey"\s*:\s*"([^"\\]+)"')
_RECORDED = re.compile(rb'"recordedtime"\s*:\s*"([^"]+)"')
_PROFILE_SET = type_of(ProfileSet).encode()
OF_PARTITION = frozenset(map(type_of, get_args(OfPartition)))
VALUES = ("value", "payload")


class FileRecord(NamedTuple):
    """`relationship` None: it is of none. Without an offset the order of the file is that of the log."""

    relationship: str | None
    value: bytes
    partition: int | None = None
    offset: int | None = None


class FileSource:
    """Read once at first, to learn how long it is and up to when its clock runs. `is_placed`: its records have the
    partitions and offsets that they have on the log, from its beginning. Raises ReplaySourceError."""

    def __init__(self, file: Path) -> None:
        self.name, self._file = str(file), file
        self.size, self.upto, self.is_placed = 0, dict[int, Upto](), True
        self.programmes: dict[int, Programmes] = {}
        for number, record in enumerate(jsonl_records(file), 1):
            self._look_at(number, record)
        if not self.size:
            raise ReplaySourceError(f"{file}: there is nothing in it")

    def records(self, part: SourcePart, passed: Passed) -> Iterator[SourceRecord]:
        for number, record in enumerate(jsonl_records(self._file), 1):
            if number % SAID_EVERY == 0:
                passed(SAID_EVERY)
            if record.relationship is not None and part.has(record.relationship.encode()):
                yield SourceRecord(record.relationship, *self._place(number, record), record.value)
        passed(self.size % SAID_EVERY)

    def _look_at(self, number: int, record: FileRecord) -> None:
        self.size += 1
        self.is_placed = self.is_placed and record.partition is not None and record.offset is not None
        partition, position = self._place(number, record)
        known = self.upto.get(partition)
        if known is None and self.is_placed and position > 0:
            raise ReplaySourceError(f"{self._file}: record {number}: partition {partition} begins at offset {position}")
        clock = _recorded(record.value, f"{self._file}: record {number}")
        programmes = self.programmes.setdefault(partition, Programmes())
        if _PROFILE_SET in record.value and isinstance(event := event_of(record.value), ProfileSet):
            programmes.apply(*applied_profiles(event, position))
        position_before, clock_before = known or (NONE, NONE)
        self.upto[partition] = Upto(max(position, position_before), max(clock, clock_before))

    def _place(self, number: int, record: FileRecord) -> tuple[int, int]:
        if record.partition is None or record.offset is None:
            return 0, number - 1
        return record.partition, record.offset


def jsonl_records(file: Path) -> Iterator[FileRecord]:
    """Blank lines are passed over. Raises ReplaySourceError."""
    try:
        with opened(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _record(line, f"{file}: line {number}")
    except HistoryError as broken:
        raise ReplaySourceError(str(broken)) from broken


def _record(line: bytes, place: str) -> FileRecord:
    # As we write events ourselves: the key is all that is needed here, the rest is decoded later, by all cores.
    key = _KEY.search(line) if line.startswith(b'{"specversion"') else None
    if key:
        return FileRecord(key[1].decode(errors="replace"), line)
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as broken:
        raise ReplaySourceError(f"{place}: is no JSON: {broken}") from broken
    if not isinstance(said, dict):
        raise ReplaySourceError(f"{place}: must be an object")
    name = next((name for name in VALUES if name in said), None)
    return _event(said, line, place) if name is None else _wrapped(said, said[name], place)


def _event(said: dict[str, Any], line: bytes, place: str) -> FileRecord:
    key = _text(said.get("partitionkey"), f"{place}: partitionkey")
    if key is None and said.get("type") not in OF_PARTITION:
        raise ReplaySourceError(f"{place}: has no partitionkey: events must be as they stand on the log")
    return FileRecord(key, line)


def _wrapped(said: dict[str, Any], value: object, place: str) -> FileRecord:
    raw = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    numbers = [said.get(number) for number in ("partition", "offset")]
    # True is an int, too.
    if not all(number is None or (type(number) is int and number >= 0) for number in numbers):
        raise ReplaySourceError(f"{place}: partition and offset must be whole numbers")
    return FileRecord(_text(said.get("key"), f"{place}: key"), raw.encode(), *numbers)


def _text(value: object, place: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ReplaySourceError(f"{place}: must be text")
    return value or None


def _recorded(value: bytes, place: str) -> int:
    """When it was recorded: that moves the clock. What is no event does not."""
    found = _RECORDED.search(value)
    if found is None:
        return NONE
    try:
        return to_micros(datetime.fromisoformat(found[1].decode()))
    except (ValueError, TypeError) as invalid:
        raise ReplaySourceError(f"{place}: recordedtime: {invalid}") from invalid
