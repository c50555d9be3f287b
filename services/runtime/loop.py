"""The batch loop of a consumer: poll, gather, handle, commit last. A batch that cannot be handled yet is retried later:
its partition is paused and polling continues, so that the consumer stays a member of its group."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from prometheus_client import Gauge

from services.runtime import log
from services.runtime.beside import Beside
from services.runtime.health import Condition, Health
from services.runtime.kafka import Committed, KafkaError, Partition, Reader
from services.runtime.partition_buffer import Backoff, Batch, Limits, PartitionBuffer
from services.runtime.progress import note_progress
from services.runtime.unexpected import BadDeployError

IDLE_POLL_SECONDS = 0.5
# The poll timeout while records are buffered or a retry is pending.
BUSY_POLL_SECONDS = 0.1
# The same while a batch runs beside the loop: its commit waits for the poll to end.
BESIDE_POLL_SECONDS = 0.01
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


@runtime_checkable
class TwoPartWork(Protocol):
    """Work whose batches are handled in two parts, the second beside the loop. Batches of several partitions are in
    the works at the same time then, one of each, at most `places`."""

    places: int

    def begin(self, batch: Batch) -> Callable[[], Mapping[str, object]]:
        """Do the first part and return the second, which runs on another thread and uses no Reader. Both together do
        what `handle` does."""


ONE_POLL = Limits()


class BatchLoop:
    def __init__(self, reader: Reader, work: Work, health: Health, limits: Limits = ONE_POLL) -> None:
        self._reader, self._work, self._health, self._limits = reader, work, health, limits
        self._buffers: dict[Partition, PartitionBuffer] = {}
        self._idle = Backoff()
        self._two_part = work if isinstance(work, TwoPartWork) else None
        self._beside = Beside(self._two_part.places if self._two_part else 0, partial(health.loop, "batches"))
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
        self._drain(lambda: time.monotonic() >= deadline)

    def _drain(self, should_stop: Callable[[], bool]) -> None:
        """Try every buffered batch once until `should_stop`, and wait for those that run beside the loop."""
        last = Limits(records=self._limits.records)
        while True:
            # A partition in backoff is not retried: its next owner repeats the batch.
            self._process_all(last, should_stop, lambda buffer: not buffer.backoff.tries)
            if not any(buffer.running for buffer in self._buffers.values()):
                return
            self._beside.wait(BUSY_POLL_SECONDS)

    def _round(self, should_stop: Callable[[], bool]) -> None:
        polled = self._reader.poll(self._poll_seconds())
        assigned = self._reader.assignment()
        self._buffers = {p: self._buffers.get(p) or PartitionBuffer(p) for p in sorted(assigned)}
        for partition, records in polled.items():
            if self._buffers[partition].rewinds(records):
                # The partition was revoked and reassigned between two polls: it is read again from the committed
                # offset.
                self._buffers[partition] = PartitionBuffer(partition)
            self._buffers[partition].append(records)
        self._forget_lost()
        if polled:
            # A batch may take seconds: the reported lag must include it meanwhile, for those who wait until it is 0.
            self._report()
        self._process_all(self._limits, should_stop, lambda buffer: buffer.backoff.ready())
        for partition, buffer in self._buffers.items():
            self._pause_or_resume(partition, buffer)
        self._run_idle()
        self._report()

    def _process_all(
        self, limits: Limits, should_stop: Callable[[], bool], due: Callable[[PartitionBuffer], bool]
    ) -> None:
        # 1. Commit what has run beside the loop, which gives places free.
        for partition, buffer in self._buffers.items():
            if buffer.running:
                self._process(partition, buffer, limits, should_stop)
        # 2. Begin with the partition that has waited longest: the first ones would otherwise keep the places.
        for partition, buffer in sorted(self._buffers.items(), key=lambda one: one[1].begun_at):
            if due(buffer) and not buffer.running:
                self._process(partition, buffer, limits, should_stop)

    def _process(
        self, partition: Partition, buffer: PartitionBuffer, limits: Limits, should_stop: Callable[[], bool]
    ) -> None:
        """Handle and commit batch after batch, until `should_stop` or until one runs beside the loop."""
        if should_stop() and not buffer.running:
            return
        try:
            if not buffer.resumed:
                buffer.committed = _try_later_if_away(lambda: self._reader.committed(partition))
                buffer.until = self._work.resume(partition, buffer.committed)
                buffer.resumed = True
            while (buffer.running or not should_stop()) and (batch := buffer.batch(limits)):
                if buffer.notes is None:
                    buffer.notes = self._handle(batch, buffer)
                if buffer.notes is None:
                    return
                self._commit(batch, buffer.notes)
                buffer.drop(batch)
                buffer.backoff = Backoff()
                note_progress()
                if self._two_part:
                    # Others may wait for the place.
                    break
        except TryLaterError as reason:
            self._back_off(buffer.backoff, str(partition), reason)
        else:
            buffer.backoff = Backoff()

    def _handle(self, batch: Batch, buffer: PartitionBuffer) -> Mapping[str, object] | None:
        """Return the log fields of the batch once it is handled, or None while it runs beside the loop or waits for a
        place there."""
        began = time.monotonic()
        if self._two_part is None:
            notes = self._work.handle(batch) or {}
            return {**notes, "seconds": round(time.monotonic() - began, 3)}
        if buffer.running is None:
            if self._beside.has_place:
                buffer.running = self._beside.start(self._two_part.begin(batch), began, batch.log_fields)
                buffer.begun_at = began
            return None
        if not buffer.running.done:
            return None
        ended, buffer.running = buffer.running, None
        return self._beside.take(ended)

    def _forget_lost(self) -> None:
        """Batches of partitions that were lost while they ran beside the loop: their next owners repeat them."""
        for lost in self._beside.others({buffer.running for buffer in self._buffers.values()}):
            try:
                notes = self._beside.take(lost)
            except TryLaterError as reason:
                notes = {"reason": str(reason)}
            self._log.info("batch_done", **lost.log_fields, **notes, outcome="partition_lost")

    def _pause_or_resume(self, partition: Partition, buffer: PartitionBuffer) -> None:
        paused = buffer.backoff.tries > 0 or buffer.full(self._limits)
        if paused:
            # In every round: a partition that is assigned anew is not paused any more.
            self._reader.pause([partition])
        elif buffer.paused and not paused:
            self._reader.resume([partition])
        buffer.paused = paused

    def _poll_seconds(self) -> float:
        if any(buffer.running for buffer in self._buffers.values()):
            return BESIDE_POLL_SECONDS
        return BUSY_POLL_SECONDS if any(buffer.busy for buffer in self._buffers.values()) else IDLE_POLL_SECONDS

    def _commit(self, batch: Batch, notes: Mapping[str, object]) -> None:
        note = self._work.offset_metadata(batch.partition) if isinstance(self._work, MetadataWork) else ""
        done = Committed(batch.last + 1, note)
        committed = _try_later_if_away(lambda: self._reader.commit({batch.partition: done}))
        if not committed and batch.partition in self._reader.assignment():
            raise TryLaterError("a rebalance is under way")
        self._buffers[batch.partition].committed = done
        self._log.info(
            "batch_done",
            **batch.log_fields,
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
        # Each partition may wait in its turn for what does not answer: a restart would not bring it back.
        note_progress()
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
