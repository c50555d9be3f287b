"""The projected topics are read once for all parts that start together, and followed afterwards."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.topics import BOOKINGS, DIRECTORY, ROSTER
from services.ingest.flow.people import projected_topics
from services.ingest.flow.people.projected_topics import (
    PROGRESS_KEY,
    SCANNED_RECORDS,
    ProgressRecord,
    ProjectionLag,
    SnapshotCache,
    dump,
)
from services.runtime.kafka import Partition, Reader, Record, create_topics
from services.runtime.kafka.admin import delete_topics
from tests.ingest.people.building import event, pair
from tests.ingest.people.harness import PARTITIONS, OwnLog
from tests.receiver import eventually

RELATIONSHIPS = 20


class Counting:
    """How many records were read of the topics, and how many of these at their ends, in search of progress."""

    def __init__(self) -> None:
        self.records = self.in_search_of_progress = 0
        self._between = projected_topics._between

    def __call__(
        self,
        reader: Reader,
        begins: Mapping[Partition, int],
        ends: Mapping[Partition, int],
        done: Callable[[], bool],
    ) -> Iterator[Record]:
        is_search = begins == {one: end - SCANNED_RECORDS for one, end in ends.items()}
        for record in self._between(reader, begins, ends, done):
            self.records += 1
            self.in_search_of_progress += is_search
            yield record


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    found = Counting()
    monkeypatch.setattr(projected_topics, "_between", found)
    return found


def roster(log: OwnLog) -> list[Partition]:
    return [Partition(ROSTER.at(log.epoch), number) for number in range(PARTITIONS)]


def put(log: OwnLog, key: bytes, value: bytes, number: int = 0) -> None:
    log.producer.send(ROSTER.at(log.epoch), key, value, partition=number).get(60)


def values(records: Iterator[Record]) -> Mapping[bytes | None, bytes | None]:
    return {record.key: record.value for record in records}


def test_concurrent_requests_read_the_topics_once_and_get_all_records(log: OwnLog, counting: Counting) -> None:
    for number in range(RELATIONSHIPS):
        put(log, f"k-{number}".encode(), b"1", number % PARTITIONS)
    cache = SnapshotCache(log.settings, [ROSTER.at(log.epoch)])
    ready = threading.Barrier(4)

    def asked(number: int) -> int:
        ready.wait(10)
        if number == 0:
            found = cache.snapshot(lambda: False)
            return sum(map(len, found.records.values())) if found else 0
        return len(list(cache.records(roster(log)[:2])))

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(asked, range(4)))

    assert told == [RELATIONSHIPS, RELATIONSHIPS // 2, RELATIONSHIPS // 2, RELATIONSHIPS // 2]
    assert counting.records == RELATIONSHIPS


def test_later_records_are_read_too_and_the_latest_of_each_key_counts(log: OwnLog, counting: Counting) -> None:
    put(log, b"old", b"1")
    put(log, b"changed", b"1")
    cache = SnapshotCache(log.settings, [ROSTER.at(log.epoch)])
    cache.snapshot(lambda: False)
    put(log, b"changed", b"2")
    put(log, b"new", b"2")

    found = list(cache.records(roster(log)[:1]))

    assert [(record.key, record.value) for record in found] == [(b"old", b"1"), (b"changed", b"2"), (b"new", b"2")]
    assert counting.records == 4


def test_what_was_read_is_not_kept_and_who_comes_later_reads_what_it_asks_for(
    log: OwnLog, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(PARTITIONS):
        put(log, b"k", b"1", number)
    cache = SnapshotCache(log.settings, [ROSTER.at(log.epoch)])
    cache.snapshot(lambda: False)
    monkeypatch.setattr(projected_topics, "CACHE_SECONDS", 0.0)
    cache.expire()

    assert values(cache.records(roster(log)[1:2])) == {b"k": b"1"}
    assert counting.records == PARTITIONS + 1


def test_topics_on_which_nothing_lies_are_read_too(log: OwnLog) -> None:
    cache = SnapshotCache(log.settings, [ROSTER.at(log.epoch), BOOKINGS.at(log.epoch), DIRECTORY.name])

    assert values(cache.records(roster(log))) == {}


def test_a_stop_while_reading_leaves_nothing_half_read(log: OwnLog) -> None:
    put(log, b"k", b"1")
    cache = SnapshotCache(log.settings, [ROSTER.at(log.epoch)])

    assert cache.snapshot(lambda: True) is None
    assert values(cache.records(roster(log))) == {b"k": b"1"}


def test_a_process_reads_what_is_projected_once_for_all_of_its_parts(
    log: OwnLog, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the parts start over minutes: what is shared lasts until all of them are ready.
    monkeypatch.setattr(projected_topics, "CACHE_SECONDS", float("inf"))
    log.write(*(pair(subject=f"rel-{number}") for number in range(RELATIONSHIPS)))
    with log.projected():
        lag = ProjectionLag(log.settings)
        eventually(lambda: lag.refresh() == 0, what="everything is projected")
        lag.close()
    counting.records = counting.in_search_of_progress = 0
    topics = [ROSTER.at(log.epoch), BOOKINGS.at(log.epoch), DIRECTORY.name]
    SnapshotCache(log.settings, topics).snapshot(lambda: False)
    once, counting.records = counting.records, 0

    with log.worker() as health:
        eventually(lambda: health.condition.state == "ready", what="all parts are ready")

    assert once >= 2 * RELATIONSHIPS
    # Readiness looks for progress once a turn until it is there: on a busy machine more often.
    assert once <= counting.records - counting.in_search_of_progress < 1.5 * once


def left(log: OwnLog) -> int:
    lag = ProjectionLag(log.settings)
    try:
        return lag.refresh()
    finally:
        lag.close()


def folded(log: OwnLog, number: int, offset: int) -> None:
    for topic in (ROSTER, BOOKINGS):
        value = dump(ProgressRecord(next_offset=offset))
        log.producer.send(topic.at(log.epoch), PROGRESS_KEY, value, partition=number).get(60)


def test_the_remaining_lag_is_the_latest_progress_of_both_topics(log: OwnLog) -> None:
    log.write_everywhere(b"{}")
    log.write_everywhere(b"{}")
    before = left(log)
    for number in range(PARTITIONS):
        folded(log, number, 1)
    half = left(log)
    for number in range(PARTITIONS):
        folded(log, number, 2)
    log.producer.send(BOOKINGS.at(log.epoch), PROGRESS_KEY, dump(ProgressRecord(next_offset=1)), partition=0).get(60)

    assert (before - half, half - left(log)) == (PARTITIONS, PARTITIONS - 1)


def test_how_much_is_left_is_found_behind_many_other_records_and_not_where_it_cannot_be_read(log: OwnLog) -> None:
    log.write_everywhere(b"{}")
    before = left(log)
    for number in range(PARTITIONS):
        folded(log, number, 1)
    for sent in [log.producer.send(ROSTER.at(log.epoch), b"k", b"1", partition=0) for _ in range(100)]:
        sent.get(60)
    put(log, PROGRESS_KEY, b"\xff", number=1)

    assert before - left(log) == PARTITIONS - 1


def test_of_topics_that_were_made_anew_all_is_left(log: OwnLog) -> None:
    log.write(event("goal.set", {"goal_id": "g"}))
    before = left(log)
    for number in range(PARTITIONS):
        folded(log, number, 1)
    names = [topic.at(log.epoch) for topic in (ROSTER, BOOKINGS)]
    delete_topics(log.settings, names)
    create_topics(log.settings, {topic.at(log.epoch): topic.options(PARTITIONS, 1) for topic in (ROSTER, BOOKINGS)})

    assert left(log) == before
