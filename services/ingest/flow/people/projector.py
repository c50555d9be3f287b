"""Folds the log into the compacted topics of the roster and the bookings, partition by partition, and what is said of
people into the directory: whoever starts reads these, and a start costs what is alive instead of all that ever
happened."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache, partial
from typing import NamedTuple, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from schemas.events import OfPartition, OfRelationship
from schemas.payloads import SessionCancelled, SessionScheduled
from schemas.primitives import EPOCH
from schemas.topics import BOOKINGS, DIRECTORY_STATEMENTS, EVENTS, ROSTER, position
from services.ingest.domain.tools.projection import (
    PROGRESS_KEY,
    BookingsRecord,
    ProgressRecord,
    Projection,
    RosterRecord,
    alive,
    dump,
    load,
    roster_value,
)
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.dead_letters import UnexpectedFailures
from services.ingest.flow.log_reading import event_or_note
from services.ingest.flow.people.directory_projector import DirectoryProjector
from services.ingest.flow.people.projection_writer import Projected, ProjectionWriter
from services.ingest.flow.supervise import Parts
from services.ingest.settings import IngestSettings
from services.runtime import log
from services.runtime.breaker import Breaker
from services.runtime.health import Health
from services.runtime.kafka import (
    Committed,
    KafkaError,
    Partition,
    Producer,
    Reader,
    Record,
    newest_of_keys,
    read_partition,
    read_partitions,
)
from services.runtime.loop import Batch, BatchLoop, Limits, TryLaterError, Work
from services.runtime.settings import Settings
from services.runtime.unexpected import described
from services.validation_errors import places

Read = TypeVar("Read")
GROUP = "rapport-ingest-projector"
MOST_RECORDS = 20_000
"""Of one batch: a relationship that is told of several times in it is written once."""
MOST_BYTES = 32 * 2**20
MOST_SECONDS = 900
"""A partition's projection is read back before its first batch."""
# In the bytes of an event: whatever else tells nothing of people or of booked sessions is not parsed.
TELLING = re.compile(rb'"mentoring\.(?:relationship|session\.(?:scheduled|rescheduled|cancelled)|event\.retracted)\.')


class ProjectionTopics(NamedTuple):
    events: str
    roster: str
    bookings: str


def topics_of(settings: Settings) -> ProjectionTopics:
    return ProjectionTopics(*(topic.at(settings.log_epoch) for topic in (EVENTS, ROSTER, BOOKINGS)))


def restore(projection: Projection, record: Record, topics: ProjectionTopics) -> None:
    """What was projected before, from either topic. Raises ValidationError for a record that this version does not
    know."""
    tenant, _, relationship = (record.key or b"").decode(errors="replace").partition("/")
    if record.topic == topics.roster:
        projection.apply_roster(tenant, relationship, load(RosterRecord, record.value or b""))
    else:
        projection.apply_bookings(tenant, relationship, load(BookingsRecord, record.value or b""))


class TouchedRelationship(NamedTuple):
    """`latest`: the time of the last recording that was seen of the relationship; whether its history or its bookings
    are to be written."""

    latest: datetime
    history: bool
    bookings: bool


UNTOUCHED = TouchedRelationship(EPOCH, history=False, bookings=False)


THIS_LAYOUT = dump(ProgressRecord(next_offset=0)).partition(b",")[0]
"""Records of the version that runs begin with these bytes."""
CHECKED_AT_ONCE = 50
"""Records, once in each round of the loop: they take some milliseconds."""


class UnreadableProjectionError(Exception):
    """A record of the projection cannot be understood. The message names it, and the places in it."""


