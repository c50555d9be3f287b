"""Values of a file onto the topic of events with nothing but kafka-python: its producer with the options of ours. The
variant is `paced` for a steady pace, each acknowledged for itself."""

import asyncio
import json
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from benchmarks.contestants.paced import paced
from benchmarks.contestants.task import Meter, Task, asked

TOPIC = "mentoring.events"
HEADERS = [("content-type", b"application/cloudevents+json")]
ACKNOWLEDGE_TIMEOUT_SECONDS = 120


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
    records = list(zip(keys, values, strict=True))
    latency = asyncio.run(_at_a_pace(producer, records)) if task.variant == "paced" else _at_once(producer, records)
    meter.answer(len(records), latency=latency)
    producer.close()


def _at_once(producer: Any, records: list[tuple[bytes, bytes]]) -> dict[str, float]:  # noqa: ANN401 (not typed)
    sent = [producer.send(TOPIC, value=value, key=key, headers=HEADERS) for key, value in records]
    producer.flush(timeout=ACKNOWLEDGE_TIMEOUT_SECONDS)
    for acknowledgement in sent:
        acknowledgement.get(ACKNOWLEDGE_TIMEOUT_SECONDS)
    return {}


async def _at_a_pace(producer: Any, records: list[tuple[bytes, bytes]]) -> dict[str, float]:  # noqa: ANN401 (not typed)
    loop = asyncio.get_running_loop()

    async def send(record: tuple[bytes, bytes]) -> None:
        acknowledged = loop.create_future()
        sent = producer.send(TOPIC, value=record[1], key=record[0], headers=HEADERS)
        sent.add_callback(lambda _: loop.call_soon_threadsafe(acknowledged.set_result, None))
        sent.add_errback(lambda error: loop.call_soon_threadsafe(acknowledged.set_exception, error))
        await acknowledged

    return await paced(records, send)


if __name__ == "__main__":
    produce(asked())
