"""The compacted topics that hold what is projected: their records; how they are written, which with how far they reach
and the offset that they rest on is one transaction, so that neither a crash nor a member that lost its partition leaves
an older word behind a newer one; and how they are read when a process starts, once for all of its parts that ask."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from itertools import chain
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.topics import BOOKINGS, DIRECTORY, DIRECTORY_STATEMENTS, EVENTS, ROSTER
from services.ingest.domain.meetings.bookings import BookedSession
from services.ingest.domain.people.relationship_history import RelationshipHistory, bounded_history
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Reader, Record, latest_by_key
from services.runtime.loop import TryLaterError
from services.runtime.settings import Settings


class ProjectionTopics(NamedTuple):
    events: str
    roster: str
    bookings: str


def topics_of(settings: Settings) -> ProjectionTopics:
    return ProjectionTopics(*(topic.at(settings.log_epoch) for topic in (EVENTS, ROSTER, BOOKINGS)))


PROGRESS_KEY = b"\x00progress"
"""No tenant/relationship begins with a zero byte."""
MOST_BYTES = 900_000
"""Of one record: Kafka takes 1,048,588 with the key and all that it adds."""
MOST_SESSIONS = 100
"""Of one relationship, those that end last: two years of weekly meetings booked ahead."""
MOST_MATTERS = 20
"""Of one session: meetings of tools that it was moved from."""
OVER_FOR = timedelta(days=35)
"""A session that ended so long before the latest word on its relationship is asked for no more: tools tell of a
meeting within days, and what is cancelled later was over anyway."""


class _ProjectionRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RosterRecord(_ProjectionRecord):
    """Of `mentoring.roster`, key tenant/relationship. An erased relationship keeps nothing but that it is erased."""

    version: Literal[1] = 1
    position: int
    erased: bool = False
    history: RelationshipHistory = RelationshipHistory()


class BookingsRecord(_ProjectionRecord):
    """Of `mentoring.bookings`, key tenant/relationship."""

    version: Literal[1] = 1
    position: int
    sessions: tuple[BookedSession, ...] = ()


class ProgressRecord(_ProjectionRecord):
    """Of either topic, under PROGRESS_KEY: how far the partition of the log with the same number is folded. It comes
    after all that it speaks of."""

    version: Literal[1] = 1
    next_offset: int


AnyRecord = TypeVar("AnyRecord", RosterRecord, BookingsRecord, ProgressRecord)


def dump(record: RosterRecord | BookingsRecord | ProgressRecord) -> bytes:
    return record.__pydantic_serializer__.to_json(record)


def load(model: type[AnyRecord], value: bytes) -> AnyRecord:
    """Raises pydantic.ValidationError for a layout that this version does not know."""
    return model.model_validate_json(value)


def roster_value(at: int, history: RelationshipHistory) -> bytes:
    """Of a relationship that is not erased. Sources and ids may be long, and twice as long in JSON: then less is kept
    than usually."""
    share = 1
    while len(value := dump(RosterRecord(position=at, history=bounded_history(history, share)))) > MOST_BYTES:
        share *= 2
    return value


def alive(sessions: tuple[BookedSession, ...], latest: datetime) -> tuple[BookedSession, ...]:
    """Those that are not long over at the latest word on their relationship."""
    lasting = (one for one in sessions if one.booking.ends_at >= latest - OVER_FOR)
    in_order = sorted(lasting, key=lambda one: (one.booking.ends_at, one.booking.session))
    return tuple(
        one if len(one.matters) <= MOST_MATTERS else one._replace(matters=one.matters[:MOST_MATTERS])
        for one in in_order[-MOST_SESSIONS:]
    )


MOST_WRITTEN, MOST_WRITTEN_BYTES = 50_000, 16 * 2**20
"""Of one transaction: it ends before the broker aborts it. Most batches are one."""


class Projected(NamedTuple):
    topic: str
    key: bytes
    value: bytes | None

    @property
    def size(self) -> int:
        return len(self.key) + len(self.value or b"")


class ProjectionWriter:
    """For one thread."""

    def __init__(self, reader: Reader, producer: Callable[[], Producer]) -> None:
        """`producer` makes one that is transactional."""
        self._reader, self._make = reader, producer
        self._producer: Producer | None = None

    def write(self, records: Iterable[Projected], reached: Sequence[str], partition: Partition, offsets: range) -> None:
        """All of them, in transactions of a bounded size; the last says on the topics in `reached` how far the
        partition is folded. `offsets` is what was folded of it since the last commit. Raises TryLaterError."""
        progress = dump(ProgressRecord(next_offset=offsets.stop))
        last = [Projected(topic, PROGRESS_KEY, progress) for topic in reached]
        try:
            if self._producer is None:
                producer = self._make()
                producer.start_transactions()
                self._producer = producer
            producer = self._producer
            for part in _parts(chain(records, last)):
                producer.begin()
                for record in part:
                    producer.send(*record, partition=partition.number)
                folded = Committed(offsets.stop if part[-1] is last[-1] else offsets.start)
                producer.commit({partition: folded}, self._reader)
        except KafkaError as failed:
            # Whether it was committed may be unknown. The same records are written again by a producer that fences
            # this one; a member that has lost the partition is refused by its generation.
            self.close()
            self._producer = None
            raise TryLaterError(f"the projection is not written: {failed}") from failed

    def close(self) -> None:
        if self._producer is not None:
            # What was not committed is folded again by whoever takes the partition.
            with suppress(KafkaError):
                self._producer.close(0.2)


def _parts(records: Iterable[Projected]) -> Iterator[list[Projected]]:
    part, size = list[Projected](), 0
    for record in records:
        part.append(record)
        size += record.size
        if len(part) >= MOST_WRITTEN or size >= MOST_WRITTEN_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


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
            reader.assign_partitions(partitions)
            since = list(_between(reader, known.reached, reader.end_offsets(partitions), lambda: False))
        return latest_by_key(chain(*(known.records.get(one, ()) for one in partitions), since))

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
            for record in latest_by_key(_between(reader, {}, ends, done)):
                records.setdefault(Partition(record.topic, record.partition), []).append(record)
        self._standing, self._read_at = None if done() else TopicsAtStart(records, ends), time.monotonic()
        return self._standing


def _between(
    reader: Reader, begins: Mapping[Partition, int], ends: Mapping[Partition, int], done: Callable[[], bool]
) -> Iterator[Record]:
    for partition, first in reader.beginning_offsets(list(ends)).items():
        reader.seek(partition, max(first, begins.get(partition, 0)))
    for polled in reader.poll_until(ends):
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
                    # What cannot be read counts as nothing: its partition is folded from the beginning then.
                    found[record.topic, record.partition] = 0
                    with suppress(ValidationError):
                        progress = load(ProgressRecord, record.value or b"")
                        found[record.topic, record.partition] = progress.next_offset
            for one in unknown:
                if since[one] <= begins[one]:
                    found.setdefault((one.topic, one.number), 0)
            looked_back *= 16
        return found
