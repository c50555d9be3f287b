"""The batch loop of a consumer: poll, gather, handle, commit last. A batch that cannot be handled yet is retried later:
its partition is paused and polling continues, so that the consumer stays a member of its group."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from prometheus_client import Gauge

from services.runtime import log
from services.runtime.health import Condition, Health
from services.runtime.kafka import Committed, KafkaError, Partition, Reader, Record
from services.runtime.progress import note_progress
from services.runtime.unexpected import BadDeployError

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


class Backoff:
    """Exponential backoff with jitter: how many attempts failed, and when the next one is due."""

    def __init__(self) -> None:
        self.tries = 0
        self._due = 0.0

    def ready(self) -> bool:
        return self._due <= time.monotonic()

    def record_failure(self) -> None:
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**self.tries)
        self.tries += 1
        self._due = time.monotonic() + longest * (0.5 + random.random() / 2)  # noqa: S311 (jitter, no secret)


@dataclass(frozen=True)
class Batch:
    """Records of one partition in offset order, without gaps."""

    partition: Partition
    records: Sequence[Record]

    @property
    def first(self) -> int:
        return self.records[0].offset

    @property
    def last(self) -> int:
        return self.records[-1].offset


@dataclass(frozen=True)
class Limits:
    """A batch is complete at this number of records or bytes, or when its first record has waited this long,
    whichever comes first. By default a batch is what one poll returns."""

    records: int = 10_000
    octets: int = 8 * 1024 * 1024
    seconds: float = 0.0


class PartitionBuffer:
    """Records of one partition that are polled and not yet handled.

    `until`: the offset at which the next batch must end, or None. `notes`: log fields of the current batch once it is
    handled, None before. `committed`: the group's committed offset of the partition."""

    def __init__(self, partition: Partition) -> None:
        self.resumed = False
        self.until: int | None = None
        self.notes: Mapping[str, object] | None = None
        self.backoff = Backoff()
        self.committed: Committed | None = None
        self._partition = partition
        self.records: list[Record] = []
        self._octets = 0
        self._next = 0
        self._since = 0.0
        self._batch: Batch | None = None

    @property
    def busy(self) -> bool:
        return bool(self.records or self.backoff.tries)

    def rewinds(self, records: Sequence[Record]) -> bool:
        return records[0].offset < self._next

    def append(self, records: Sequence[Record]) -> None:
        if not self.records:
            self._since = time.monotonic()
        self.records += records
        self._octets += _octets(records)
        self._next = records[-1].offset + 1

    def batch(self, limits: Limits) -> Batch | None:
        """Return the next complete batch, or None. It is the same object until it is dropped."""
        if self._batch is None and self._complete(limits):
            found = self.records[: limits.records]
            if self.until is not None and self.records[0].offset <= self.until:
                found = [record for record in self.records if record.offset <= self.until]
            self._batch = Batch(self._partition, found)
        return self._batch

    def drop(self, batch: Batch) -> None:
        del self.records[: len(batch.records)]
        self._octets -= _octets(batch.records)
        self.until, self.notes, self._batch = None, None, None

    def _complete(self, limits: Limits) -> bool:
        if not self.records:
            return False
        if self.until is not None:
            return self.records[-1].offset >= self.until
        waited = time.monotonic() - self._since >= limits.seconds
        return waited or len(self.records) >= limits.records or self._octets >= limits.octets


def _octets(records: Sequence[Record]) -> int:
    return sum(len(record.value or b"") for record in records)


IDLE_POLL_SECONDS = 0.5
# The poll timeout while records are buffered or a retry is pending.
BUSY_POLL_SECONDS = 0.1
# After a stop no further batch starts beyond this: supervisors wait a few seconds before they kill a service.
DRAIN_SECONDS = 1.0

Answer = TypeVar("Answer")


class TryLaterError(Exception):
    """A dependency is unavailable. The loop hands over the same batch again after a backoff."""


@contextmanager
def later_if_away() -> Iterator[None]:
    """Turn a KafkaError of the block into TryLaterError."""
    try:
        yield
    except KafkaError as away:
        raise TryLaterError(f"the broker is away: {away}") from away


class Work(Protocol):
    """What a service does with its records. `handle` is durable when it returns, and idempotent: after a crash before
    the commit the batch is handed over again. Each method may raise TryLaterError; any other exception ends the
    service."""

    def resume(self, partition: Partition, committed: Committed | None) -> int | None:
        """Called when a partition is assigned, before its first batch. Returns the offset at which that batch must end,
        or None."""

    def handle(self, batch: Batch) -> Mapping[str, object] | None:
        """Process the batch. Returns fields for its log line, besides offsets and seconds."""

    def idle(self) -> None:
        """Called once per round, after the batches, for time-driven work."""


@runtime_checkable
class MetadataWork(Protocol):
    """Work that is unfinished when a batch is done, and that is found again by metadata beside the committed offset."""

    def offset_metadata(self, partition: Partition) -> str:
        """Return the metadata of the next committed offset. `resume` receives it after an assignment."""


