"""Prepares the broker before a contestant starts: topics, the log, a changelog."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from services.runtime.kafka import Producer, create_topics
from services.runtime.settings import Settings

PARTITIONS = 4
ACKNOWLEDGE_TIMEOUT = 60
BATCH_SIZE = 10_000
"""Records in flight."""


class NewRecord(NamedTuple):
    """`partition` None: chosen by the key."""

    key: bytes
    value: bytes
    partition: int | None = None


def create(settings: Settings, topics: Iterable[str], compacted: str = "") -> None:
    """Create all topics with the same number of partitions; one of them may be compacted."""
    create_topics(
        settings,
        {
            topic: {
                "num_partitions": PARTITIONS,
                "replication_factor": 1,
                "configs": {"cleanup.policy": "compact" if topic == compacted else "delete"},
            }
            for topic in topics
        },
    )


def fill(settings: Settings, topic: str, records: Iterable[NewRecord]) -> tuple[int, int]:
    """Return the number of records written, and the bytes of their values. Raises KafkaError."""
    producer = Producer(settings, compression_type=None)
    count = size = 0
    for batch in _batches(iter(records)):
        sent = [producer.send(topic, record.key, record.value, partition=record.partition) for record in batch]
        producer.flush(ACKNOWLEDGE_TIMEOUT)
        for acknowledgement in sent:
            acknowledgement.get(ACKNOWLEDGE_TIMEOUT)
        count, size = count + len(batch), size + sum(len(record.value) for record in batch)
    producer.close()
    return count, size


def _batches(records: Iterator[NewRecord]) -> Iterator[list[NewRecord]]:
    while batch := list(islice(records, BATCH_SIZE)):
        yield batch
