"""The compacted topics of the projection: their records, their writer and their readers. Records, progress and the
committed offset are written in one transaction, so that neither a crash nor a member that lost its partition can leave
an older record behind a newer one. A process that starts reads the topics once for all of its parts."""

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
MAX_BYTES = 900_000
"""Of one record: Kafka accepts 1,048,588 with the key and all that it adds."""
MAX_SESSIONS = 100
"""The sessions of one relationship that end last: two years of weekly meetings booked ahead."""
MAX_CORRELATIONS = 20
"""Meetings of tools that one session was moved from."""
RETENTION_AFTER_END = timedelta(days=35)
"""A session that ended so long before the latest event of its relationship is dropped: tools report a meeting within
days, and a later cancellation has no effect."""


class _ProjectionRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RosterRecord(_ProjectionRecord):
    """Of `mentoring.roster`, key tenant/relationship. An erased relationship has no history."""

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
    """Of either topic, under PROGRESS_KEY: the offset up to which the log's partition of the same number is folded. It
    comes after all records up to there."""

    version: Literal[1] = 1
    next_offset: int


AnyRecord = TypeVar("AnyRecord", RosterRecord, BookingsRecord, ProgressRecord)


def dump(record: RosterRecord | BookingsRecord | ProgressRecord) -> bytes:
    return record.__pydantic_serializer__.to_json(record)


def load(model: type[AnyRecord], value: bytes) -> AnyRecord:
    """Raises pydantic.ValidationError for a layout that this version cannot read."""
    return model.model_validate_json(value)


def roster_value(at: int, history: RelationshipHistory) -> bytes:
    """For a relationship that is not erased. Sources and ids may be long, and twice as long in JSON: then the bounds of
    the history are reduced until the record fits."""
    share = 1
    while len(value := dump(RosterRecord(position=at, history=bounded_history(history, share)))) > MAX_BYTES:
        share *= 2
    return value


def select_retained(sessions: tuple[BookedSession, ...], latest: datetime) -> tuple[BookedSession, ...]:
    """The sessions to project. `latest`: the time of the relationship's latest event."""
    recent = (one for one in sessions if one.booking.ends_at >= latest - RETENTION_AFTER_END)
    in_order = sorted(recent, key=lambda one: (one.booking.ends_at, one.booking.session))
    return tuple(
        one
        if len(one.correlations) <= MAX_CORRELATIONS
        else one._replace(correlations=one.correlations[:MAX_CORRELATIONS])
        for one in in_order[-MAX_SESSIONS:]
    )


MAX_WRITTEN, MAX_WRITTEN_BYTES = 50_000, 16 * 2**20
"""Limits of one transaction, so that it ends before the broker aborts it. Most batches are one."""


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
        """`producer` creates a transactional one."""
        self._reader, self._create = reader, producer
        self._producer: Producer | None = None

    def write(self, records: Iterable[Projected], reached: Sequence[str], partition: Partition, offsets: range) -> None:
        """Writes the records in transactions of a bounded size. The last one adds the partition's progress to the
        topics in `reached`. `offsets` are those folded since the last commit. Raises TryLaterError."""
        progress = dump(ProgressRecord(next_offset=offsets.stop))
        last = [Projected(topic, PROGRESS_KEY, progress) for topic in reached]
        try:
            if self._producer is None:
                producer = self._create()
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
            # The outcome of the commit may be unknown. The same records are written again by a producer that fences
            # this one; a member that has lost the partition is refused by its generation.
            self.close()
            self._producer = None
            raise TryLaterError(f"the projection is not written: {failed}") from failed

    def close(self) -> None:
        if self._producer is not None:
            # The next owner of the partition folds again what was not committed.
            with suppress(KafkaError):
                self._producer.close(0.2)


def _parts(records: Iterable[Projected]) -> Iterator[list[Projected]]:
    part, size = list[Projected](), 0
    for record in records:
        part.append(record)
        size += record.size
        if len(part) >= MAX_WRITTEN or size >= MAX_WRITTEN_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


CACHE_SECONDS = 60.0
"""All parts of a process start within this; a partition that is assigned later is read from the broker."""


class TopicsSnapshot(NamedTuple):
    """The newest record of each key, and the offsets that the snapshot reaches."""

    records: Mapping[Partition, Sequence[Record]]
    reached: Mapping[Partition, int]


EMPTY = TopicsSnapshot({}, {})


