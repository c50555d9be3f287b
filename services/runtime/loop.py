"""The batch loop of a consuming service: poll, gather, handle, commit last. What cannot be handled now waits, with its
partition paused and polling going on, so that the service stays a member of its group."""

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
from services.runtime.unexpected import BadDeployError

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


class Backoff:
    """How often something was put off, and when it is due again: later each time, with jitter."""

    def __init__(self) -> None:
        self.tries = 0
        self._due = 0.0

    def ready(self) -> bool:
        return self._due <= time.monotonic()

    def put_off(self) -> None:
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**self.tries)
        self.tries += 1
        self._due = time.monotonic() + longest * (0.5 + random.random() / 2)  # noqa: S311 (jitter, no secret)


@dataclass(frozen=True)
class Batch:
    """Records of one partition, in offset order, without anything between them left out."""

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
    """A batch is complete with so many records or bytes, or when its first record has waited so long; whichever
    comes first. By default it is what a poll brings."""

    records: int = 10_000
    octets: int = 8 * 1024 * 1024
    seconds: float = 0.0


class PartitionBuffer:
    """`records` are in hand. `until` is the offset at which the next batch must end, None where it may end anywhere;
    `notes` are what was said of the batch in hand when it was handled, None before; `committed` is what the group has
    of the partition."""

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

    def overtakes(self, records: Sequence[Record]) -> bool:
        return records[0].offset < self._next

    def take(self, records: Sequence[Record]) -> None:
        if not self.records:
            self._since = time.monotonic()
        self.records += records
        self._octets += _octets(records)
        self._next = records[-1].offset + 1

    def batch(self, limits: Limits) -> Batch | None:
        """The next complete batch; the same object until it is dropped."""
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
# While something is in hand or waits, a round may not sleep longer than this.
BUSY_POLL_SECONDS = 0.1
# A stop starts no batch after so long: supervisors give a service a few seconds before they kill it.
DRAIN_SECONDS = 1.0

Answer = TypeVar("Answer")


class TryLaterError(Exception):
    """What the work needs is away for now; the same batch is handed over again after a while."""


@contextmanager
def later_if_away() -> Iterator[None]:
    """Raises TryLaterError where the block raises KafkaError."""
    try:
        yield
    except KafkaError as away:
        raise TryLaterError(f"the broker is away: {away}") from away


class Work(Protocol):
    """What a service does with its records. Everything `handle` did is durable when it returns, and a repeat of it
    changes nothing: a crash before the commit repeats the batch. Each may raise TryLaterError; whatever else they
    raise ends the service."""

    def resume(self, partition: Partition, committed: Committed | None) -> int | None:
        """A partition was assigned; called before its first batch. Returns the offset at which that batch must end,
        None where it may end anywhere."""

    def handle(self, batch: Batch) -> Mapping[str, object] | None:
        """Returns what the batch's log line says besides offsets and seconds."""

    def idle(self) -> None:
        """Called once a round, after the batches; for what is due by time."""


@runtime_checkable
class NotingWork(Protocol):
    """Work that has something in hand when a batch is done, and finds it again by its note."""

    def note(self, partition: Partition) -> str:
        """What is kept beside the offset that is about to be committed; `resume` is handed it."""


