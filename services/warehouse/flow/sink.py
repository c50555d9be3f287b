"""Stores batches of the log in tables, each row exactly once: plan, insert, dead-letter; the loop commits last."""

from collections.abc import Callable, Mapping
from functools import cache, partial

from services.runtime import log
from services.runtime.clickhouse import ClickHouseAwayError
from services.runtime.kafka import Committed, Partition, Reader, Record
from services.runtime.key_placement import misplaced
from services.runtime.loop import TryLaterError
from services.runtime.partition_buffer import Batch
from services.runtime.unexpected import error_fields
from services.warehouse.domain.plan import Plan, broken, parse_metadata, plan
from services.warehouse.domain.record import Outcome, RecordMetadata, Refused
from services.warehouse.domain.sorting import SortedBatch, sort_outcomes
from services.warehouse.domain.target import Feed, Target
from services.warehouse.flow.recomputing import RecomputeThread
from services.warehouse.flow.store import Store

NO_VALUE = Refused("no_value")


class PlanBrokenError(Exception):
    """The log lacks the range that was being stored when the service stopped."""


class Sink:
    """The work of the batch loop. While ClickHouse stores a batch of one partition, that of another is decoded."""

    def __init__(self, reader: Reader, feed: Feed, store: Store, recomputing: RecomputeThread) -> None:
        self._reader, self._feed, self._store, self._recomputing = reader, feed, store, recomputing
        self.places = store.clients
        self._first = Partition(min(feed.targets), 0)
        self._partition_count = cache(reader.partition_count)
        self._planned: dict[Partition, Plan] = {}
        self._sorted: dict[Partition, tuple[Batch, SortedBatch]] = {}

    def resume(self, partition: Partition, committed: Committed | None) -> int | None:
        """A planned range that may be unfinished is stored again, exactly that range."""
        self._sorted.pop(partition, None)
        self._planned.pop(partition, None)
        planned = parse_metadata(committed.offset, committed.metadata) if committed else None
        if planned is None or self._feed.targets[partition.topic].holes == "compacted":
            # Compaction may have removed the last planned record: the remaining records are stored anew.
            return None
        self._planned[partition] = planned
        return planned.last

    def handle(self, batch: Batch) -> Mapping[str, object]:
        return self.begin(batch)()

    def begin(self, batch: Batch) -> Callable[[], Mapping[str, object]]:
        """Decode and plan; what is returned stores."""
        target = self._feed.targets[batch.partition.topic]
        found = plan([r.offset for r in batch.records], [r.value for r in batch.records])
        self._expect(batch.partition, found, target)
        # 1. Decide the outcome of every record.
        sorted_batch = self._sort(batch, target)
        # 2. Plan: after a crash from here on exactly this range is sent again.
        if (sorted_batch.rows or sorted_batch.refused) and not self._reader.commit(
            {batch.partition: Committed(batch.first, found.to_metadata())}
        ):
            raise TryLaterError("a rebalance is under way")
        return partial(self._put, batch, sorted_batch)

    def idle(self) -> None:
        """One instance recomputes, on another thread: the owner of the first partition. Raises the failure that ended
        it."""
        problem = self._recomputing.supervise(owned=self._first in self._reader.assignment())
        if problem:
            raise TryLaterError(problem)

    def _expect(self, partition: Partition, found: Plan, target: Target) -> None:
        # Once: a batch that is put off remains what was found here.
        planned = self._planned.pop(partition, None)
        problem = broken(planned, found, plain=target.holes == "none") if planned else None
        if problem:
            raise PlanBrokenError(
                f"{partition.topic} {partition.number}: {problem.reason}. If the log was cut on purpose, "
                f"set the offset of group {self._feed.group} for this partition anew"
            )

    def _sort(self, batch: Batch, target: Target) -> SortedBatch:
        """Runs once per batch, also if it is stored several times: each refusal is counted once."""
        cached = self._sorted.get(batch.partition)
        if cached is not None and cached[0] is batch:
            return cached[1]
        partitions = self._partition_count(batch.partition.topic)
        read = ((record.offset, self._read(record, target, partitions)) for record in batch.records)
        found = sort_outcomes(self._store.collect(read))
        self._sorted[batch.partition] = (batch, found)
        return found

    def _read(self, record: Record, target: Target, partitions: int) -> Outcome:
        """Map a record to its outcome. A bug that a record triggers dead-letters the record like an invalid one, and
        counts as a refusal. Thin: it runs for every record."""
        _, partition, offset, key, value, headers, timestamp_ms = record
        if value is None and target.holes == "compacted":
            # In a compacted topic a tombstone deletes its key.
            value = b""
        if value is None:
            return NO_VALUE
        try:
            outcome = target.read(
                value, RecordMetadata(partition, offset, self._feed.epoch, timestamp_ms, key or b"", headers)
            )
        except Exception as failure:  # noqa: BLE001
            found = error_fields(failure)
            log.get(__name__).error("record_failed", partition=partition, offset=offset, **found)
            return Refused("failed", found["error"])
        if target.key_of is None or not isinstance(outcome, tuple):
            return outcome
        elsewhere = misplaced(key, partition, partitions, target.key_of(outcome[0]))
        return Refused("misplaced", elsewhere.path) if elsewhere else outcome

    def _put(self, batch: Batch, sorted_batch: SortedBatch) -> Mapping[str, object]:
        """Runs beside the loop."""
        try:
            # 3. Insert.
            refused = {**sorted_batch.refused, **self._store.put(batch, sorted_batch.blocks)}
            # 4. Dead-letter the records that cannot be stored, before the commit completes the range.
            self._store.store_dead_letters(batch, refused)
        except ClickHouseAwayError as away:
            raise TryLaterError(f"ClickHouse is away: {away}") from away
        if sorted_batch.rows or refused:
            self._recomputing.stored()
        if self._sorted.get(batch.partition, (None,))[0] is batch:
            self._sorted.pop(batch.partition, None)
        return {"rows": sorted_batch.rows, "ignored": sorted_batch.ignored, "refused": len(refused)}
