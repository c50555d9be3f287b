"""Writes projections to their compacted topics: records, how far they reach, and the offset that they rest on are one
transaction, so that neither a crash nor a member that lost its partition leaves an older word behind a newer one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from services.ingest.domain.tools.projection import PROGRESS_KEY, ProgressRecord, dump
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Reader
from services.runtime.loop import TryLaterError

MOST_WRITTEN, MOST_WRITTEN_BYTES = 50_000, 16 * 2**20
"""Of one transaction: it ends before the broker aborts it. Most batches are one."""


class Projected(NamedTuple):
    topic: str
    key: bytes
    value: bytes | None

    @property
    def size(self) -> int:
        return len(self.key) + len(self.value or b"")


class ProjectionWriter:
    """For one thread."""

    def __init__(self, reader: Reader, producer: Callable[[], Producer]) -> None:
        """`producer` makes one that is transactional."""
        self._reader, self._make = reader, producer
        self._producer: Producer | None = None

    def write(self, records: Iterable[Projected], reached: Sequence[str], partition: Partition, offsets: range) -> None:
        """All of them, in transactions of a bounded size; the last says on the topics in `reached` how far the
        partition is folded. `offsets` is what was folded of it since the last commit. Raises TryLaterError."""
        progress = dump(ProgressRecord(next_offset=offsets.stop))
        last = [Projected(topic, PROGRESS_KEY, progress) for topic in reached]
        try:
            producer = self._started()
            for part in _parts(chain(records, last)):
                producer.begin()
                for record in part:
                    producer.send(*record, partition=partition.number)
                folded = Committed(offsets.stop if part[-1] is last[-1] else offsets.start)
                producer.commit({partition: folded}, self._reader)
        except KafkaError as failed:
            # Whether it was committed may be unknown. The same records are written again by a producer that fences
            # this one; a member that has lost the partition is refused by its generation.
            self.close()
            self._producer = None
            raise TryLaterError(f"the projection is not written: {failed}") from failed

    def close(self) -> None:
        if self._producer is not None:
            # What was not committed is folded again by whoever takes the partition.
            with suppress(KafkaError):
                self._producer.close(0.2)

    def _started(self) -> Producer:
        if self._producer is None:
            producer = self._make()
            producer.start_transactions()
            self._producer = producer
        return self._producer


def _parts(records: Iterable[Projected]) -> Iterator[list[Projected]]:
    part, size = list[Projected](), 0
    for record in records:
        part.append(record)
        size += record.size
        if len(part) >= MOST_WRITTEN or size >= MOST_WRITTEN_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
