"""Values of a file onto the topic of events with nothing but kafka-python: its producer with the options of ours."""

import json
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from benchmarks.contestants.task import Meter, Task, asked

TOPIC = "mentoring.events"
HEADERS = [("content-type", b"application/cloudevents+json")]
ACKNOWLEDGED_WITHIN = 120


def produce(task: Task) -> None:
    values = Path(task.log).read_bytes().splitlines()
    keys = [json.loads(value)["partitionkey"].encode() for value in values]
    producer: Any = KafkaProducer(
        bootstrap_servers=task.kafka,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=5,
        batch_size=256 * 1024,
        metrics_enabled=False,
    )
    producer.partitions_for(TOPIC)
    meter = Meter(task)
    meter.begin()
    sent = [
        producer.send(TOPIC, value=value, key=key, headers=HEADERS) for key, value in zip(keys, values, strict=True)
    ]
    producer.flush(timeout=ACKNOWLEDGED_WITHIN)
    for acknowledgement in sent:
        acknowledgement.get(ACKNOWLEDGED_WITHIN)
    meter.answer(len(sent))
    producer.close()


if __name__ == "__main__":
    produce(asked())
