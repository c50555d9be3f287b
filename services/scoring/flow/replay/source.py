"""What a replay reads: the log, wherever a copy of it is kept."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol
from zlib import crc32

from schemas.topics import position
from services.runtime.kafka import Partition, partition_count
from services.runtime.log_place import misplaced
from services.runtime.settings import Settings
from services.scoring.flow.log_reading import Passed, Stored, records_up_to
from services.scoring.topics import Topics


class ReplaySourceError(Exception):
    """The source cannot be used; the message names the place and the reason."""


class SourceRecord(NamedTuple):
    """A record of the log, not yet decoded."""

    relationship: str
    partition: int
    position: int
    value: bytes


class Upto(NamedTuple):
    """How far a partition is read: the position of its last record, and the clock up to which its rows are told."""

    position: int
    clock: int


class SourcePart(NamedTuple):
    """One of so many parts of all relationships, each of which fits into memory."""

    number: int
    of: int

    def has(self, relationship: bytes) -> bool:
        return self.of == 1 or crc32(relationship) % self.of == self.number


class ReplaySource(Protocol):
    """`size` records in all. `upto` by partition. Those of a relationship come in the order of the log."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def upto(self) -> Mapping[int, Upto]: ...

    def records(self, part: SourcePart, passed: Passed) -> Iterator[SourceRecord]: ...


class KafkaSource:
    name = "kafka"

    def __init__(self, settings: Settings, names: Topics, known: Stored) -> None:
        self._settings, self._names = settings, names
        self._offsets = {number: mark.offset for number, mark in sorted(known.watermarks.items())}
        self.size = sum(offset + 1 for offset in self._offsets.values())
        # What the workers have acknowledged of each partition.
        marks = known.watermarks.items()
        self.upto = {number: Upto(position(names.epoch, mark.offset), mark.clock) for number, mark in marks}

    def records(self, part: SourcePart, passed: Passed) -> Iterator[SourceRecord]:
        """Raises LogCutOffError, KafkaError."""
        partitions = partition_count(self._settings, self._names.events)
        for number, offset in self._offsets.items():
            for record in records_up_to(self._settings, Partition(self._names.events, number), offset, passed):
                if record.key is None or record.value is None or not part.has(record.key):
                    continue
                name = record.key.decode(errors="replace")
                # Whether it is the key of its event is seen when that is decoded.
                if misplaced(record.key, number, partitions, name) is None:
                    yield SourceRecord(name, number, position(self._names.epoch, record.offset), record.value)
