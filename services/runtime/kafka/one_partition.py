"""On which partition of how many a key lies: all that a question about one key needs to read."""

from kafka.partitioner.default import murmur2

from services.runtime.kafka.reader import Reader
from services.runtime.settings import Settings


def partition_of(key: bytes, partitions: int) -> int:
    """Where producers put it: murmur2, as Kafka's own clients do."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def partition_count(settings: Settings, topic: str) -> int:
    """Raises KafkaError if the topic does not exist."""
    reader = Reader(settings, group=None)
    try:
        return reader.partition_count(topic)
    finally:
        reader.close()
