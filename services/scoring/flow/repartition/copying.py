"""Copies the log, record by record, each old partition to those that come of it.

What an old partition gives to a new one is always the same sequence of records. So a copy that was cut off goes on
behind what is there, and at the end the digest of what had to come is compared with that of what is there."""

import hashlib
from collections.abc import Sequence
from contextlib import closing

from services.runtime.kafka import Partition, Producer, Reader, Record, Sent, partition_of, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.repartition import PartitionSplit
from services.scoring.flow.repartition.plan import NotRepartitionedError, Passed

UNDER_WAY = 5_000
"""Records at once: the producer has no back-pressure of its own."""
ACKNOWLEDGED_WITHIN = 60
OF_PARTITION = b"\0"
"""Begins the keys of records that belong to a partition, not to a relationship; so do records without a key."""


class Digest:
    """Of a sequence of records; equal values are of the same records in the same order."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = hashlib.blake2b()

    def add(self, record: Record) -> None:
        self.count += 1
        parts = (record.key, record.value, repr((record.headers, record.timestamp_ms)).encode())
        for part in parts:
            self._hash.update(b"-" if part is None else b"%d:%b" % (len(part), part))

    @property
    def value(self) -> tuple[int, bytes]:
        return self.count, self._hash.digest()


def children_of(key: bytes | None, number: int, split: PartitionSplit) -> Sequence[int]:
    """Where a record of an old partition belongs. Raises NotRepartitionedError where its key cannot have come there."""
    if key is None or key.startswith(OF_PARTITION):
        return split.children(number)
    child = partition_of(key, split.new)
    if child not in split.children(number):
        raise NotRepartitionedError(
            f"partition {number} holds the key {key.decode(errors='replace')!r}, which murmur2 puts elsewhere: "
            "another partitioner wrote this log"
        )
    return (child,)


def copy_partition(
    settings: Settings, source: Partition, target: str, split: PartitionSplit, passed: Passed
) -> dict[int, Digest]:
    """What each new partition holds when this returns, unless others wrote to it. Raises KafkaError and
    NotRepartitionedError."""
    due = {child: Digest() for child in split.children(source.number)}
    there = _ends(settings, [Partition(target, child) for child in due])
    waiting: list[Sent] = []
    with closing(Producer(settings)) as producer:
        for record in read_partition(settings, source):
            for child in _homes(record, source.number, split):
                due[child].add(record)
                if due[child].count > there[child]:
                    waiting.append(producer.copy(record, Partition(target, child)))
            if len(waiting) >= UNDER_WAY:
                await_all(waiting)
            passed(1)
        await_all(waiting)
    return due


def _homes(record: Record, number: int, split: PartitionSplit) -> Sequence[int]:
    """A record that lies elsewhere than its key belongs is refused by all who read the log. It stays so: all that
    comes of its partition is elsewhere too."""
    of_relationship = record.key is not None and not record.key.startswith(OF_PARTITION)
    if of_relationship and partition_of(record.key or b"", split.old) != number:
        return (split.children(number)[0],)
    return children_of(record.key, number, split)


def await_all(waiting: list[Sent]) -> None:
    """Returns when all of them are on their topic, and none waits any more."""
    for sent in waiting:
        sent.get(ACKNOWLEDGED_WITHIN)
    waiting.clear()


def _ends(settings: Settings, places: Sequence[Partition]) -> dict[int, int]:
    with closing(Reader(settings, group=None)) as reader:
        return {place.number: end for place, end in reader.end_offsets(places).items()}
