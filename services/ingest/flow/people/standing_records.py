"""What lies on the compacted topics of people when a process starts, read once for all of its parts that ask, and how
far these topics reflect the log and what is said of people."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import NamedTuple

from pydantic import ValidationError

from schemas.topics import DIRECTORY, DIRECTORY_STATEMENTS
from services.ingest.flow.people.projected_topics import PROGRESS_KEY, ProgressRecord, load, topics_of
from services.runtime.kafka import Partition, Reader, Record, newest_of_keys
from services.runtime.settings import Settings

KEPT_SECONDS = 60.0
"""All parts of a process start within this; whoever is handed a partition later reads it from the broker."""


class TopicsAtStart(NamedTuple):
    """The newest record of each key, and the offsets up to which that is all."""

    records: Mapping[Partition, Sequence[Record]]
    reached: Mapping[Partition, int]


NOTHING = TopicsAtStart({}, {})


class StandingRecords:
    """For any thread. Whoever asks first reads, who asks meanwhile waits and is told the same: to read what is there
    costs each start as much as to understand it."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        """`topics`: those that are read whole. Of others, and of these after a while, what is asked for is read."""
        self._settings, self._topics = settings, topics
        self._lock = threading.Lock()
        self._standing: TopicsAtStart | None = None
        self._read_at = 0.0
        self._is_over = not topics

    def whole(self, done: Callable[[], bool]) -> TopicsAtStart | None:
        """All partitions; None where it is `done` before they were read. Raises KafkaError."""
        with self._lock:
            return self._read_once(done)

    def of(self, partitions: Sequence[Partition]) -> Iterator[Record]:
        """The newest record of each key, up to the ends of these partitions as they are now. Raises KafkaError."""
        with self._lock:
            known = (None if self._is_over else self._read_once(lambda: False)) or NOTHING
        with closing(Reader(self._settings, group=None, isolation_level="read_committed")) as reader:
            reader.take(partitions)
            since = list(_between(reader, known.reached, reader.end_offsets(partitions), lambda: False))
        return newest_of_keys(chain(*(known.records.get(one, ()) for one in partitions), since))

    def forget(self) -> None:
        """What was read a while ago: those who start together have asked by then."""
        with self._lock:
            if self._standing is not None and time.monotonic() - self._read_at > KEPT_SECONDS:
                self._standing, self._is_over = None, True

    def _read_once(self, done: Callable[[], bool]) -> TopicsAtStart | None:
        if self._standing is not None:
            return self._standing
        records: dict[Partition, list[Record]] = {}
        with closing(Reader(self._settings, group=None, isolation_level="read_committed")) as reader:
            partitions = reader.assign(self._topics)
            ends = reader.end_offsets(partitions)
            for record in newest_of_keys(_between(reader, {}, ends, done)):
                records.setdefault(Partition(record.topic, record.partition), []).append(record)
        self._standing, self._read_at = None if done() else TopicsAtStart(records, ends), time.monotonic()
        return self._standing


def _between(
    reader: Reader, begins: Mapping[Partition, int], ends: Mapping[Partition, int], done: Callable[[], bool]
) -> Iterator[Record]:
    for partition, first in reader.beginning_offsets(list(ends)).items():
        reader.seek(partition, max(first, begins.get(partition, 0)))
    for polled in reader.up_to(ends):
        if done():
            return
        for partition, records in polled.items():
            yield from (record for record in records if record.offset < ends.get(partition, 0))


LOOKED_BACK = 4
"""Records at the end of a partition; where none of them says it, sixteen times as many, and so on."""


class FoldedOffsets:
    """For one thread. How far the log and the statements about people are folded, as the topics say it, whoever wrote
    them: their last records are read, and no others."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError."""
        self._topics = topics_of(settings)
        self._reader = Reader(settings, group=None, isolation_level="read_committed")
        sources = (self._topics.events, DIRECTORY_STATEMENTS.name)
        told = self._reader.assign([*sources, self._topics.roster, self._topics.bookings, DIRECTORY.name])
        self._sources = [one for one in told if one.topic in sources]
        self._told = [one for one in told if one.topic not in sources]
        # Only their ends are asked for, and kafka-python answers for what is assigned alone.
        self._reader.pause(self._sources)
        self._wanted = self._reader.end_offsets(self._sources)
        # Of what was there at the beginning, the records that were not folded when it was last asked.
        self.left = sum(self._wanted.values())

    def ask(self) -> int:
        """What is `left` now. Raises KafkaError."""
        reached, (events, roster, bookings) = self._reached(), self._topics
        reflecting = {events: (roster, bookings), DIRECTORY_STATEMENTS.name: (DIRECTORY.name,)}
        self.left = sum(
            max(0, end - min(reached.get((topic, source.number), 0) for topic in reflecting[source.topic]))
            for source, end in self._wanted.items()
        )
        return self.left

    def close(self) -> None:
        self._reader.close()

    def _reached(self) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        begins, ends = self._reader.beginning_offsets(self._told), self._reader.end_offsets(self._told)
        looked_back = LOOKED_BACK
        while unknown := {one: end for one, end in ends.items() if (one.topic, one.number) not in found}:
            since = {one: end - looked_back for one, end in unknown.items()}
            for record in _between(self._reader, since, unknown, lambda: False):
                if record.key == PROGRESS_KEY:
                    found[record.topic, record.partition] = _next_offset(record)
            for one in unknown:
                if since[one] <= begins[one]:
                    found.setdefault((one.topic, one.number), 0)
            looked_back *= 16
        return found


def _next_offset(record: Record) -> int:
    """0 for what cannot be read: its partition is folded from the beginning then."""
    try:
        return load(ProgressRecord, record.value or b"").next_offset
    except ValidationError:
        return 0