class BatchLoop:
    def __init__(self, reader: Reader, work: Work, health: Health, limits: Limits = Limits()) -> None:
        self._reader, self._work, self._health, self._limits = reader, work, health, limits
        self._buffers: dict[Partition, PartitionBuffer] = {}
        self._idle = Backoff()
        self._lag = Gauge("rapport_consumer_lag", "Records not yet handled", registry=health.metrics)
        self._log = log.get(__name__)

    def run(self, stop: threading.Event) -> None:
        """Returns when `stop` is set and what is in hand was tried once; raises what the work raises."""
        try:
            while not stop.is_set():
                self._round(stop.is_set)
        except BadDeployError as reason:
            # Others may go on in this process: whoever looks after it is told by its readiness.
            self._health.tell("degraded", f"stopped: {reason}")
            raise
        self._health.tell("stopping")
        deadline = time.monotonic() + DRAIN_SECONDS
        for partition, buffer in self._buffers.items():
            # What had to wait is not waited for: its new owner repeats it.
            if not buffer.backoff.tries:
                last = Limits(records=self._limits.records)
                self._proceed(partition, buffer, last, lambda: time.monotonic() >= deadline)

    def _round(self, over: Callable[[], bool]) -> None:
        busy = any(buffer.busy for buffer in self._buffers.values())
        polled = self._reader.poll(BUSY_POLL_SECONDS if busy else IDLE_POLL_SECONDS)
        assigned = self._reader.assignment()
        self._buffers = {p: self._buffers.get(p) or PartitionBuffer(p) for p in sorted(assigned)}
        for partition, records in polled.items():
            if self._buffers[partition].overtakes(records):
                # Given away and taken back between two polls: what is in hand is read again from the committed offset.
                self._buffers[partition] = PartitionBuffer(partition)
            self._buffers[partition].take(records)
        if polled:
            # A batch may take seconds: whoever waits until nothing is left to do has to see what is in hand.
            self._report()
        for partition, buffer in self._buffers.items():
            if buffer.backoff.ready():
                self._proceed(partition, buffer, self._limits, over)
        self._rest()
        self._report()

    def _proceed(self, partition: Partition, buffer: PartitionBuffer, limits: Limits, over: Callable[[], bool]) -> None:
        """Batch after batch, until `over`."""
        if over():
            return
        try:
            if not buffer.resumed:
                buffer.committed = _unless_away(lambda: self._reader.committed(partition))
                buffer.until = self._work.resume(partition, buffer.committed)
                buffer.resumed = True
            while not over() and (batch := buffer.batch(limits)):
                if buffer.notes is None:
                    began = time.monotonic()
                    notes = self._work.handle(batch) or {}
                    buffer.notes = {**notes, "seconds": round(time.monotonic() - began, 3)}
                self._commit(batch, buffer.notes)
                buffer.drop(batch)
        except TryLaterError as reason:
            self._put_off(buffer.backoff, str(partition), reason)
            self._reader.pause([partition])
        else:
            if buffer.backoff.tries:
                buffer.backoff = Backoff()
                self._reader.resume([partition])

    def _commit(self, batch: Batch, notes: Mapping[str, object]) -> None:
        note = self._work.note(batch.partition) if isinstance(self._work, NotingWork) else ""
        done = Committed(batch.last + 1, note)
        committed = _unless_away(lambda: self._reader.commit({batch.partition: done}))
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

    def _rest(self) -> None:
        if not self._idle.ready():
            return
        try:
            self._work.idle()
            if isinstance(self._work, NotingWork):
                self._renew_notes(self._work)
        except TryLaterError as reason:
            self._put_off(self._idle, "none", reason)
        else:
            self._idle = Backoff()

    def _renew_notes(self, work: NotingWork) -> None:
        """What was in hand may have ended without a batch: a restart would begin it anew."""
        for partition, buffer in self._buffers.items():
            if buffer.committed is not None:
                renewed = Committed(buffer.committed.offset, work.note(partition))
                if renewed != buffer.committed and _unless_away(partial(self._reader.commit, {partition: renewed})):
                    buffer.committed = renewed

    def _put_off(self, backoff: Backoff, partition: str, reason: TryLaterError) -> None:
        backoff.put_off()
        self._log.warning("work_put_off", partition=partition, tries=backoff.tries, reason=str(reason))

    def _report(self) -> None:
        waiting = sum(bool(buffer.backoff.tries) for buffer in self._buffers.values())
        try:
            lag = _unless_away(self._reader.lag) + sum(len(buffer.records) for buffer in self._buffers.values())
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
            self._health.tell(found.state, found.detail)


def _unless_away(ask: Callable[[], Answer]) -> Answer:
    """A broker that is away for a while ends no service: whatever else runs in its process may still be of use.
    Raises TryLaterError; what no waiting mends is raised as it is."""
    try:
        return ask()
    except KafkaError as away:
        if not away.retriable:
            raise
        raise TryLaterError(f"the broker does not answer: {away}") from away
