"""What one partition has in hand: records gathered until they make a batch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.runtime.backoff import Backoff
from services.runtime.kafka import Committed, Partition, Record


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
    """`until` is the offset at which the next batch must end, None where it may end anywhere; `notes` are what was
    said of the batch in hand when it was handled, None before; `committed` is what the group has of the partition."""

    def __init__(self, partition: Partition) -> None:
        self.resumed = False
        self.until: int | None = None
        self.notes: Mapping[str, object] | None = None
        self.backoff = Backoff()
        self.committed: Committed | None = None
        self._partition = partition
        self._records: list[Record] = []
        self._octets = 0
        self._next = 0
        self._since = 0.0
        self._batch: Batch | None = None

    @property
    def busy(self) -> bool:
        return bool(self._records or self.backoff.tries)

    @property
    def held(self) -> int:
        """Records in hand."""
        return len(self._records)

    def overtakes(self, records: Sequence[Record]) -> bool:
        return records[0].offset < self._next

    def take(self, records: Sequence[Record]) -> None:
        if not self._records:
            self._since = time.monotonic()
        self._records += records
        self._octets += _octets(records)
        self._next = records[-1].offset + 1

    def batch(self, limits: Limits) -> Batch | None:
        """The next complete batch; the same object until it is dropped."""
        if self._batch is None and self._complete(limits):
            self._batch = Batch(self._partition, self._head(limits.records))
        return self._batch

    def drop(self, batch: Batch) -> None:
        del self._records[: len(batch.records)]
        self._octets -= _octets(batch.records)
        self.until, self.notes, self._batch = None, None, None

    def _complete(self, limits: Limits) -> bool:
        if not self._records:
            return False
        if self.until is not None:
            return self._records[-1].offset >= self.until
        waited = time.monotonic() - self._since >= limits.seconds
        return waited or len(self._records) >= limits.records or self._octets >= limits.octets

    def _head(self, most: int) -> Sequence[Record]:
        if self.until is not None and self._records[0].offset <= self.until:
            return [record for record in self._records if record.offset <= self.until]
        return self._records[:most]


def _octets(records: Sequence[Record]) -> int:
    return sum(len(record.value or b"") for record in records)
