"""What waits for its partition, with Faust's own consumer and without a broker."""

import asyncio
from types import SimpleNamespace

import faust
from faust.types import TP

from services.scoring.flow.faust import scheduler
from services.scoring.flow.faust.scheduler import FetchedBatch, PartitionBuffers, Untyped

TP_0 = TP("events", 0)


def batch(begin: int, count: int) -> Untyped:
    records = [SimpleNamespace(offset=begin + n, timestamp=0, timestamp_type=0) for n in range(count)]
    value = FetchedBatch(TP_0, records)
    return SimpleNamespace(message=SimpleNamespace(tp=TP_0), value=value.value)


def test_what_a_fetch_under_way_brings_still_comes_when_a_partition_has_enough() -> None:
    async def run() -> None:
        app = faust.App("buffers")
        consumer = app.consumer
        released = asyncio.Event()

        async def wait(_event: Untyped) -> None:
            await released.wait()

        buffers = PartitionBuffers(app, wait)
        works: list[asyncio.Future[None]] = []
        app.add_future = lambda work: works.append(asyncio.ensure_future(work))
        consumer._active_partitions = {TP_0}
        consumer.highwater = lambda _tp: 0

        async def fetch(_timeout: float) -> Untyped:
            active = consumer._get_active_partitions()
            for begin in (0, scheduler.BATCH_LENGTH):
                buffers.put(batch(begin, scheduler.BATCH_LENGTH))
            late = SimpleNamespace(topic="events", partition=0, offset=2 * scheduler.BATCH_LENGTH, key=None)
            more = {"timestamp": 0, "timestamp_type": 0, "headers": (), "value": b"", "checksum": None}
            sizes = {"serialized_key_size": 0, "serialized_value_size": 0}
            return {TP_0: [SimpleNamespace(**vars(late), **more, **sizes)]}, active

        consumer._wait_next_records = fetch
        try:
            came = [message.offset async for _, message in consumer.getmany(1.0)]

            assert came == [2 * scheduler.BATCH_LENGTH]
            assert consumer._get_active_partitions() == set(), "no more is fetched"

            released.set()
            await asyncio.gather(*works)

            assert consumer._get_active_partitions() == {TP_0}
        finally:
            # Of the consumer's thread, which was never started.
            consumer._thread.thread_loop.close()

    asyncio.run(run())
