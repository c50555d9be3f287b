"""Batches whose second part runs beside the loop, on the real broker."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from deploy.local.kafka import LocalKafka
from services.runtime import health as health_module
from services.runtime.health import Health
from services.runtime.kafka import Partition, Producer, Reader, Record, create_topics
from services.runtime.loop import BatchLoop, TryLaterError
from services.runtime.partition_buffer import Batch, Limits
from services.runtime.settings import Settings
from tests.receiver import eventually

PATIENCE_SECONDS = 30.0


class StoppedHereError(Exception):
    """Not one that is tried again."""


@dataclass
class TwoParts:
    """Notes what was begun and what ended, by partition and last offset; `second` is what runs beside the loop."""

    second: Callable[[Batch], None]
    places: int = 2
    begun: list[Batch] = field(default_factory=list)
    ended: list[tuple[int, int]] = field(default_factory=list)

    def resume(self, partition: Partition, committed: object) -> None:
        """Accepts any batch."""

    def handle(self, batch: Batch) -> Mapping[str, object]:
        return self.begin(batch)()

    def begin(self, batch: Batch) -> Callable[[], Mapping[str, object]]:
        self.begun.append(batch)

        def second() -> Mapping[str, object]:
            self.second(batch)
            self.ended.append((batch.partition.number, batch.last))
            return {}

        return second

    def idle(self) -> None:
        """Nothing is due."""


@dataclass
class Turning:
    """A loop on a thread over a topic of two partitions, and a producer for it. `polled`: records that it has read."""

    settings: Settings
    topic: str
    producer: Producer
    asker: Reader
    health: Health
    stop: threading.Event
    thread: threading.Thread
    failure: BaseException | None = None
    polled: int = 0

    def write(self, partition: int, count: int) -> None:
        for number in range(count):
            self.producer.send(self.topic, b"key", b"%d" % number, partition=partition)
        self.producer.flush()

    def committed(self, partition: int) -> int:
        found = self.asker.committed(Partition(self.topic, partition))
        return found.offset if found else 0


@contextmanager
def turning(kafka: LocalKafka, work: TwoParts, limits: Limits = Limits(records=1)) -> Iterator[Turning]:  # noqa: B008 (frozen)
    settings, topic = Settings(kafka=kafka.bootstrap), f"beside-{uuid4().hex}"
    create_topics(settings, {topic: {"num_partitions": 2, "replication_factor": 1, "configs": {}}})
    health, stop = Health(), threading.Event()
    with (
        closing(Producer(settings)) as producer,
        closing(Reader(settings, f"{topic}-group")) as reader,
        closing(Reader(settings, f"{topic}-group")) as asker,
    ):
        reader.subscribe([topic])

        poll = reader.poll

        def counted(seconds: float) -> dict[Partition, list[Record]]:
            answer = poll(seconds)
            found.polled += sum(map(len, answer.values()))
            return answer

        def run() -> None:
            try:
                BatchLoop(reader, work, health, limits).run(stop)
            except StoppedHereError as failure:
                found.failure = failure

        setattr(reader, "poll", counted)  # noqa: B010 (a method of this one only)
        found = Turning(settings, topic, producer, asker, health, stop, threading.Thread(target=run))
        found.thread.start()
        try:
            yield found
        finally:
            stop.set()
            found.thread.join(PATIENCE_SECONDS)


def test_one_partition_goes_on_while_the_batch_of_another_hangs(local_kafka: LocalKafka) -> None:
    go_on = threading.Event()
    work = TwoParts(lambda batch: None if batch.partition.number else _waited(go_on))
    with turning(local_kafka, work) as loop:
        loop.write(0, 2)
        eventually(lambda: work.begun, PATIENCE_SECONDS)
        loop.write(1, 3)

        eventually(lambda: loop.committed(1) == 3, PATIENCE_SECONDS)
        meanwhile = loop.committed(0)
        go_on.set()

        eventually(lambda: loop.committed(0) == 2, PATIENCE_SECONDS)
    assert meanwhile == 0
    assert [last for partition, last in work.ended if partition == 0] == [0, 1]


def test_no_more_batches_are_in_the_works_than_there_are_places(local_kafka: LocalKafka) -> None:
    go_on = threading.Event()
    work = TwoParts(lambda _: _waited(go_on), places=1)
    with turning(local_kafka, work) as loop:
        loop.write(0, 1)
        loop.write(1, 1)
        eventually(lambda: work.begun and loop.health.condition.detail.endswith("lag 2"), PATIENCE_SECONDS)
        begun = len(work.begun)
        go_on.set()

        eventually(lambda: (loop.committed(0), loop.committed(1)) == (1, 1), PATIENCE_SECONDS)
    assert begun == 1


def test_a_partition_that_waits_for_a_place_comes_before_the_next_batch_of_another(local_kafka: LocalKafka) -> None:
    """The one with the most records would otherwise be stored to its end first."""
    go_on = threading.Event()
    work = TwoParts(lambda _: _waited(go_on), places=1)
    with turning(local_kafka, work, Limits(records=2)) as loop:
        loop.write(0, 2)
        eventually(lambda: work.begun, PATIENCE_SECONDS)
        loop.write(0, 2)
        loop.write(1, 2)
        eventually(lambda: loop.polled == 6, PATIENCE_SECONDS)
        go_on.set()

        eventually(lambda: (loop.committed(0), loop.committed(1)) == (4, 2), PATIENCE_SECONDS)
    assert [partition for partition, _ in work.ended] == [0, 1, 0]


def test_a_second_part_that_cannot_be_done_yet_is_repeated_with_the_same_batch(local_kafka: LocalKafka) -> None:
    failures = iter([TryLaterError("away"), TryLaterError("away")])

    def second(_: Batch) -> None:
        for failure in failures:
            raise failure

    work = TwoParts(second)
    with turning(local_kafka, work, Limits()) as loop:
        loop.write(0, 1)
        eventually(lambda: loop.health.condition.state == "degraded", PATIENCE_SECONDS)
        loop.write(0, 2)

        eventually(lambda: loop.committed(0) == 3, PATIENCE_SECONDS)
        eventually(lambda: loop.health.condition.state == "ready", PATIENCE_SECONDS)
    first, *repeats, rest = work.begun
    assert len(repeats) == 2
    assert all(batch is first for batch in repeats)
    assert (rest.first, rest.last) == (1, 2)


def test_an_unexpected_failure_of_a_second_part_ends_the_loop(local_kafka: LocalKafka) -> None:
    def second(_: Batch) -> None:
        raise StoppedHereError

    with turning(local_kafka, TwoParts(second)) as loop:
        loop.write(0, 1)
        loop.thread.join(PATIENCE_SECONDS)

        assert isinstance(loop.failure, StoppedHereError)
        assert loop.committed(0) == 0


def test_a_second_part_that_hangs_is_told_though_the_loop_turns(
    local_kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "STALLED_SECONDS", 2.0)
    go_on = threading.Event()
    with turning(local_kafka, TwoParts(lambda _: _waited(go_on))) as loop:
        loop.write(0, 1)

        eventually(lambda: "`batches` has not turned" in loop.health.readiness().detail, PATIENCE_SECONDS)
        go_on.set()

        eventually(lambda: loop.health.readiness().state == "ready", PATIENCE_SECONDS)


def test_a_stop_waits_for_what_runs_and_commits_it(local_kafka: LocalKafka) -> None:
    go_on = threading.Event()
    with turning(local_kafka, TwoParts(lambda _: _waited(go_on))) as loop:
        loop.write(0, 1)
        loop.write(1, 1)
        eventually(lambda: loop.health.condition.detail.endswith("lag 2"), PATIENCE_SECONDS)
        loop.stop.set()
        eventually(lambda: loop.health.condition.state == "stopping", PATIENCE_SECONDS)
        # Later than the time after which no further batch starts.
        loop.thread.join(1.5)
        running = loop.thread.is_alive()
        go_on.set()
        loop.thread.join(PATIENCE_SECONDS)

        assert running
        assert (loop.committed(0), loop.committed(1)) == (1, 1)


def test_what_a_lost_partition_has_in_the_works_is_left_to_its_next_owner(local_kafka: LocalKafka) -> None:
    go_on = threading.Event()
    work = TwoParts(lambda _: _waited(go_on))
    with turning(local_kafka, work) as loop:
        loop.write(0, 1)
        loop.write(1, 1)
        eventually(lambda: len(work.begun) == 2, PATIENCE_SECONDS)
        with closing(Reader(loop.settings, f"{loop.topic}-group")) as other:
            other.subscribe([loop.topic])
            found: list[Record] = []
            eventually(lambda: _polled(other, found), PATIENCE_SECONDS)
            lost = found[0].partition
            go_on.set()
            # The group is complete only while the other member polls.
            eventually(lambda: _polled(other, found) and loop.committed(1 - lost) == 1, PATIENCE_SECONDS)
            eventually(lambda: len(work.ended) == 2, PATIENCE_SECONDS)
            eventually(
                lambda: _polled(other, found) and loop.health.condition.detail == "1 partitions, lag 0",
                PATIENCE_SECONDS,
            )
            committed = loop.committed(lost)

    assert loop.failure is None
    assert committed == 0
    assert found[0].offset == 0


def test_a_partition_whose_batch_hangs_is_not_read_without_end(local_kafka: LocalKafka) -> None:
    go_on = threading.Event()
    work = TwoParts(lambda _: _waited(go_on))
    with turning(local_kafka, work, Limits(records=5)) as loop:
        loop.write(0, 5)
        eventually(lambda: work.begun, PATIENCE_SECONDS)
        loop.write(0, 5)
        eventually(lambda: loop.polled == 10, PATIENCE_SECONDS)
        loop.write(0, 10)
        time.sleep(1.0)
        meanwhile = loop.polled
        go_on.set()

        eventually(lambda: loop.committed(0) == 20, PATIENCE_SECONDS)
    assert meanwhile == 10
    assert [last for _, last in work.ended] == [4, 9, 14, 19]


def _polled(reader: Reader, found: list[Record]) -> list[Record]:
    for records in reader.poll(0.2).values():
        found += records
    return found


def _waited(go_on: threading.Event) -> None:
    go_on.wait(PATIENCE_SECONDS)
