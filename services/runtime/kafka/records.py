"""What is read and written: records, partitions, committed offsets, and on which partition a key lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.partitioner.default import murmur2

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, order=True)
class Partition:
    topic: str
    number: int


@dataclass(frozen=True)
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True)
class Committed:
    """The next offset to read, and what its writer noted beside it."""

    offset: int
    metadata: str = ""


def partition_of(key: bytes, partitions: int) -> int:
    """Where producers put it: murmur2, as Kafka's own clients do."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def topic_partition(partition: Partition) -> Any:  # noqa: ANN401
    return TopicPartition(partition.topic, partition.number)


def offsets_and_metadata(offsets: Mapping[Partition, Committed]) -> dict[Any, Any]:
    # Leader epoch -1: unknown; kafka-python's None is refused by the broker's protocol.
    return {topic_partition(p): OffsetAndMetadata(c.offset, c.metadata, -1) for p, c in offsets.items()}
