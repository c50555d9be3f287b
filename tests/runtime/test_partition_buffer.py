from services.runtime.kafka import Partition, Record
from services.runtime.partition_buffer import Batch, Limits, PartitionBuffer

PARTITION = Partition("log", 0)
AT_ONCE = Limits()
PATIENT = Limits(records=3, octets=100, seconds=3600)


def records(*offsets: int, size: int = 1) -> list[Record]:
    return [Record("log", 0, offset, None, b"x" * size, (), 0) for offset in offsets]


def buffer(*offsets: int) -> PartitionBuffer:
    found = PartitionBuffer(PARTITION)
    if offsets:
        found.append(records(*offsets))
    return found


def span(batch: Batch | None) -> tuple[int, int] | None:
    return (batch.first, batch.last) if batch else None


def test_an_empty_buffer_has_no_batch() -> None:
    assert buffer().batch(AT_ONCE) is None
    assert not buffer().busy


def test_by_default_a_batch_is_what_one_poll_returned() -> None:
    assert span(buffer(4, 5).batch(AT_ONCE)) == (4, 5)


def test_records_are_gathered_until_there_are_enough() -> None:
    found = buffer(4, 5)
    assert found.batch(PATIENT) is None

    found.append(records(6, 7))

    assert span(found.batch(PATIENT)) == (4, 6)


def test_records_are_gathered_until_they_are_large_enough() -> None:
    found = buffer(4)

    found.append(records(5, size=100))

    assert span(found.batch(PATIENT)) == (4, 5)


def test_a_batch_stays_the_same_until_it_is_dropped_whatever_arrives() -> None:
    found = buffer(4, 5, 6)
    first = found.batch(PATIENT)
    found.append(records(7, 8, 9))
    assert found.batch(PATIENT) is first
    assert first is not None

    found.drop(first)

    assert span(found.batch(PATIENT)) == (7, 9)


def test_dropped_records_no_longer_count() -> None:
    found = buffer(4, 5, 6)
    first = found.batch(PATIENT)
    assert first is not None

    found.drop(first)

    assert not found.busy
    found.append(records(7, size=98))
    assert found.batch(PATIENT) is None


def test_a_planned_batch_ends_where_it_was_planned_to_end() -> None:
    found = buffer(4, 5)
    found.until = 6
    assert found.batch(AT_ONCE) is None

    found.append(records(6, 7))

    first = found.batch(AT_ONCE)
    assert span(first) == (4, 6)
    assert first is not None
    found.drop(first)
    assert span(found.batch(AT_ONCE)) == (7, 7)


def test_a_planned_batch_that_was_deleted_from_the_log_does_not_block_the_partition() -> None:
    found = buffer(8, 9)
    found.until = 6

    assert span(found.batch(AT_ONCE)) == (8, 9)


def test_records_that_were_read_before_show_that_the_partition_was_reassigned() -> None:
    found = buffer(4, 5)

    assert found.rewinds(records(5))
    assert not found.rewinds(records(6))
    assert not buffer().rewinds(records(0))


def test_a_planned_batch_is_read_to_its_end_though_bounds_are_smaller_by_now() -> None:
    found = buffer(4, 5, 6, 7, 8, 9)
    found.until = 12
    assert not found.full(PATIENT)

    found.append(records(10, 11, 12, 13, 14, 15))

    assert found.full(PATIENT)
    assert span(found.batch(PATIENT)) == (4, 12)
