"""Compares our decoding of a fetched batch with that of kafka-python."""

import struct
from collections import namedtuple
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from services.runtime.kafka.records import FetchedRecords

PLACE = TopicPartition("log", 3)
NOW_MS = 1_700_000_000_000
GZIP = 1
UNNUMBERED = {"producer_epoch": 0, "base_sequence": 0, "batch_size": 10**9}
Aborted = namedtuple("Aborted", "producer_id first_offset")  # noqa: PYI024 (as kafka-python has it)
OCTETS = st.none() | st.binary(max_size=300)
HEADERS = st.lists(st.tuples(st.text(max_size=200), OCTETS), max_size=3)
RECORDS = st.lists(st.tuples(st.integers(-1000, 10**9), OCTETS, OCTETS, HEADERS), min_size=1, max_size=5)


def batch(records: Sequence[object], base: int = 0, codec: int = 0, *, producer: int = -1) -> bytes:
    """Values, or time, key, value and headers; of a transaction if a producer is named."""
    build = DefaultRecordBatchBuilder(2, codec, producer >= 0, producer, **UNNUMBERED)
    for offset, one in enumerate(records):
        ahead, key, value, headers = one if isinstance(one, tuple) else (0, b"k", one, [])
        build.append(offset, NOW_MS + ahead, key, value, headers)
    return at(build.build(), base)


def at(built: bytearray, base: int) -> bytes:
    struct.pack_into(">q", built, 0, base)
    return bytes(built)


def read(octets: bytes, first: int = 0, **options: object) -> FetchedRecords:
    return FetchedRecords(first, PLACE, MemoryRecords(octets), **options)


def both(octets: bytes, first: int = 0, **options: object) -> list[tuple[list[tuple[object, ...]], int]]:
    """Ours and kafka-python's: records, and where the next fetch begins."""
    ours = read(octets, first, **options)
    theirs = Fetcher.PartitionRecords(first, PLACE, MemoryRecords(octets), **options)
    taken = [tuple(record) for record in ours.take()]
    expected = [
        (one.topic, one.partition, one.offset, one.key, one.value, tuple(one.headers), one.timestamp)
        for one in theirs.take()
    ]
    return [(taken, ours.next_fetch_offset), (expected, theirs.next_fetch_offset)]


@given(RECORDS, RECORDS, st.sampled_from([0, GZIP]), st.integers(0, 4))
def test_records_are_those_that_kafka_python_reads(
    one: Sequence[object], other: Sequence[object], codec: int, first: int
) -> None:
    octets = batch(one, 0, codec) + batch(other, 7, codec)

    ours, theirs = both(octets, min(first, len(one)))

    assert ours == theirs


def test_aborted_transactions_and_control_records_are_skipped() -> None:
    aborted, kept = batch([b"1", b"2"], 0, producer=8), batch([b"3"], 2, producer=9)
    octets = aborted + kept + marker(3, 8) + batch([b"4"], 4, producer=8)
    committed = {"isolation_level": IsolationLevel.READ_COMMITTED, "aborted_transactions": [Aborted(8, 0)]}

    ours, theirs = both(octets, **committed)

    assert ours == theirs
    assert [one[4] for one in ours[0]] == [b"3", b"4"]


@pytest.mark.parametrize("old", [True, False])
def test_a_partition_that_was_read_goes_behind_the_others(old: bool) -> None:  # noqa: FBT001
    moved: list[TopicPartition] = []
    fetcher = SimpleNamespace(_subscriptions=SimpleNamespace(move_partition_to_end=moved.append))
    build = LegacyRecordBatchBuilder(1, 0, 10**6)
    build.append(0, NOW_MS, b"key", b"value")
    octets = bytes(build.build()) if old else batch([b"1"])

    read(octets, on_drain=partial(Fetcher._on_partition_records_drain, fetcher)).take()

    assert moved == [PLACE]


class MarkerBuilder(DefaultRecordBatchBuilder):  # type: ignore[misc]
    def _get_attributes(self, include_compression_type: bool = True) -> int:  # noqa: FBT001, FBT002 (kafka-python's)
        return int(super()._get_attributes(include_compression_type) | self.CONTROL_MASK)


def marker(base: int, producer: int) -> bytes:
    """The end of an aborted transaction."""
    build = MarkerBuilder(2, 0, is_transactional=True, producer_id=producer, **UNNUMBERED)
    build.append(0, NOW_MS, struct.pack(">hh", 0, 0), b"\0" * 6, [])
    return at(build.build(), base)


def test_a_poll_returns_the_records_that_the_one_before_left() -> None:
    records = read(batch([b"1", b"2", b"3"], 5), first=6)

    assert [one.offset for one in records.take(1)] == [6]
    assert records.next_fetch_offset == 7
    assert [one.offset for one in records.take()] == [7]
    assert not records


def test_a_batch_of_the_old_format_is_read() -> None:
    build = LegacyRecordBatchBuilder(1, 0, 10**6)
    build.append(0, NOW_MS, b"key", b"value")

    ours, theirs = both(bytes(build.build()))

    assert ours == theirs
    assert ours[0][0][3:5] == (b"key", b"value")


@pytest.mark.parametrize("checked", [True, False])
def test_a_corrupt_batch_is_reported_after_the_records_before_it(checked: bool) -> None:  # noqa: FBT001
    broken = bytearray(batch([b"2", b"3"], 1))
    broken[-9] += 2  # the length of the last record
    records = read(batch([b"1"]) + bytes(broken), check_crcs=checked)

    found = [one.value for one in records.take()]

    # The checksum is of the whole batch; without it, what lies before the fault is sound.
    assert found == ([b"1"] if checked else [b"1", b"2"])
    with pytest.raises(CorruptRecordError, match="at offset 1"):
        records.take()
