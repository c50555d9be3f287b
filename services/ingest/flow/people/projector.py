"""Folds the log into the compacted topics of the roster and the bookings, partition by partition, and what is said of
people into the directory: whoever starts reads these, and a start costs what is alive instead of all that ever
happened."""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache, partial
from uuid import uuid4

from schemas.events import OfPartition
from schemas.topics import DIRECTORY_STATEMENTS, EVENTS, position
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.in_flight import UnexpectedFailures
from services.ingest.flow.log_reading import event_or_note
from services.ingest.flow.people.directory_projector import DirectoryProjector
from services.ingest.flow.people.partition_projection import PartitionProjection, UnreadableProjectionError
from services.ingest.flow.people.projected_topics import Projected, ProjectionWriter, StandingRecords, topics_of
from services.ingest.flow.supervise import Parts
from services.ingest.settings import IngestSettings
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import Committed, Partition, Producer, Reader, Record, read_partition
from services.runtime.loop import Batch, BatchLoop, Limits, Work, later_if_away
from services.runtime.settings import Settings
from services.runtime.unexpected import Breaker, error_fields

GROUP = "rapport-ingest-projector"
MOST_RECORDS = 20_000
"""Of one batch: a relationship that is told of several times in it is written once."""
MOST_BYTES = 32 * 2**20
MOST_SECONDS = 900
"""A partition's projection is read back before its first batch."""
# In the bytes of an event: whatever else tells nothing of people or of booked sessions is not parsed.
TELLING = re.compile(rb'"mentoring\.(?:relationship|session\.(?:scheduled|rescheduled|cancelled)|event\.retracted)\.')


class Projector:
    """The work of a BatchLoop, of the partitions of the log."""

    def __init__(self, settings: Settings, reader: Reader, writer: ProjectionWriter, standing: StandingRecords) -> None:
        self._settings, self._reader, self._writer, self._standing = settings, reader, writer, standing
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
        with later_if_away():
            try:
                projection = self._restored(partition.number)
                if projection.reached < begin:
                    self._fold_log(projection, partition, range(projection.reached, begin))
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
            with later_if_away():
                self._projections[batch.partition] = self._made_anew(batch.partition, batch.first, unknown)
            notes = self._folded(batch)
        self._write(self._projections[batch.partition], batch.partition, range(batch.first, batch.last + 1))
        self._next[batch.partition] = batch.last + 1
        return notes

    def idle(self) -> None:
        self._standing.forget()
        assigned = self._reader.assignment()
        self._projections = {one: known for one, known in self._projections.items() if one in assigned}
        for partition, projection in self._projections.items():
            try:
                if projection.check_some():
                    return
            except UnreadableProjectionError as unknown:
                with later_if_away():
                    self._projections[partition] = self._made_anew(partition, self._next[partition], unknown)
                return

    def _restored(self, number: int) -> PartitionProjection:
        """What lies on both topics. Raises UnreadableProjectionError."""
        projection = PartitionProjection(self._topics)
        both = [Partition(topic, number) for topic in (self._topics.roster, self._topics.bookings)]
        for record in self._standing.of(both):
            projection.hold(record)
        return projection

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
                self._log.error("relationship_failed", relationship="/".join(touched), **error_fields(failure))
                self._written.refused(type(failure).__name__)
            else:
                self._written.passed()
                yield from told


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
def projector(
    settings: IngestSettings, health: Health, stop: threading.Event, shared: StandingRecords | None = None
) -> Iterator[Parts]:
    """`shared` with whoever else of the process reads the projected topics. Raises KafkaError."""
    standing = shared or StandingRecords(settings, ())
    limits = {"max_poll_records": MOST_RECORDS, "max_poll_interval_ms": MOST_SECONDS * 1000}
    # A replica with a name takes over from its predecessor at once; without one nobody else bears its name.
    name = f"{GROUP}-{settings.instance or uuid4().hex}"
    producer = partial(Producer, settings, name, transaction_timeout_ms=TRANSACTION_SECONDS * 1000)
    with closing(Reader(settings, GROUP, **limits)) as reader, closing(ProjectionWriter(reader, producer)) as writer:
        reader.subscribe([EVENTS.at(settings.log_epoch), DIRECTORY_STATEMENTS.name])
        people = DirectoryProjector(settings, reader, writer, standing, health.metrics)
        work = _EitherTopic(Projector(settings, reader, writer, standing), people)
        loop = BatchLoop(reader, work, health, Limits(MOST_RECORDS, MOST_BYTES))
        yield {"projector": partial(loop.run, stop)}
