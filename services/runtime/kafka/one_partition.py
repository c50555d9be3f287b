"""On which partition a key lies: all that a question about one key needs to read."""

from kafka.partitioner.default import murmur2

from services.runtime.kafka.reader import Reader
from services.runtime.kafka.records import Partition
from services.runtime.settings import Settings


def partition_of(key: bytes, partitions: int) -> int:
    """Where producers put it: murmur2, as Kafka's own clients do."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def partition_with(settings: Settings, topic: str, key: bytes) -> Partition:
    """Raises KafkaError if the topic does not exist."""
    reader = Reader(settings, group=None)
    try:
        return Partition(topic, partition_of(key, len(reader.assign([topic]))))
    finally:
        reader.close()