class BatchLoop:
    def __init__(self, reader: Reader, work: Work, health: Health, limits: Limits = Limits()) -> None:
        self._reader, self._work, self._health, self._limits = reader, work, health, limits
        self._buffers: dict[Partition, PartitionBuffer] = {}
        self._idle = Backoff()
        self._lag = Gauge("rapport_consumer_lag", "Records not yet handled", registry=health.metrics)
        self._log = log.get(__name__)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set and every buffered batch was tried once. Raises what the work raises."""
        try:
            with self._health.loop("batches") as note_turn:
                while not stop.is_set():
                    self._round(stop.is_set)
                    note_turn()
        except BadDeployError as reason:
            # Other parts of the process may continue: readiness tells the operator that this one has stopped.
            self._health.report("degraded", f"stopped: {reason}")
            raise
        self._health.report("stopping")
        deadline = time.monotonic() + DRAIN_SECONDS
        for partition, buffer in self._buffers.items():
            # A partition in backoff is not retried: its next owner repeats the batch.
            if not buffer.backoff.tries:
                last = Limits(records=self._limits.records)
                self._process(partition, buffer, last, lambda: time.monotonic() >= deadline)

    def _round(self, should_stop: Callable[[], bool]) -> None:
        busy = any(buffer.busy for buffer in self._buffers.values())
        polled = self._reader.poll(BUSY_POLL_SECONDS if busy else IDLE_POLL_SECONDS)
        assigned = self._reader.assignment()
        self._buffers = {p: self._buffers.get(p) or PartitionBuffer(p) for p in sorted(assigned)}
        for partition, records in polled.items():
            if self._buffers[partition].rewinds(records):
                # The partition was revoked and reassigned between two polls: it is read again from the committed
                # offset.
                self._buffers[partition] = PartitionBuffer(partition)
            self._buffers[partition].append(records)
        if polled:
            # A batch may take seconds: the reported lag must include it meanwhile, for those who wait until it is 0.
            self._report()
        for partition, buffer in self._buffers.items():
            if buffer.backoff.ready():
                self._process(partition, buffer, self._limits, should_stop)
        self._run_idle()
        self._report()

    def _process(
        self, partition: Partition, buffer: PartitionBuffer, limits: Limits, should_stop: Callable[[], bool]
    ) -> None:
        """Handle and commit batch after batch, until `should_stop`."""
        if should_stop():
            return
        try:
            if not buffer.resumed:
                buffer.committed = _try_later_if_away(lambda: self._reader.committed(partition))
                buffer.until = self._work.resume(partition, buffer.committed)
                buffer.resumed = True
            while not should_stop() and (batch := buffer.batch(limits)):
                if buffer.notes is None:
                    began = time.monotonic()
                    notes = self._work.handle(batch) or {}
                    buffer.notes = {**notes, "seconds": round(time.monotonic() - began, 3)}
                self._commit(batch, buffer.notes)
                buffer.drop(batch)
                note_progress()
        except TryLaterError as reason:
            self._back_off(buffer.backoff, str(partition), reason)
            self._reader.pause([partition])
        else:
            if buffer.backoff.tries:
                buffer.backoff = Backoff()
                self._reader.resume([partition])

    def _commit(self, batch: Batch, notes: Mapping[str, object]) -> None:
        note = self._work.offset_metadata(batch.partition) if isinstance(self._work, MetadataWork) else ""
        done = Committed(batch.last + 1, note)
        committed = _try_later_if_away(lambda: self._reader.commit({batch.partition: done}))
        if not committed and batch.partition in self._reader.assignment():
            raise TryLaterError("a rebalance is under way")
        self._buffers[batch.partition].committed = done
        self._log.info(
            "batch_done",
            topic=batch.partition.topic,
            partition=batch.partition.number,
            first=batch.first,
            last=batch.last,
            records=len(batch.records),
            **notes,
            outcome="committed" if committed else "partition_lost",
        )

    def _run_idle(self) -> None:
        if not self._idle.ready():
            return
        try:
            self._work.idle()
            if isinstance(self._work, MetadataWork):
                self._renew_metadata(self._work)
        except TryLaterError as reason:
            self._back_off(self._idle, "none", reason)
        else:
            self._idle = Backoff()

    def _renew_metadata(self, work: MetadataWork) -> None:
        """Commit changed metadata of partitions that have no new batch: a restart would redo work that ended since."""
        for partition, buffer in self._buffers.items():
            if buffer.committed is not None:
                renewed = Committed(buffer.committed.offset, work.offset_metadata(partition))
                if renewed != buffer.committed and _try_later_if_away(
                    partial(self._reader.commit, {partition: renewed})
                ):
                    buffer.committed = renewed

    def _back_off(self, backoff: Backoff, partition: str, reason: TryLaterError) -> None:
        backoff.record_failure()
        self._log.warning("work_put_off", partition=partition, tries=backoff.tries, reason=str(reason))

    def _report(self) -> None:
        waiting = sum(bool(buffer.backoff.tries) for buffer in self._buffers.values())
        try:
            lag = _try_later_if_away(self._reader.lag) + sum(len(buffer.records) for buffer in self._buffers.values())
        except TryLaterError as away:
            found = Condition("degraded", str(away))
        else:
            self._lag.set(lag)
            found = Condition("ready", f"{len(self._buffers)} partitions, lag {lag}")
            if waiting or self._idle.tries:
                found = Condition("degraded", f"{waiting} of {len(self._buffers)} partitions wait")
            elif not self._buffers:
                return
        if found != self._health.condition:
            self._health.report(found.state, found.detail)


def _try_later_if_away(ask: Callable[[], Answer]) -> Answer:
    """Turn a retriable KafkaError into TryLaterError and raise others as they are: other parts of the process stay of
    use while the broker is away."""
    try:
        return ask()
    except KafkaError as away:
        if not away.retriable:
            raise
        raise TryLaterError(f"the broker does not answer: {away}") from away
