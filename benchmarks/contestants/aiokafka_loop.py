"""A plain aiokafka loop. Variants: `fetch`; `decode`, which decodes JSON; and `state`, which also updates a state per
key and writes its changelog, acknowledged, once per key and fetch."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.contestants.keyed_state import updated_state
from benchmarks.contestants.task import Meter, Task, read_task

RECORDS = 500
IDLE_TIMEOUT_SECONDS = 30


async def loop(task: Task) -> None:
    consumer = AIOKafkaConsumer(
        task.log,
        bootstrap_servers=task.kafka,
        group_id=task.name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=task.kafka, acks="all", linger_ms=5, max_batch_size=1 << 19)
    await consumer.start()
    await producer.start()
    try:
        await _consume(task, consumer, producer)
    finally:
        await producer.stop()
        await consumer.stop()


async def _consume(task: Task, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
    meter, count = Meter(task), 0
    states: dict[bytes, Any] = {}
    while count < task.count:
        fetched = await consumer.getmany(timeout_ms=IDLE_TIMEOUT_SECONDS * 1000, max_records=RECORDS)
        if not fetched:
            break
        meter.begin()
        for records in fetched.values():
            count += len(records)
            if task.variant == "decode":
                for record in records:
                    json.loads(record.value)
            elif task.variant == "state":
                await _update(producer, f"{task.name}.state", records, states)
    meter.answer(count)


async def _update(producer: AIOKafkaProducer, topic: str, records: Sequence[Any], states: dict[bytes, Any]) -> None:
    keys = set()
    for record in records:
        states[record.key] = updated_state(states.get(record.key), json.loads(record.value))
        keys.add(record.key)
    number = records[0].partition
    sent = [await producer.send(topic, json.dumps(states[key]).encode(), key, number) for key in keys]
    for acknowledgement in sent:
        await acknowledgement


if __name__ == "__main__":
    asyncio.run(loop(read_task()))