class PartitionProjection:
    """Of one partition of the log. `touched` are the relationships of which something is not written yet. What was
    projected before is held as bytes until its relationship is told of: most are not for days, and to understand all
    of them took most of a start."""

    def __init__(self, topics: ProjectionTopics) -> None:
        self._topics = topics
        self._projection = Projection()
        self._held: dict[bytes, list[Record]] = {}
        self._unchecked: list[Record] = []
        self.touched: dict[tuple[str, str], TouchedRelationship] = {}

    def apply(self, event: OfRelationship) -> None:
        """What changes nothing of a relationship's history or of its bookings makes no new record of these: most words
        on bookings leave who is paired as it was, and a start of any service reads every record. Raises
        UnreadableProjectionError."""
        key, roster = (event.tenant, event.subject), self._projection.roster
        self._recall(f"{event.tenant}/{event.subject}".encode())
        before, was_erased = roster.history(*key), roster.is_erased(*key)
        self._projection.apply(event)
        known = self.touched.get(key, UNTOUCHED)
        is_first = not before.facts or roster.is_erased(*key) != was_erased
        self.touched[key] = TouchedRelationship(
            max(event.recordedtime, known.latest),
            known.history or is_first or roster.history(*key) is not before,
            known.bookings or is_first or isinstance(event.data, SessionScheduled | SessionCancelled),
        )

    def hold(self, record: Record) -> None:
        """What was projected before. Raises UnreadableProjectionError for a record of another version."""
        if not (record.value or b"").startswith(THIS_LAYOUT):
            self._check(record)
        self._held.setdefault(record.key or b"", []).append(record)
        self._unchecked.append(record)

    def check_some(self) -> bool:
        """Whether records that are held can be understood: whoever else follows them knows nothing of a relationship
        whose record cannot. False when all were checked. Raises UnreadableProjectionError."""
        some = self._unchecked[-CHECKED_AT_ONCE:]
        for record in some:
            self._check(record)
        del self._unchecked[-CHECKED_AT_ONCE:]
        return bool(some)

    def _recall(self, key: bytes) -> None:
        for record in self._held.get(key, ()):
            self._understand(record, self._projection)
        self._held.pop(key, None)

    def _check(self, record: Record) -> None:
        self._understand(record, Projection())

    def _understand(self, record: Record, projection: Projection) -> None:
        _or_unreadable(record, partial(restore, projection, record, self._topics))

    def records(self, at: int, touched: tuple[str, str]) -> Iterator[Projected]:
        """Of one that was touched."""
        topics = self._topics
        roster, bookings = self._projection.roster, self._projection.bookings
        (tenant, relationship), what = touched, self.touched[touched]
        key = f"{tenant}/{relationship}".encode()
        if what.history:
            erased = roster.is_erased(tenant, relationship)
            value = (
                dump(RosterRecord(position=at, erased=True))
                if erased
                else roster_value(at, roster.history(tenant, relationship))
            )
            yield Projected(topics.roster, key, value)
        if what.bookings:
            sessions = alive(bookings.of(tenant, relationship), what.latest)
            yield Projected(topics.bookings, key, dump(BookingsRecord(position=at, sessions=sessions)))


