"""What the consumer of Faust and aiokafka has no setting for: its heartbeats are noted, work counts as polling, what
is fetched while Faust has stopped its flow is fetched again, and only what is applied is committed.

A fetch may be under way when a rebalance stops the flow, and end when recovery has already gone to the beginning of the
changelog. Faust drops its records and goes back to the committed offsets. The changelog has none: the dropped records
were never seen again, and recovery waited for them for ever.

After recovery Faust sets its note of what it has read back to the committed offsets, while batches may be on their way
already. It takes all up to the next batch for a gap, and a gap behind an acknowledged batch for acknowledged: it
committed batches that were still worked on.

The broker takes header names that are no UTF-8 from any client, and aiokafka (0.14) then raises at every fetch, for
ever: one such record on the log or in the changelog would stop all scoring."""

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import IllegalStateError
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from services.runtime import log
from services.scoring.flow.faust.scheduler import Untyped


def note_heartbeats(consumer: Untyped, noted: Callable[[float], object]) -> None:
    """Once per coordinator. `noted` receives the time at which each acknowledged heartbeat was sent: aiokafka keeps the
    time of the last one in a local variable. Called in the consumer's thread."""
    coordinator = _client(consumer)._coordinator  # noqa: SLF001
    if "_do_heartbeat" in vars(coordinator):
        return
    beat = coordinator._do_heartbeat  # noqa: SLF001

    async def noting() -> bool:
        asked = time.monotonic()
        acknowledged: bool = await beat()
        if acknowledged:
            noted(asked)
        return acknowledged

    coordinator._do_heartbeat = noting  # noqa: SLF001


def note_poll(consumer: Untyped) -> None:
    """Count as a poll. While a worker recovers or applies fetched records, Faust fetches nothing; aiokafka would take
    that for a hung process and leave the group. Called by the work itself, so a worker that hangs still leaves."""
    _client(consumer)._subscription._last_fetch_ended = time.monotonic()  # noqa: SLF001


def refetch_dropped(consumer: Untyped) -> None:
    """Once per consumer. `_fetch_records` runs in the consumer's thread, so nothing can come between a fetch and the
    seek back."""
    thread = consumer._thread  # noqa: SLF001
    if "_fetch_records" in vars(thread):
        return
    fetch = thread._fetch_records  # noqa: SLF001

    async def fetched(client: Untyped, partitions: Untyped, **options: Untyped) -> Mapping[Untyped, Sequence[Untyped]]:
        found: Mapping[Untyped, Sequence[Untyped]] = await fetch(client, partitions, **options)
        if consumer.flow_active:
            return found
        for tp, records in ((tp, records) for tp, records in found.items() if records):
            try:
                client.seek(tp, records[0].offset)
            except IllegalStateError:
                continue  # no more ours
            log.get(__name__).debug("refetch_dropped", topic=tp.topic, partition=tp.partition, offset=records[0].offset)
        return {}

    thread._fetch_records = fetched  # noqa: SLF001


def commit_applied(consumer: Untyped, applied: Callable[[int], int | None]) -> None:
    """Once per consumer. An acknowledgement triggers the commit of a partition; `applied` provides the offset. Gaps are
    not recorded, because nothing reads them any more."""

    def offset(tp: Untyped) -> int | None:
        if not consumer._acked[tp]:  # noqa: SLF001
            return None
        consumer._acked[tp].clear()  # noqa: SLF001
        consumer._acked_index[tp].clear()  # noqa: SLF001
        return applied(tp.partition)

    async def no_gap(_tp: Untyped, _first: int, _last: int) -> None:
        pass

    consumer._new_offset, consumer._add_gap = offset, no_gap  # noqa: SLF001


def _client(consumer: Untyped) -> Untyped:
    return consumer._thread._ensure_consumer()  # noqa: SLF001


_LENGTH = struct.Struct(">i")
_LENGTH_AT, _AFTER_LENGTH = 8, 12


def read_any_record() -> None:
    """For every consumer of this process, from the next fetch on: aiokafka has no setting for it."""
    fetcher.MemoryRecords, fetcher.PartitionRecords = AnyRecords, BareRecords


class BareRecords(PartitionRecords):  # type: ignore[misc]  # there is no other way to what it makes of a record
    """Returns the records of the batch unchanged: wrapping each in an object with its topic and partition, which are
    those of the batch, takes a third of all consumer time."""

    def _consumer_record(self, _tp: Untyped, record: Untyped) -> Untyped:
        return record


class AnyRecords:
    """The content of a fetch, batch by batch, in the interface of aiokafka's fetcher."""

    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0
        self._fast = MemoryRecords(octets)

    def size_in_bytes(self) -> int:
        return int(self._fast.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._fast.has_next())

    def next_batch(self) -> "AnyBatch":
        (length,) = _LENGTH.unpack_from(self._octets, self._at + _LENGTH_AT)
        begin, self._at = self._at, self._at + _AFTER_LENGTH + length
        return AnyBatch(self._fast.next_batch(), memoryview(self._octets)[begin : self._at])


class AnyBatch:
    """aiokafka's own compiled batch; a fallback where it cannot decode a header's name."""

    def __init__(self, fast: Untyped, octets: memoryview) -> None:
        self._fast, self._octets = fast, octets

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a batch of aiokafka has)
        return getattr(self._fast, name)

    def __iter__(self) -> Iterator[Untyped]:
        try:
            yield from self._fast
        except UnicodeDecodeError:
            # From the beginning of the batch: the fetcher skips the offsets that it has seen.
            yield from BatchWithoutHeaders(self._octets)


class BatchWithoutHeaders(_DefaultRecordBatchPy):  # type: ignore[misc]  # there is no other way to its structure
    """A record with undecodable headers has none: scoring uses no headers."""

    def _read_msg(self, decode_varint: Any = decode_varint) -> _DefaultRecordPy:  # noqa: ANN401
        try:
            return super()._read_msg(decode_varint)
        except UnicodeDecodeError:
            length, start = decode_varint(self._buffer, self._pos)  # type: ignore[has-type]
            _attributes, at = decode_varint(self._buffer, start)
            ahead, at = decode_varint(self._buffer, at)
            delta, at = decode_varint(self._buffer, at)
            key, at = self._field(at)
            value, _ = self._field(at)
            self._pos = start + length
            time = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else self.first_timestamp + ahead
            return _DefaultRecordPy(self.base_offset + delta, time, self.timestamp_type, key, value, [])

    def _field(self, at: int) -> tuple[bytes | None, int]:
        length, at = decode_varint(self._buffer, at)
        return (None, at) if length < 0 else (bytes(self._buffer[at : at + length]), at + length)
