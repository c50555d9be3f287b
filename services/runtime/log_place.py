"""Whether a record of a keyed log lies where it belongs. Elsewhere it would be a second history under the same name:
each partition is judged by itself, and every consumer of the log refuses such a record by this one rule."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from services.runtime.kafka import partition_of

# The keys of a day are few, and computing where one lies takes longer than to look it up.
_home = lru_cache(50_000)(partition_of)


@dataclass(frozen=True)
class Misplaced:
    path: Literal["key", "partition"]
    detail: str


def misplaced(key: bytes | None, partition: int, partitions: int, named: str) -> Misplaced | None:
    """`named` is the key that the record's value says it has; `partitions` are those of its topic. None: it lies where
    a producer with Kafka's own partitioner puts it."""
    if key != named.encode():
        return Misplaced("key", "the record's key is not the partitionkey of its event")
    home = _home(key, partitions)
    if home != partition:
        return Misplaced("partition", f"its key belongs to partition {home} of {partitions}, this is {partition}")
    return None
