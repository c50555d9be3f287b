"""A file with the log as the source of a replay: CloudEvents, or records with key and value."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from schemas.primitives import to_micros
from services.scoring.domain.bounds import NONE
from services.scoring.flow.replay.source import Logged, Part, ReplaySourceError, Upto
from services.scoring.flow.whole_log import SAID_EVERY, Passed

_RECORDED = re.compile(rb'"recordedtime"\s*:\s*"([^"]+)"')


class FileRecord(NamedTuple):
    """`relationship` None: it is of none. Without an offset the order of the file is that of the log."""

    relationship: str | None
    value: bytes
    partition: int | None = None
    offset: int | None = None


Reading = Callable[[Path], Iterator[FileRecord]]
"""Raises ReplaySourceError."""


class FileSource:
    """Read once at first, to learn how long it is and up to when its clock runs. `is_placed`: its records have the
    partitions and offsets that they have on the log, from its beginning. Raises ReplaySourceError."""

    def __init__(self, file: Path, reading: Reading) -> None:
        self.name, self._file, self._reading = str(file), file, reading
        self.size, self.upto, self.is_placed = 0, dict[int, Upto](), True
        for number, record in enumerate(reading(file), 1):
            self._look_at(number, record)
        if not self.size:
            raise ReplaySourceError(f"{file}: there is nothing in it")

    def records(self, part: Part, passed: Passed) -> Iterator[Logged]:
        for number, record in enumerate(self._reading(self._file), 1):
            if number % SAID_EVERY == 0:
                passed(SAID_EVERY)
            if record.relationship is not None and part.has(record.relationship.encode()):
                yield Logged(record.relationship, *self._place(number, record), record.value)
        passed(self.size % SAID_EVERY)

    def _look_at(self, number: int, record: FileRecord) -> None:
        self.size += 1
        self.is_placed = self.is_placed and record.partition is not None and record.offset is not None
        partition, position = self._place(number, record)
        known = self.upto.get(partition)
        if known is None and self.is_placed and position > 0:
            raise ReplaySourceError(f"{self._file}: record {number}: partition {partition} begins at offset {position}")
        clock = _recorded(record.value, f"{self._file}: record {number}")
        position_before, clock_before = known or (NONE, NONE)
        self.upto[partition] = Upto(max(position, position_before), max(clock, clock_before))

    def _place(self, number: int, record: FileRecord) -> tuple[int, int]:
        if record.partition is None or record.offset is None:
            return 0, number - 1
        return record.partition, record.offset


def _recorded(value: bytes, place: str) -> int:
    """When it was recorded: that moves the clock. What is no event does not."""
    found = _RECORDED.search(value)
    if found is None:
        return NONE
    try:
        return to_micros(datetime.fromisoformat(found[1].decode()))
    except (ValueError, TypeError) as invalid:
        raise ReplaySourceError(f"{place}: recordedtime: {invalid}") from invalid
