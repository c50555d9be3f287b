"""Records of one partition that are polled and not yet handled, and the batches that they are handled in."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.runtime.beside import Running
from services.runtime.kafka import Committed, Partition, Record

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

    @property
    def log_fields(self) -> Mapping[str, object]:
        where = {"topic": self.partition.topic, "partition": self.partition.number}
        return {**where, "first": self.first, "last": self.last, "records": len(self.records)}


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
    handled, None before. `running`: its second part, while that runs beside the loop.
    `committed`: the group's committed offset of the partition."""

    def __init__(self, partition: Partition) -> None:
        self.resumed = self.paused = False
        self.until: int | None = None
        self.notes: Mapping[str, object] | None = None
        self.backoff = Backoff()
        self.running: Running | None = None
        self.begun_at = 0.0
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

    def full(self, limits: Limits) -> bool:
        """Whether the batch after the one in the works has come already. A planned batch is read to its end, however
        large it is."""
        if self.until is not None and not self._complete(limits):
            return False
        return len(self.records) >= 2 * limits.records or self._octets >= 2 * limits.octets

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