def _or_unreadable(record: Record, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except Exception as failure:
        why = ", ".join(places(failure)) if isinstance(failure, ValidationError) else str(described(failure))
        raise UnreadableProjectionError(f"{record.topic} {record.partition}/{record.offset}: {why}") from failure


class Projector:
    """The work of a BatchLoop, of the partitions of the log."""

    def __init__(self, settings: Settings, reader: Reader, writer: ProjectionWriter) -> None:
        self._settings, self._reader, self._writer = settings, reader, writer
        self._topics = topics_of(settings)
        self._projections: dict[Partition, PartitionProjection] = {}
        self._next: dict[Partition, int] = {}
        self._partition_count = cache(reader.partition_count)
        self._unexpected, self._written = UnexpectedFailures(), Breaker()
        self._log = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Reads back what is projected. What is not, though it was committed (the topics were made anew, or another
        version wrote them), is folded from the log and written once more, because nothing may come after it."""
        begin = committed.offset if committed else 0
        with _later():
            try:
                projection, reached = self._restored(partition.number)
                if reached < begin:
                    self._fold_log(projection, partition, range(reached, begin))
            except UnreadableProjectionError as unknown:
                projection = self._made_anew(partition, begin, unknown)
        self._projections[partition], self._next[partition] = projection, begin

    def handle(self, batch: Batch) -> Mapping[str, object]:
        if self._next[batch.partition] not in {0, batch.first}:
            # Given away and taken back between two polls: another member has folded what lies between.
            self.resume(batch.partition, Committed(batch.first))
        try:
            notes = self._folded(batch)
        except UnreadableProjectionError as unknown:
            with _later():
                self._projections[batch.partition] = self._made_anew(batch.partition, batch.first, unknown)
            notes = self._folded(batch)
        self._write(self._projections[batch.partition], batch.partition, range(batch.first, batch.last + 1))
        self._next[batch.partition] = batch.last + 1
        return notes

    def idle(self) -> None:
        assigned = self._reader.assignment()
        self._projections = {one: known for one, known in self._projections.items() if one in assigned}
        for partition, projection in self._projections.items():
            try:
                if projection.check_some():
                    return
            except UnreadableProjectionError as unknown:
                with _later():
                    self._projections[partition] = self._made_anew(partition, self._next[partition], unknown)
                return

    def _restored(self, number: int) -> tuple[PartitionProjection, int]:
        """What lies on both topics, and the offset of the log up to which that is all. Raises
        UnreadableProjectionError."""
        projection = PartitionProjection(self._topics)
        reached = {self._topics.roster: 0, self._topics.bookings: 0}
        both = [Partition(topic, number) for topic in reached]
        for record in newest_of_keys(read_partitions(self._settings, both, isolation_level="read_committed")):
            if record.key == PROGRESS_KEY:
                progress = _or_unreadable(record, partial(load, ProgressRecord, record.value or b""))
                reached[record.topic] = progress.next_offset
            else:
                projection.hold(record)
        return projection, min(reached.values())

    def _made_anew(self, partition: Partition, end: int, unknown: UnreadableProjectionError) -> PartitionProjection:
        """Of the log alone, up to `end`: nothing of what was projected is used. Raises KafkaError."""
        self._log.error("unreadable", reason=str(unknown))
        projection = PartitionProjection(self._topics)
        self._fold_log(projection, partition, range(end))
        return projection

    def _fold_log(self, projection: PartitionProjection, partition: Partition, offsets: range) -> None:
        self._log.warning("projected_anew", partition=partition.number, first=offsets.start, last=offsets.stop - 1)
        for record in read_partition(self._settings, partition):
            if record.offset in offsets:
                self._apply(projection, record, Counter())
        self._write(projection, partition, range(offsets.stop, offsets.stop))

    def _folded(self, batch: Batch) -> Counter[str]:
        projection, notes = self._projections[batch.partition], Counter[str]()
        for record in batch.records:
            self._apply(projection, record, notes)
        notes["relationships"] = len(projection.touched)
        return notes

    def _apply(self, projection: PartitionProjection, record: Record, notes: Counter[str]) -> None:
        """What meets an error of ours counts for nothing here; a hundred in a row are a bad deploy. Raises
        UnreadableProjectionError."""
        heard = partial(self._heard, projection, record, notes)
        if isinstance(self._unexpected.attempt(record, heard, UnreadableProjectionError), Rejected):
            notes["failed"] += 1

    def _heard(self, projection: PartitionProjection, record: Record, notes: Counter[str]) -> None:
        value = record.value or b""
        if not TELLING.search(value):
            return
        event = event_or_note(record, self._partition_count(record.topic), self._log, notes)
        if event and not isinstance(event, OfPartition):
            projection.apply(event)

    def _write(self, projection: PartitionProjection, partition: Partition, offsets: range) -> None:
        """All that was touched. `offsets` is what was folded of the log since the last commit."""
        records = self._told(projection, position(self._settings.log_epoch, offsets.stop - 1))
        self._writer.write(records, (self._topics.roster, self._topics.bookings), partition, offsets)
        projection.touched.clear()

    def _told(self, projection: PartitionProjection, at: int) -> Iterator[Projected]:
        """What meets an error of ours keeps its older word, and no other from being written; a hundred in a row are a
        bad deploy."""
        for touched in projection.touched:
            try:
                told = list(projection.records(at, touched))
            except Exception as failure:  # noqa: BLE001 (told and counted)
                self._log.error("relationship_failed", relationship="/".join(touched), **described(failure))
                self._written.refused(type(failure).__name__)
            else:
                self._written.passed()
                yield from told


@contextmanager
def _later() -> Iterator[None]:
    """Raises TryLaterError while the broker is away."""
    try:
        yield
    except KafkaError as away:
        raise TryLaterError(f"the broker is away: {away}") from away


class _EitherTopic:
    """The work of a BatchLoop over both topics: a partition of the log or that of statements, each has its own."""

    def __init__(self, relationships: Projector, people: DirectoryProjector) -> None:
        self._relationships, self._people = relationships, people

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        self._of(partition).resume(partition, committed)

    def handle(self, batch: Batch) -> Mapping[str, object] | None:
        return self._of(batch.partition).handle(batch)

    def idle(self) -> None:
        self._relationships.idle()
        self._people.idle()

    def _of(self, partition: Partition) -> Work:
        return self._people if partition.topic == DIRECTORY_STATEMENTS.name else self._relationships


# A transaction that died with its process keeps readers waiting for so long.
TRANSACTION_SECONDS = 15


@contextmanager
def projector(settings: IngestSettings, health: Health, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    reader = Reader(settings, GROUP, max_poll_records=MOST_RECORDS, max_poll_interval_ms=MOST_SECONDS * 1000)
    try:
        reader.subscribe([EVENTS.at(settings.log_epoch), DIRECTORY_STATEMENTS.name])
        with closing(ProjectionWriter(reader, partial(_producer, settings))) as writer:
            people = DirectoryProjector(settings, reader, writer, health.metrics)
            work = _EitherTopic(Projector(settings, reader, writer), people)
            loop = BatchLoop(reader, work, health, Limits(MOST_RECORDS, MOST_BYTES))
            yield {"projector": partial(loop.run, stop)}
    finally:
        reader.close()


def _producer(settings: IngestSettings) -> Producer:
    # A replica with a name takes over from its predecessor at once; without one nobody else bears its name.
    name = settings.instance or uuid4().hex
    return Producer(settings, f"{GROUP}-{name}", transaction_timeout_ms=TRANSACTION_SECONDS * 1000)
