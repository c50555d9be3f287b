"""What is on the broker before a contestant starts: topics, the log, a changelog."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from services.runtime.kafka import Producer, create_topics
from services.runtime.settings import Settings

PARTITIONS = 4
ACKNOWLEDGE_TIMEOUT_SECONDS = 60
AT_ONCE = 10_000
"""Records under way."""


class Written(NamedTuple):
    """`partition` None: chosen by the key."""

    key: bytes
    value: bytes
    partition: int | None = None


def create(settings: Settings, topics: Iterable[str], compacted: str = "") -> None:
    """All with the same partitions; one of them may be compacted."""
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


def fill(settings: Settings, topic: str, records: Iterable[Written]) -> tuple[int, int]:
    """How many records were written, and how many bytes their values have. Raises KafkaError."""
    producer = Producer(settings, compression_type=None)
    count = size = 0
    for some in _slices(iter(records)):
        sent = [producer.send(topic, record.key, record.value, partition=record.partition) for record in some]
        producer.flush(ACKNOWLEDGE_TIMEOUT_SECONDS)
        for acknowledgement in sent:
            acknowledgement.get(ACKNOWLEDGE_TIMEOUT_SECONDS)
        count, size = count + len(some), size + sum(len(record.value) for record in some)
    producer.close()
    return count, size


def _slices(records: Iterator[Written]) -> Iterator[list[Written]]:
    while some := list(islice(records, AT_ONCE)):
        yield some
