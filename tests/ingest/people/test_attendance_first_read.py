"""A log without committed offsets: it is read once, no outcome on it is emitted again, and a crash loses nothing."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from tempfile import TemporaryFile

import pytest

from schemas.events import OfRelationship, to_json
from services.ingest.domain.admission import Clock
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.attendance import FIRST_READ, AttendanceLog, AttendanceWork
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.log_reading import between, day_before
from services.runtime.kafka import Committed, Partition, Reader, Record, partition_of, read_partition
from services.runtime.partition_buffer import Batch
from services.runtime.settings import Settings
from tests.ingest.people.harness import PARTITIONS, OwnLog, await_outcomes
from tests.ingest.people.test_attendance_worker import held, process, started, tick


@pytest.fixture
def log_time(broker: Settings) -> Iterator[OwnLog]:
    own = OwnLog(broker.kafka, clock="log")
    yield own
    own.producer.close()


class ReadRecords:
    """How many records were read beside the batches."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self.number = settings, 0

    def between(self, partition: Partition, begin: int, end: int) -> Iterator[Record]:
        for record in between(self._settings, partition, begin, end):
            self.number += 1
            yield record


@contextmanager
def worked(log: OwnLog) -> Iterator[tuple[AttendanceWork, ReadRecords]]:
    """The worker of one process, without its loop."""
    reader, read = Reader(log.settings, None), ReadRecords(log.settings)
    try:
        reader.assign_partitions([Partition(log.topic, number) for number in range(PARTITIONS)])
        writer = EventWriter(log.producer, 1_000, log.topic)
        beside = AttendanceLog(reader, partial(day_before, log.settings), read.between, lambda: True)
        yield AttendanceWork(beside, writer, Projection(), lambda: Clock(datetime.now(UTC), mode="log")), read
    finally:
        reader.close()


def place(log: OwnLog, number: int) -> Partition:
    return Partition(log.topic, partition_of(f"acme/rel-{number}".encode(), PARTITIONS))


def records(log: OwnLog, number: int) -> list[Record]:
    return list(read_partition(log.settings, place(log, number)))


def test_a_log_without_a_commit_is_read_once_and_outcomes_are_emitted_only_at_its_end(log_time: OwnLog) -> None:
    log_time.write(*held(1), tick(1, 60), tick(1, 61))
    partition, told = place(log_time, 1), records(log_time, 1)
    with worked(log_time) as (work, read):
        work.resume(partition, None)
        work.handle(Batch(partition, told[:-1]))
        assert (log_time.outcomes(), work.offset_metadata(partition)) == ([], FIRST_READ)

        work.handle(Batch(partition, told[-1:]))

    assert [one.subject for one in log_time.outcomes()] == ["rel-1"]
    assert (work.offset_metadata(partition), read.number) == ("", 0)


def test_an_outcome_anywhere_on_the_log_is_not_emitted_again(log_time: OwnLog) -> None:
    log_time.write(*held(1), tick(1, 60), *(tick(1, 61 + n) for n in range(5)))
    partition = place(log_time, 1)
    with worked(log_time) as (work, _):
        work.resume(partition, None)
        work.handle(Batch(partition, records(log_time, 1)))
    (said,) = log_time.outcomes()

    with worked(log_time) as (work, _):
        work.resume(partition, None)
        for record in records(log_time, 1):
            work.handle(Batch(partition, [record]))
        log_time.write(tick(1, 90))
        work.handle(Batch(partition, records(log_time, 1)[-1:]))

    assert log_time.outcomes() == [said]


def test_a_takeover_during_the_first_read_starts_again_and_emits_all(log_time: OwnLog) -> None:
    log_time.write(*held(1), tick(1, 60), *(tick(1, 61 + 60 * 24 * n) for n in range(1, 5)))
    partition, told = place(log_time, 1), records(log_time, 1)
    with worked(log_time) as (work, _):
        work.resume(partition, None)
        work.handle(Batch(partition, told[:7]))
        left = Committed(7, work.offset_metadata(partition))
    assert log_time.outcomes() == []

    with worked(log_time) as (work, _):
        work.resume(partition, left)
        work.handle(Batch(partition, told[7:]))

    assert [one.subject for one in log_time.outcomes()] == ["rel-1"]


def test_a_crash_between_emitting_and_committing_emits_nothing_twice(log_time: OwnLog) -> None:
    log_time.write(*held(1), tick(1, 60), tick(1, 61))
    partition, told = place(log_time, 1), records(log_time, 1)
    with worked(log_time) as (work, _):
        work.resume(partition, None)
        work.handle(Batch(partition, told))
    (said,) = log_time.outcomes()

    with worked(log_time) as (work, _):
        work.resume(partition, Committed(5, FIRST_READ))
        work.handle(Batch(partition, records(log_time, 1)[5:]))

    assert log_time.outcomes() == [said]


def test_over_the_limit_the_oldest_outcomes_are_emitted_early_and_each_once(
    log_time: OwnLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.flow.attendance.MAX_HELD", 20)
    numbers = [number for number in range(100) if place(log_time, number) == place(log_time, 1)]
    log_time.write(*(one for number in numbers for one in held(number)), tick(1, 60), tick(1, 61))
    partition, told = place(log_time, 1), records(log_time, 1)
    with worked(log_time) as (work, _):
        work.resume(partition, Committed(len(told) - 1, FIRST_READ))
        early = len(log_time.outcomes())
        work.handle(Batch(partition, told[-1:]))

    assert early == len(numbers) - 20 + 2 > 2
    assert sorted(one.subject for one in log_time.outcomes()) == sorted(f"rel-{number}" for number in numbers)


def test_on_an_empty_partition_what_comes_is_concluded_at_once(log_time: OwnLog) -> None:
    partition = place(log_time, 1)
    with worked(log_time) as (work, _):
        work.resume(partition, None)
        assert work.offset_metadata(partition) == ""
        log_time.write(*held(1), tick(1, 60), tick(1, 61))
        work.handle(Batch(partition, records(log_time, 1)[:5]))

    assert len(log_time.outcomes()) == 1


def test_processes_killed_during_startup_lose_nothing_and_emit_the_same(log_time: OwnLog) -> None:
    numbers = range(200)
    told: list[OfRelationship] = [one for number in numbers for one in (*held(number), tick(number, 60))]
    log_time.write(*told)
    rng = random.Random(5)

    with TemporaryFile() as said:
        for _ in range(4):
            doomed = started(log_time, "one", said.fileno())
            time.sleep(rng.uniform(0, 2.2))
            doomed.kill()
            doomed.wait(10)
    with process(log_time, "one"):
        outcomes = await_outcomes(log_time, len(numbers))

    assert {one.subject for one in outcomes} == {f"rel-{number}" for number in numbers}
    assert len({to_json(one) for one in outcomes}) == len(numbers)
