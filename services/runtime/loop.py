"""The batch loop of a consuming service: poll, handle, commit last. A batch that cannot be handled now waits, with its
partition paused and polling going on, so that the service stays a member of its group."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import Committed, Partition, Reader, Record

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


class TryLaterError(Exception):
    """What the work needs is away for now; the same batch is handed over again after a while."""


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


class Work(Protocol):
    """What a service does with its records. Everything `handle` did is durable when it returns, and a repeat of it
    changes nothing: a crash before the commit repeats the batch. Whatever else they raise ends the service."""

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """A partition was assigned; called before its first batch. May raise TryLaterError."""

    def handle(self, batch: Batch) -> None:
        """May raise TryLaterError."""

    def idle(self) -> None:
        """Called once a round, after the batches; for what is due by time."""


@dataclass
class _Waiting:
    step: Callable[[], None]
    tries: int = 0
    due: float = 0.0

    def put_off(self, now: float) -> None:
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**self.tries)
        self.tries += 1
        self.due = now + longest * (0.5 + random.random() / 2)  # noqa: S311 (jitter, no secret)


class BatchLoop:
    def __init__(self, reader: Reader, work: Work, health: Health, poll_seconds: float = 0.5) -> None:
        self._reader, self._work, self._health, self._poll_seconds = reader, work, health, poll_seconds
        self._known: set[Partition] = set()
        self._waiting: dict[Partition, list[_Waiting]] = {}
        self._log = log.get(__name__)

    def run(self, stop: threading.Event) -> None:
        """Returns when `stop` is set and the batches in hand were tried once more; raises what the work raises."""
        while not stop.is_set():
            self._round()
        self._health.tell("stopping")
        for partition in list(self._waiting):
            self._proceed(partition, last_try=True)

    def _round(self) -> None:
        polled = self._reader.poll(0.1 if self._waiting else self._poll_seconds)
        self._follow_assignment()
        for partition, records in polled.items():
            batch = Batch(partition, records)
            self._enqueue(partition, lambda batch=batch: self._handle(batch))  # type: ignore[misc]
        for partition in list(self._waiting):
            self._proceed(partition)
        self._work.idle()
        self._report()

    def _follow_assignment(self) -> None:
        assigned = self._reader.assignment()
        for partition in self._known - assigned:
            self._waiting.pop(partition, None)
        for partition in sorted(assigned - self._known):
            self._enqueue(partition, lambda partition=partition: self._resume(partition))  # type: ignore[misc]
        self._known = assigned

    def _enqueue(self, partition: Partition, step: Callable[[], None]) -> None:
        self._waiting.setdefault(partition, []).append(_Waiting(step))

    def _proceed(self, partition: Partition, *, last_try: bool = False) -> None:
        steps = self._waiting[partition]
        now = time.monotonic()
        while steps and (last_try or steps[0].due <= now):
            try:
                steps[0].step()
            except TryLaterError as reason:
                steps[0].put_off(now)
                self._reader.pause([partition])
                self._log.warning("batch_put_off", partition=str(partition), tries=steps[0].tries, reason=str(reason))
                return
            paused = steps.pop(0).tries > 0
            if paused:
                self._reader.resume([partition])
        if not steps:
            del self._waiting[partition]

    def _resume(self, partition: Partition) -> None:
        self._work.resume(partition, self._reader.committed(partition))

    def _handle(self, batch: Batch) -> None:
        began = time.monotonic()
        self._work.handle(batch)
        committed = self._reader.commit({batch.partition: Committed(batch.last + 1)})
        self._log.info(
            "batch_done",
            topic=batch.partition.topic,
            partition=batch.partition.number,
            first=batch.first,
            last=batch.last,
            records=len(batch.records),
            seconds=round(time.monotonic() - began, 3),
            outcome="committed" if committed else "partition_lost",
        )

    def _report(self) -> None:
        if self._waiting:
            self._health.tell("degraded", f"{len(self._waiting)} partitions wait")
        elif self._known:
            self._health.tell("ready", f"{len(self._known)} partitions, lag {self._reader.lag()}")
