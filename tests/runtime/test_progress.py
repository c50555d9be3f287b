"""Readiness of a process whose loop hangs, and of one whose loop works for long."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest

from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from services.runtime.following import Follower
from services.runtime.health import Health, PartsReadiness, serve_health
from services.runtime.kafka import Producer, Reader, Record, create_topics
from services.runtime.loop import BatchLoop, TryLaterError
from services.runtime.partition_buffer import Batch
from services.runtime.progress import HUNG_SECONDS, STALLED_SECONDS, TURN_SECONDS, LoopWatch, note_progress
from services.runtime.settings import Settings
from tests import plain_http
from tests.receiver import eventually

PATIENCE_SECONDS = 30.0


class SteppedClock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_loop_that_has_not_turned_is_named_with_its_time() -> None:
    clock = SteppedClock()
    health = Health(LoopWatch(clock))
    health.report("ready", "3 partitions")

    with health.loop("batches") as note_turn:
        note_turn()
        clock.seconds += STALLED_SECONDS + 1
        found = health.readiness()

    assert found.state == "degraded"
    assert found.detail == "the loop `batches` has not turned for 91 s; 3 partitions"


def test_a_long_turn_that_makes_progress_stays_ready() -> None:
    clock = SteppedClock()
    health = Health(LoopWatch(clock))
    health.report("ready")

    with health.loop("batches"):
        states = []
        for _ in range(100):
            clock.seconds += STALLED_SECONDS - 1
            states.append(health.readiness().state)
            note_progress()

    assert set(states) == {"ready"}


def test_a_loop_that_turns_again_is_ready_again_and_one_that_has_ended_is_not_waited_for() -> None:
    clock = SteppedClock()
    health = Health(LoopWatch(clock))
    health.report("ready")

    with health.loop("batches") as note_turn:
        clock.seconds += 1_000
        hanging = health.readiness().state
        note_turn()
        turning = health.readiness().state
    clock.seconds += 1_000

    assert [hanging, turning, health.readiness().state] == ["degraded", "ready", "ready"]


def test_progress_of_an_inner_loop_is_not_that_of_another_thread() -> None:
    clock = SteppedClock()
    health = Health(LoopWatch(clock))
    health.report("ready")

    with health.loop("batches"):
        clock.seconds += STALLED_SECONDS + 1
        other = threading.Thread(target=note_progress)
        other.start()
        other.join(PATIENCE_SECONDS)

        assert health.readiness().state == "degraded"


def test_the_process_shows_the_hanging_loop_of_a_part() -> None:
    clock = SteppedClock()
    process = Health(LoopWatch(clock))
    readiness = PartsReadiness(process)
    part, other = readiness.part("tools"), readiness.part("raw topic")
    part.report("ready")
    other.report("ready")

    with part.loop("batches"), other.loop("batches") as note_turn:
        clock.seconds += STALLED_SECONDS + 1
        note_turn()

        assert process.readiness().state == "degraded"
        assert process.readiness().detail.startswith("the loop `tools: batches` has not turned for 91 s; tools: ready")


@pytest.mark.parametrize(
    ("seconds", "alive", "ready"),
    [
        (STALLED_SECONDS - 1, 200, 200),
        (STALLED_SECONDS + 1, 200, 503),  # a restart would not help against a slow dependency
        (HUNG_SECONDS + 1, 503, 503),
    ],
)
def test_liveness_ends_long_after_readiness(seconds: float, alive: int, ready: int) -> None:
    clock, port = SteppedClock(), free_port(set())
    health = Health(LoopWatch(clock))
    health.report("ready")

    with serve_health(health, "127.0.0.1", port), health.loop("batches"):
        clock.seconds += seconds
        found = [plain_http.get(f"http://127.0.0.1:{port}{path}").status_code for path in ("/healthz", "/readyz")]

    assert found == [alive, ready]


@contextmanager
def topic_with_records(kafka: LocalKafka, partitions: int = 1) -> Iterator[tuple[Settings, str]]:
    settings, topic = Settings(kafka=kafka.bootstrap), f"progress-{uuid4().hex}"
    create_topics(settings, {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": {}}})
    with closing(Producer(settings)) as producer:
        for number in range(2 * partitions):
            producer.send(topic, b"key", b"%d" % number, partition=number % partitions)
        producer.flush()
    yield settings, topic


class HangingWork:
    """Its batch ends when a test lets it go."""

    def __init__(self) -> None:
        self.hangs, self.go_on = threading.Event(), threading.Event()

    def resume(self, partition: object, committed: object) -> None:
        """Accepts any batch."""

    def handle(self, batch: Batch) -> None:  # noqa: ARG002 (the loop's protocol)
        self.hangs.set()
        self.go_on.wait(PATIENCE_SECONDS)

    def idle(self) -> None:
        """Nothing is due."""


def test_a_batch_loop_that_hangs_in_its_work_is_not_ready_until_it_turns(local_kafka: LocalKafka) -> None:
    clock, work, stop = SteppedClock(), HangingWork(), threading.Event()
    health = Health(LoopWatch(clock))
    with topic_with_records(local_kafka) as (settings, topic), closing(Reader(settings, f"{topic}-group")) as reader:
        reader.subscribe([topic])
        thread = threading.Thread(target=BatchLoop(reader, work, health).run, args=(stop,))
        thread.start()
        assert work.hangs.wait(PATIENCE_SECONDS)

        clock.seconds += STALLED_SECONDS + 1
        hanging = health.readiness()
        work.go_on.set()

        eventually(lambda: health.readiness().state == "ready", PATIENCE_SECONDS)
        stop.set()
        thread.join(PATIENCE_SECONDS)
    assert hanging.state == "degraded"
    assert "the loop `batches` has not turned for 91 s" in hanging.detail


class WorkOfADeadDependency:
    """Each batch waits for as long as one statement may, and is put off."""

    def __init__(self, clock: SteppedClock, loops: LoopWatch, stop: threading.Event) -> None:
        self._clock, self._loops, self._stop = clock, loops, stop
        self.tried, self.stalled = 0, list[str]()

    def resume(self, partition: object, committed: object) -> None:
        """Accepts any batch."""

    def handle(self, batch: Batch) -> None:  # noqa: ARG002 (the loop's protocol)
        self._clock.seconds += 60.0
        self.stalled += self._loops.stalled(STALLED_SECONDS)
        self.tried += 1
        if self.tried == 20:
            self._stop.set()
        raise TryLaterError("ClickHouse does not answer")

    def idle(self) -> None:
        """Nothing is due."""


def test_many_partitions_that_wait_for_a_dependency_in_turn_are_no_stall(local_kafka: LocalKafka) -> None:
    """A restart would not bring it back: a loop whose waits end is alive."""
    clock, stop = SteppedClock(), threading.Event()
    health = Health(LoopWatch(clock))
    work = WorkOfADeadDependency(clock, health.loops, stop)
    with topic_with_records(local_kafka, 8) as (settings, topic), closing(Reader(settings, f"{topic}-group")) as reader:
        reader.subscribe([topic])
        thread = threading.Thread(target=BatchLoop(reader, work, health).run, args=(stop,))
        thread.start()
        thread.join(PATIENCE_SECONDS)

        assert not thread.is_alive()

    assert work.stalled == []


def test_an_event_loop_ages_only_while_it_is_blocked() -> None:
    """Whatever runs on it, and before anything else does."""
    clock, found = SteppedClock(), list[int]()
    loops = LoopWatch(clock)

    async def run() -> None:
        await asyncio.sleep(0)
        for _ in range(2):
            clock.seconds += HUNG_SECONDS + 1
            found.append(len(loops.stalled(HUNG_SECONDS)))
            await asyncio.sleep(TURN_SECONDS * 1.5)
            found.append(len(loops.stalled(STALLED_SECONDS)))

    with asyncio.Runner() as runner, loops.event_loop("senders", runner.get_loop()):
        runner.run(run())

    assert found == [1, 0, 1, 0]
    assert loops.stalled(0.0) == []


def test_a_follower_that_hangs_is_named_with_its_topics(local_kafka: LocalKafka) -> None:
    """What it projects would otherwise grow stale unnoticed."""
    clock, hangs, go_on = SteppedClock(), threading.Event(), threading.Event()
    loops = LoopWatch(clock)

    def apply(_: Record) -> None:
        hangs.set()
        go_on.wait(PATIENCE_SECONDS)

    with (
        topic_with_records(local_kafka) as (settings, topic),
        closing(Producer(settings)) as producer,
        Follower(apply, loops).following(settings, [topic], since="now"),
    ):
        producer.send(topic, b"key", b"3", partition=0)
        producer.flush()
        assert hangs.wait(PATIENCE_SECONDS)
        clock.seconds += STALLED_SECONDS + 1
        found = loops.stalled(STALLED_SECONDS)
        go_on.set()

    assert found == [f"the loop `follower of {topic}` has not turned for 91 s"]