class SnapshotCache:
    """For any thread. The first caller reads the topics, later ones wait and share the snapshot: reading it takes as
    much of a start as decoding it."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        """`topics` are read completely, once. Partitions of others, and of these after CACHE_SECONDS, are read when
        they are requested."""
        self._settings, self._topics = settings, topics
        self._lock = threading.Lock()
        self._snapshot: TopicsSnapshot | None = None
        self._read_at = 0.0
        self._is_expired = not topics

    def snapshot(self, done: Callable[[], bool]) -> TopicsSnapshot | None:
        """All partitions; None if `done` becomes true before they are read. Raises KafkaError."""
        with self._lock:
            return self._read_once(done)

    def records(self, partitions: Sequence[Partition]) -> Iterator[Record]:
        """The newest record of each key, up to the current ends of these partitions. Raises KafkaError."""
        with self._lock:
            snapshot = (None if self._is_expired else self._read_once(lambda: False)) or EMPTY
        with closing(Reader(self._settings, group=None, isolation_level="read_committed")) as reader:
            reader.assign_partitions(partitions)
            since = list(_between(reader, snapshot.reached, reader.end_offsets(partitions), lambda: False))
        return latest_by_key(chain(*(snapshot.records.get(one, ()) for one in partitions), since))

    def expire(self) -> None:
        """Drops an old snapshot: parts that start together have read it by then."""
        with self._lock:
            if self._snapshot is not None and time.monotonic() - self._read_at > CACHE_SECONDS:
                self._snapshot, self._is_expired = None, True

    def _read_once(self, done: Callable[[], bool]) -> TopicsSnapshot | None:
        if self._snapshot is not None:
            return self._snapshot
        records: dict[Partition, list[Record]] = {}
        with closing(Reader(self._settings, group=None, isolation_level="read_committed")) as reader:
            partitions = reader.assign(self._topics)
            ends = reader.end_offsets(partitions)
            for record in latest_by_key(_between(reader, {}, ends, done)):
                records.setdefault(Partition(record.topic, record.partition), []).append(record)
        self._snapshot, self._read_at = None if done() else TopicsSnapshot(records, ends), time.monotonic()
        return self._snapshot


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


SCANNED_RECORDS = 4
"""Records at the end of a partition that are searched for progress; then sixteen times as many, and so on."""


class ProjectionLag:
    """For one thread. How far the log and the directory statements are projected, by the progress records of the
    projected topics, of which only the last records are read."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError."""
        self._topics = topics_of(settings)
        self._reader = Reader(settings, group=None, isolation_level="read_committed")
        sources = (self._topics.events, DIRECTORY_STATEMENTS.name)
        assigned = self._reader.assign([*sources, self._topics.roster, self._topics.bookings, DIRECTORY.name])
        self._sources = [one for one in assigned if one.topic in sources]
        self._projected = [one for one in assigned if one.topic not in sources]
        # Only their end offsets are needed, and kafka-python returns those of assigned partitions alone.
        self._reader.pause(self._sources)
        self._targets = self._reader.end_offsets(self._sources)
        # Records that were there at the beginning and were not projected at the last `refresh`.
        self.left = sum(self._targets.values())

    def refresh(self) -> int:
        """Returns what is `left` now. Raises KafkaError."""
        reached, (events, roster, bookings) = self._reached_offsets(), self._topics
        projected_to = {events: (roster, bookings), DIRECTORY_STATEMENTS.name: (DIRECTORY.name,)}
        self.left = sum(
            max(0, end - min(reached.get((topic, source.number), 0) for topic in projected_to[source.topic]))
            for source, end in self._targets.items()
        )
        return self.left

    def close(self) -> None:
        self._reader.close()

    def _reached_offsets(self) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        begins, ends = self._reader.beginning_offsets(self._projected), self._reader.end_offsets(self._projected)
        scanned = SCANNED_RECORDS
        while unknown := {one: end for one, end in ends.items() if (one.topic, one.number) not in found}:
            since = {one: end - scanned for one, end in unknown.items()}
            for record in _between(self._reader, since, unknown, lambda: False):
                if record.key == PROGRESS_KEY:
                    # An unreadable record counts as no progress: its partition is folded from the beginning then.
                    found[record.topic, record.partition] = 0
                    with suppress(ValidationError):
                        progress = load(ProgressRecord, record.value or b"")
                        found[record.topic, record.partition] = progress.next_offset
            for one in unknown:
                if since[one] <= begins[one]:
                    found.setdefault((one.topic, one.number), 0)
            scanned *= 16
        return found
