"""Projects the log to the compacted topics of the roster and the bookings, partition by partition, and the directory
statements to the directory. A process that starts reads these: a start costs what is current, not the full history."""

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
from services.ingest.flow.people.projected_topics import Projected, ProjectionWriter, SnapshotCache, topics_of
from services.ingest.flow.supervise import Parts
from services.ingest.settings import IngestSettings
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import Committed, Partition, Producer, Reader, Record, read_partition
from services.runtime.loop import BatchLoop, Work, later_if_away
from services.runtime.partition_buffer import Batch, Limits
from services.runtime.settings import Settings
from services.runtime.unexpected import Breaker, error_fields

GROUP = "rapport-ingest-projector"
MAX_RECORDS = 20_000
"""Of one batch: a relationship with several events in it is written once."""
MAX_BYTES = 32 * 2**20
MAX_SECONDS = 900
"""The poll interval: a partition's projection is restored before its first batch."""
# Searched in the bytes of an event: events of other types change neither roster nor bookings and are not parsed.
PROJECTED = re.compile(rb'"mentoring\.(?:relationship|session\.(?:scheduled|rescheduled|cancelled)|event\.retracted)\.')


class Projector:
    """The work of a BatchLoop, for the partitions of the log."""

    def __init__(self, settings: Settings, reader: Reader, writer: ProjectionWriter, snapshots: SnapshotCache) -> None:
        self._settings, self._reader, self._writer, self._snapshots = settings, reader, writer, snapshots
        self._topics = topics_of(settings)
        self._projections: dict[Partition, PartitionProjection] = {}
        self._next: dict[Partition, int] = {}
        self._partition_count = cache(reader.partition_count)
        self._unexpected, self._write_failures = UnexpectedFailures(), Breaker()
        self._log = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Restores the projection. If it ends before the committed offset (the topics were recreated, or another
        version wrote them), the rest is folded from the log and written, because no later batch may write it."""
        begin = committed.offset if committed else 0
        with later_if_away():
            try:
                projection = self._restore(partition.number)
                if projection.reached < begin:
                    self._fold_log(projection, partition, range(projection.reached, begin))
            except UnreadableProjectionError as unknown:
                projection = self._rebuild(partition, begin, unknown)
        self._projections[partition], self._next[partition] = projection, begin

    def handle(self, batch: Batch) -> Mapping[str, object]:
        if self._next[batch.partition] not in {0, batch.first}:
            # Revoked and assigned again between two polls: another member has folded the records in between.
            self.resume(batch.partition, Committed(batch.first))
        try:
            notes = self._fold(batch)
        except UnreadableProjectionError as unknown:
            with later_if_away():
                self._projections[batch.partition] = self._rebuild(batch.partition, batch.first, unknown)
            notes = self._fold(batch)
        self._write(self._projections[batch.partition], batch.partition, range(batch.first, batch.last + 1))
        self._next[batch.partition] = batch.last + 1
        return notes

    def idle(self) -> None:
        self._snapshots.expire()
        assigned = self._reader.assignment()
        self._projections = {one: found for one, found in self._projections.items() if one in assigned}
        for partition, projection in self._projections.items():
            try:
                if projection.check_some():
                    return
            except UnreadableProjectionError as unknown:
                with later_if_away():
                    self._projections[partition] = self._rebuild(partition, self._next[partition], unknown)
                return

    def _restore(self, number: int) -> PartitionProjection:
        """The projection as on both topics. Raises UnreadableProjectionError."""
        projection = PartitionProjection(self._topics)
        both = [Partition(topic, number) for topic in (self._topics.roster, self._topics.bookings)]
        for record in self._snapshots.records(both):
            projection.add(record)
        return projection

    def _rebuild(self, partition: Partition, end: int, unknown: UnreadableProjectionError) -> PartitionProjection:
        """Folds the log alone, up to `end`, without any projected record. Raises KafkaError."""
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

    def _fold(self, batch: Batch) -> Counter[str]:
        projection, notes = self._projections[batch.partition], Counter[str]()
        for record in batch.records:
            self._apply(projection, record, notes)
        notes["relationships"] = len(projection.changed)
        return notes

    def _apply(self, projection: PartitionProjection, record: Record, notes: Counter[str]) -> None:
        """Skips a record that meets an error of ours; a hundred in a row are a bad deploy. Raises
        UnreadableProjectionError."""
        apply = partial(self._apply_event, projection, record, notes)
        if isinstance(self._unexpected.attempt(record, apply, UnreadableProjectionError), Rejected):
            notes["failed"] += 1

    def _apply_event(self, projection: PartitionProjection, record: Record, notes: Counter[str]) -> None:
        value = record.value or b""
        if not PROJECTED.search(value):
            return
        event = event_or_note(record, self._partition_count(record.topic), self._log, notes)
        if event and not isinstance(event, OfPartition):
            projection.apply(event)

    def _write(self, projection: PartitionProjection, partition: Partition, offsets: range) -> None:
        """Writes all changed relationships. `offsets` are those folded since the last commit."""
        records = self._changed_records(projection, position(self._settings.log_epoch, offsets.stop - 1))
        self._writer.write(records, (self._topics.roster, self._topics.bookings), partition, offsets)
        projection.changed.clear()

    def _changed_records(self, projection: PartitionProjection, at: int) -> Iterator[Projected]:
        """A relationship that meets an error of ours keeps its older record and does not stop the others; a hundred in
        a row are a bad deploy."""
        for changed in projection.changed:
            try:
                records = list(projection.records(at, changed))
            except Exception as failure:  # noqa: BLE001 (logged and counted)
                self._log.error("relationship_failed", relationship="/".join(changed), **error_fields(failure))
                self._write_failures.refused(type(failure).__name__)
            else:
                self._write_failures.passed()
                yield from records


class _ByTopic:
    """The work of a BatchLoop that delegates by topic: the partitions of the log, or that of directory statements."""

    def __init__(self, relationships: Projector, people: DirectoryProjector) -> None:
        self._relationships, self._people = relationships, people

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        self._work_of(partition).resume(partition, committed)

    def handle(self, batch: Batch) -> Mapping[str, object] | None:
        return self._work_of(batch.partition).handle(batch)

    def idle(self) -> None:
        self._relationships.idle()
        self._people.idle()

    def _work_of(self, partition: Partition) -> Work:
        return self._people if partition.topic == DIRECTORY_STATEMENTS.name else self._relationships


# A transaction whose process died blocks readers for so long.
TRANSACTION_SECONDS = 15


@contextmanager
def projector(
    settings: IngestSettings, health: Health, stop: threading.Event, shared: SnapshotCache | None = None
) -> Iterator[Parts]:
    """`shared`: the snapshot that other parts of the process read as well. Raises KafkaError."""
    snapshots = shared or SnapshotCache(settings, ())
    limits = {"max_poll_records": MAX_RECORDS, "max_poll_interval_ms": MAX_SECONDS * 1000}
    # A named replica fences its predecessor at once; without a name, the transactional id is unique.
    name = f"{GROUP}-{settings.instance or uuid4().hex}"
    producer = partial(Producer, settings, name, transaction_timeout_ms=TRANSACTION_SECONDS * 1000)
    with closing(Reader(settings, GROUP, **limits)) as reader, closing(ProjectionWriter(reader, producer)) as writer:
        reader.subscribe([EVENTS.at(settings.log_epoch), DIRECTORY_STATEMENTS.name])
        people = DirectoryProjector(settings, reader, writer, snapshots, health.metrics)
        work = _ByTopic(Projector(settings, reader, writer, snapshots), people)
        loop = BatchLoop(reader, work, health, Limits(MAX_RECORDS, MAX_BYTES))
        yield {"projector": partial(loop.run, stop)}
