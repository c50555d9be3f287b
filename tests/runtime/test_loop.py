"""The batch loop of a consumer, on the real broker."""

import threading
import time
from contextlib import closing
from uuid import uuid4

from deploy.local.kafka import LocalKafka
from services.runtime.health import Health
from services.runtime.kafka import Partition, Producer, Reader, create_topics
from services.runtime.loop import BatchLoop
from services.runtime.partition_buffer import Batch, Limits
from services.runtime.settings import Settings


class LookingWork:
    """Reads the metrics once during its work."""

    def __init__(self, health: Health, stop: threading.Event) -> None:
        self._health, self._stop = health, stop
        self.seen: list[float | None] = []

    def resume(self, partition: Partition, committed: object) -> None:
        """Accepts any batch."""

    def handle(self, batch: Batch) -> None:
        self.seen.append(self._health.metrics.get_sample_value("rapport_consumer_lag"))
        if batch.last == 3:
            self._stop.set()

    def idle(self) -> None:
        """Nothing is due."""


def test_buffered_records_count_as_lag(local_kafka: LocalKafka) -> None:
    """A batch may take seconds: those who wait for a lag of 0 would otherwise miss it meanwhile."""
    settings, topic = Settings(kafka=local_kafka.bootstrap), f"loop-{uuid4().hex}"
    create_topics(settings, {topic: {"num_partitions": 1, "replication_factor": 1, "configs": {}}})
    health, stop = Health(), threading.Event()
    work = LookingWork(health, stop)
    with closing(Producer(settings)) as producer, closing(Reader(settings, f"{topic}-group")) as reader:
        for value in (b"1", b"2", b"3", b"4"):
            producer.send(topic, b"key", value, partition=0)
        producer.flush()
        reader.subscribe([topic])

        BatchLoop(reader, work, health).run(stop)

    assert work.seen[0] == 4


class SlowWork(LookingWork):
    """Receives the stop during its first batch."""

    def handle(self, batch: Batch) -> None:
        self.seen.append(batch.last)
        self._stop.set()
        time.sleep(0.7)


def test_a_stop_starts_no_more_batches_than_there_is_time_for(local_kafka: LocalKafka) -> None:
    """Supervisors kill a service that takes more than a few seconds to stop."""
    settings, topic = Settings(kafka=local_kafka.bootstrap), f"loop-{uuid4().hex}"
    create_topics(settings, {topic: {"num_partitions": 1, "replication_factor": 1, "configs": {}}})
    health, stop = Health(), threading.Event()
    work = SlowWork(health, stop)
    with closing(Producer(settings)) as producer, closing(Reader(settings, f"{topic}-group")) as reader:
        for number in range(8):
            producer.send(topic, b"key", b"%d" % number, partition=0)
        producer.flush()
        reader.subscribe([topic])

        BatchLoop(reader, work, health, Limits(records=1)).run(stop)

        assert work.seen == [0, 1, 2]
        committed = reader.committed(Partition(topic, 0))
        assert committed is not None
        assert committed.offset == 3
