"""Checks whether a record of a keyed log lies on the partition of its key. On another partition it would be a second
history of the same key: partitions are processed independently. Every consumer of the log applies this one rule."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from services.runtime.kafka import partition_of

# A day has few distinct keys, and the hash takes longer than a lookup.
_expected_partition = lru_cache(50_000)(partition_of)


@dataclass(frozen=True)
class Misplaced:
    path: Literal["key", "partition"]
    detail: str


def misplaced(key: bytes | None, partition: int, partitions: int, partition_key: str) -> Misplaced | None:
    """Return why the record does not lie where Kafka's default partitioner puts it, or None. `partition_key` is the
    partition key that the record's value states; `partitions` is the number of partitions of its topic."""
    if key != partition_key.encode():
        return Misplaced("key", "the record's key is not the partitionkey of its event")
    expected = _expected_partition(key, partitions)
    if expected != partition:
        return Misplaced("partition", f"its key belongs to partition {expected} of {partitions}, this is {partition}")
    return None
