"""Merges directory statements into the directory, in the order of their topic. It is the only writer of the directory,
so that two independent feeds cannot undo each other's statements."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Counted
from pydantic import ValidationError

from schemas.directory import DirectoryStatement, Participant
from schemas.topics import DIRECTORY, DIRECTORY_STATEMENTS
from services.ingest.domain.people.participants import apply_statement, is_same
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.in_flight import UnexpectedFailures
from services.ingest.flow.people.projected_topics import (
    MAX_WRITTEN_BYTES,
    PROGRESS_KEY,
    ProgressRecord,
    Projected,
    ProjectionWriter,
    SnapshotCache,
    load,
)
from services.runtime import log
from services.runtime.kafka import Committed, Partition, Reader, Record, read_partition
from services.runtime.loop import later_if_away
from services.runtime.partition_buffer import Batch
from services.runtime.settings import Settings
from services.validation_errors import field_errors

NOWHERE = -1


class MergedDirectory:
    """The participants of the directory as encoded records, by key. A record is decoded when a statement is about it.
    `unwritten` are the changes since `mark_written`."""

    def __init__(self, people: dict[bytes, bytes]) -> None:
        """`people` as on the topic of the directory. A value that cannot be read is kept, to be erased or replaced."""
        self._people = people
        self._next = 0
        self.unwritten: list[Projected] = []
        self.unwritten_bytes = 0
        self._log = log.get(__name__)

    def apply(self, record: Record) -> str | None:
        """The outcome of a statement; None if it was applied already, by a batch that could not be written."""
        if record.offset < self._next:
            return None
        # Also if this raises: a statement that meets an error of ours is skipped.
        self._next = record.offset + 1
        key = record.key or b""
        if record.value is None:
            return self._erase(key)
        try:
            statement = DirectoryStatement.model_validate_json(record.value)
        except ValidationError as invalid:
            self._log.error("unreadable", topic=record.topic, offset=record.offset, places=field_errors(invalid))
            return "unreadable"
        if key != statement.key:
            self._log.error("misplaced", topic=record.topic, offset=record.offset)
            return "misplaced"
        return self._merge(key, statement)

    def mark_written(self) -> None:
        self.unwritten.clear()
        self.unwritten_bytes = 0

    def _merge(self, key: bytes, statement: DirectoryStatement) -> str:
        registered = self._registered(key)
        result = apply_statement(statement, registered)
        if result is None:
            return self._erase(key)
        if isinstance(result, Rejected):
            faults = [f"{fault.path}: {fault.reason}" for fault in result.errors]
            self._log.error("statement_not_merged", participant=key.decode(), feed=statement.feed, faults=faults)
            return "too_much"
        if is_same(result, registered):
            return "unchanged"
        self._people[key] = result.model_dump_json().encode()
        self._change(key)
        return "merged"

    def _erase(self, key: bytes) -> str:
        if key not in self._people:
            return "unchanged"
        del self._people[key]
        self._change(key)
        return "erased"

    def _change(self, key: bytes) -> None:
        self.unwritten.append(Projected(DIRECTORY.name, key, self._people.get(key)))
        self.unwritten_bytes += self.unwritten[-1].size

    def _registered(self, key: bytes) -> Participant | None:
        """None also for a record that cannot be read: followers of the directory drop it as well."""
        value = self._people.get(key)
        if value is None:
            return None
        try:
            return Participant.model_validate_json(value)
        except ValidationError as invalid:
            self._log.error("unreadable", topic=DIRECTORY.name, participant=key.decode(), places=field_errors(invalid))
            return None


class DirectoryProjector:
    """The work of a BatchLoop, for the single partition of directory statements."""

    def __init__(
        self,
        settings: Settings,
        reader: Reader,
        writer: ProjectionWriter,
        snapshots: SnapshotCache,
        metrics: CollectorRegistry,
    ) -> None:
        self._settings, self._reader, self._writer, self._snapshots = settings, reader, writer, snapshots
        self._directory, self._next = MergedDirectory({}), NOWHERE
        self._unexpected = UnexpectedFailures()
        self._outcomes = Counted(
            "rapport_ingest_directory_statements",
            "About people, by outcome (merged, erased, unchanged; too_much for the directory, which then keeps what it "
            "had; unreadable, misplaced, failed)",
            ["outcome"],
            registry=metrics,
        )
        self._log = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Restores the directory. If it ends before the committed offset, statements are merged again as far as their
        topic still holds them."""
        with later_if_away():
            begin = max(committed.offset if committed else 0, self._reader.beginning_offsets([partition])[partition])
            self._next = NOWHERE
            self._directory, reached = self._restore(partition.number)
            if reached < begin:
                self._log.warning("merged_anew", first=reached, last=begin - 1)
                records = read_partition(self._settings, partition)
                missing = (one for one in records if reached <= one.offset < begin)
                self._merge(partition, missing, range(reached, begin))
        self._next = begin

    def handle(self, batch: Batch) -> Mapping[str, object]:
        if self._next != batch.first:
            # Revoked and assigned again between two polls: another member has merged the records in between.
            self.resume(batch.partition, Committed(batch.first))
        outcomes = self._merge(batch.partition, batch.records, range(batch.first, batch.last + 1))
        self._next = batch.last + 1
        return outcomes

    def idle(self) -> None:
        if not any(one.topic == DIRECTORY_STATEMENTS.name for one in self._reader.assignment()):
            self._directory, self._next = MergedDirectory({}), NOWHERE

    def _restore(self, number: int) -> tuple[MergedDirectory, int]:
        """The directory as on its topic, and the offset of the statements that it reaches."""
        people, reached = dict[bytes, bytes](), 0
        for record in self._snapshots.records([Partition(DIRECTORY.name, number)]):
            if record.key == PROGRESS_KEY:
                try:
                    reached = load(ProgressRecord, record.value or b"").next_offset
                except ValidationError as unknown:
                    # Merging again is harmless.
                    reached = 0
                    self._log.error(
                        "unreadable", topic=record.topic, offset=record.offset, places=field_errors(unknown)
                    )
            elif record.key is not None and record.value is None:
                people.pop(record.key, None)
            elif record.key is not None and record.value is not None:
                people[record.key] = record.value
        return MergedDirectory(people), reached

    def _merge(self, partition: Partition, records: Iterable[Record], offsets: range) -> Counter[str]:
        """Merges the records, and writes whenever enough has changed: each statement may change a record that is much
        larger than itself."""
        outcomes, start = Counter[str](), offsets.start
        for record in records:
            # A statement that meets an error of ours is skipped; a hundred in a row are a bad deploy.
            found = self._unexpected.attempt(record, partial(self._directory.apply, record))
            outcome = "failed" if isinstance(found, Rejected) else found
            if outcome is not None:
                outcomes[outcome] += 1
                self._outcomes.labels(outcome).inc()
            if self._directory.unwritten_bytes >= MAX_WRITTEN_BYTES:
                self._write(partition, range(start, record.offset + 1))
                start = record.offset + 1
        self._write(partition, range(start, offsets.stop))
        return outcomes

    def _write(self, partition: Partition, offsets: range) -> None:
        self._writer.write(self._directory.unwritten, [DIRECTORY.name], partition, offsets)
        self._directory.mark_written()
