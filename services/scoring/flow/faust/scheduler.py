"""Contiguous delivery. Faust's own position after a restart may jump: records fetched around its seek are marked as a
gap, committed, and never seen again. So the position comes from our watermark, and nothing is skipped.

A delivered batch waits for its own partition only: while one partition works for minutes, because its clock moves far,
the others continue."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from faust.types import TP

from services.runtime import log

BATCH_LENGTH = 2_500
"""Records of one partition that are delivered as one message, with one round of acknowledgements. A fetch brings a
mebibyte of a partition, 2,100 records of the usual size: these are one batch, without a small remainder."""

Untyped = Any
"""Faust and aiokafka publish no types: topic partitions, fetched records, consumers."""
Fetched = Untyped
Seek = Callable[[Mapping[Untyped, int]], Awaitable[None]]


class FetchedBatch:
    """A batch of records in the shape of one Kafka record, for Faust to pass on."""

    __slots__ = (
        "checksum",
        "headers",
        "key",
        "offset",
        "partition",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )

    def __init__(self, tp: Untyped, records: Sequence[Fetched]) -> None:
        last = records[-1]
        self.topic, self.partition, self.offset = tp.topic, tp.partition, last.offset
        self.timestamp, self.timestamp_type = last.timestamp, last.timestamp_type
        self.headers, self.key, self.value, self.checksum = (), None, records, None
        self.serialized_key_size = self.serialized_value_size = 0


class Sequencer:
    """The next offset of each source partition. A partition without one is not ready: its fetched records are dropped
    and fetched again."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._next: dict[Untyped, int] = {}
        self._seeking: dict[Untyped, asyncio.Task[None]] = {}
        self._dropped: set[Untyped] = set()
        self._log = log.get(__name__)

    def start(self, tp: Untyped, offset: int, seek: Seek) -> None:
        """Records fetched earlier were dropped: without a committed offset Faust itself would not go back for them."""
        self._next[tp] = offset
        if tp in self._dropped:
            self._dropped.discard(tp)
            self.rewind(tp, offset, seek)

    def stop(self, tp: Untyped) -> None:
        self._next.pop(tp, None)

    def is_started(self, tp: Untyped) -> bool:
        return tp in self._next

    def forget_all(self) -> None:
        """A rebalance began: everything in flight is fetched again."""
        self._next.clear()
        self._dropped.clear()

    def rewind(self, tp: Untyped, offset: int, seek: Seek) -> None:
        """Go back to `offset`; nothing is delivered until the consumer is there."""
        self._next[tp] = offset
        if tp not in self._seeking:
            self._log.warning("rewound", partition=tp.partition, offset=offset)
            self._seeking[tp] = asyncio.ensure_future(self._seek(tp, offset, seek))

    async def _seek(self, tp: Untyped, offset: int, seek: Seek) -> None:
        """If a seek fails because a rebalance revoked the partition, the next fetch corrects it."""
        try:
            await seek({tp: offset})
        except Exception as problem:  # noqa: BLE001 (whatever it was, what is fetched next shows where we are)
            self._log.warning("seek_failed", partition=tp.partition, offset=offset, reason=repr(problem))
        finally:
            del self._seeking[tp]

    def cut(self, tp: Untyped, records: Sequence[Fetched], seek: Seek) -> Sequence[Fetched]:
        """The fetched records from the next offset on; none if they begin beyond it."""
        wanted = self._next.get(tp)
        if wanted is None:
            self._dropped.add(tp)
        if wanted is None or tp in self._seeking:
            return ()
        if records[0].offset > wanted:
            self.rewind(tp, wanted, seek)
            return ()
        # It nearly always begins at the wanted offset: then no record is inspected.
        return records if records[0].offset == wanted else [record for record in records if record.offset >= wanted]

    def hand_over(self, tp: Untyped, batch: Sequence[Fetched]) -> bool:
        """Whether the batch is the next one; advances if so."""
        if tp in self._seeking or self._next.get(tp) != batch[0].offset:
            return False
        self._next[tp] = batch[-1].offset + 1
        return True


def scheduler_class(sequencer: Sequencer, seek: Seek) -> type:
    """Faust's ConsumerScheduler: splits a fetch into batches, round-robin over the partitions."""

    class BatchScheduler:
        def iterate(self, fetched: Mapping[Untyped, Sequence[Fetched]]) -> Iterator[tuple[Untyped, FetchedBatch]]:
            queues = [(TP(tp.topic, tp.partition), records) for tp, records in fetched.items() if records]
            ours = sequencer.topic
            waiting = [
                (tp, sequencer.cut(tp, records, seek) if tp.topic == ours else records, 0) for tp, records in queues
            ]
            while waiting:
                tp, records, begin = waiting.pop(0)
                batch = records[begin : begin + BATCH_LENGTH]
                if not batch or (tp.topic == ours and not sequencer.hand_over(tp, batch)):
                    continue
                yield tp, FetchedBatch(tp, batch)
                waiting.append((tp, records, begin + BATCH_LENGTH))

    return BatchScheduler


class PartitionBuffers:
    """One task per partition that has a batch. Batches of a partition are applied in order. While more than a batch is
    in memory, no more of the partition are fetched; what a fetch in flight brings is still accepted."""

    def __init__(self, app: Untyped, apply: Callable[[Untyped], Awaitable[None]]) -> None:
        """`apply` receives Faust's events. An exception in it ends the application, as in an agent."""
        self._app, self._apply = app, apply
        self._waiting: dict[Untyped, deque[Untyped]] = {}
        self._full: set[Untyped] = set()

    def put(self, event: Untyped) -> None:
        tp = event.message.tp
        if tp not in self._waiting:
            self._waiting[tp] = deque([event])
            self._app.add_future(self._work(tp))
            return
        self._waiting[tp].append(event)
        if self._records(tp) > BATCH_LENGTH and tp not in self._full:
            self._full.add(tp)
            # Not `pause_partitions`: it drops the records of a fetch in flight, and seeking them again takes a second.
            self._app.consumer.on_buffer_full(tp)

    def is_busy(self, tp: Untyped) -> bool:
        """Whether a batch of the partition is being applied or waits."""
        return tp in self._waiting

    def forget_full(self) -> None:
        """A rebalance began: Faust itself forgets it, and pauses all partitions during recovery."""
        self._full.clear()

    async def _work(self, tp: Untyped) -> None:
        waiting = self._waiting[tp]
        try:
            while waiting:
                await self._apply(waiting[0])
                waiting.popleft()
                # Resume before the queue is empty: a fetch may take a second to react.
                if tp in self._full and self._records(tp) <= BATCH_LENGTH:
                    self._full.discard(tp)
                    self._app.consumer.on_buffer_drop(tp)
        finally:
            del self._waiting[tp]

    def _records(self, tp: Untyped) -> int:
        return sum(len(event.value) for event in self._waiting[tp])
