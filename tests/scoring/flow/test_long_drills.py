"""The failure drills of the Faust service at length, run by `make drills`."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random

import pytest

from services.runtime.kafka import Producer, Reader
from services.scoring.domain.changelog import state_entry
from services.scoring.flow.log_reading import stored
from tests.receiver import eventually
from tests.scoring.flow.comparison import compare, watermarks
from tests.scoring.flow.harness import PARTITIONS, Scoring, Service
from tests.scoring.flow.long_log import end_of, keyed, long_log, moved
from tests.scoring.flow.test_drills import clocks, has_run, share, stops_well

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

SLOW = {"DRILL_SLOW": "0.02"}


@contextmanager
def under_load(scoring: Scoring, seed: int, random_logs: int = 150) -> Iterator[None]:
    """Feeds a long log while the block runs; then a worker without faults brings it to its end, and all is compared."""
    events = long_log(seed, random_logs)
    with scoring.feeding(keyed(events), 40, 0.3):
        yield
    scoring.reach(end_of(events))
    last = scoring.start()
    scoring.await_clock(end_of(events), 240)
    stops_well(last)
    found = compare(scoring)
    assert found.rows > 3000
    assert len(found.stale) <= found.relationships / 10


def test_killed_24_times_at_random_under_load(scoring: Scoring) -> None:
    rng = Random(24)
    with under_load(scoring, 11, 300):
        for _ in range(24):
            service = scoring.start(**SLOW)
            time.sleep(rng.uniform(0.5, 5))
            assert service.end(signal.SIGKILL)[0] == -signal.SIGKILL


def test_killed_12_times_without_a_name_of_its_own(scoring: Scoring) -> None:
    """Then the group waits for the session of the dead to pass."""
    rng = Random(12)
    with under_load(scoring, 12):
        for _ in range(12):
            service = scoring.start(RAPPORT_INSTANCE="", **SLOW)
            time.sleep(rng.uniform(3, 8))
            assert service.end(signal.SIGKILL)[0] == -signal.SIGKILL


def test_dead_before_the_watermark_10_times(scoring: Scoring) -> None:
    with under_load(scoring, 13):
        for at in (1, 1, 2, 3, 5, 8, 13, 21, 2, 4):
            assert scoring.met(f"exit:{at}")[1] == 9


def test_failed_6_times_in_mid_run(scoring: Scoring) -> None:
    with under_load(scoring, 14):
        for at in (1, 2, 3, 8, 20, 30):
            service, code = scoring.met(f"raise:{at}")
            assert code == 1
            assert any("the fault of a drill" in line for line in service.errors())


def test_told_to_stop_8_times_in_full_flow(scoring: Scoring) -> None:
    rng = Random(8)
    with under_load(scoring, 15):
        for _ in range(8):
            service = scoring.start(**SLOW)
            has_run(service, 1)
            time.sleep(rng.uniform(0, 2))
            stops_well(service)


def test_told_to_stop_while_it_starts_it_ends_too(scoring: Scoring) -> None:
    rng = Random(9)
    with under_load(scoring, 16):
        for _ in range(10):
            service = scoring.start()
            eventually(service.answers, what="the process")
            time.sleep(rng.uniform(0, 2))
            code, seconds = service.end()
            assert code == 0
            assert seconds < 3


def test_12_restarts_with_a_backlog_leave_no_hole(scoring: Scoring) -> None:
    events = long_log(17, 200)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    for number in range(12):
        service = scoring.start(DRILL_SLOW="0.05")
        has_run(service, 4)
        service.end(signal.SIGKILL if number % 2 else signal.SIGTERM)
        assert sum(mark.offset + 1 for mark in watermarks(scoring).values()) < len(events)
    last = scoring.start()

    scoring.await_clock(end_of(events), 120)
    stops_well(last)

    compare(scoring)


def test_workers_join_and_leave_5_times(scoring: Scoring) -> None:
    """By SIGTERM and kill -9, with and without a name of their own."""
    events = long_log(18, 300)
    first = scoring.start(RAPPORT_INSTANCE="first", **SLOW)
    with scoring.feeding(keyed(events), 40, 0.8):
        for number in range(5):
            name = f"other{number}" if number % 2 else ""
            other = scoring.start(RAPPORT_INSTANCE=name, **SLOW)
            share(first, other)
            time.sleep(1)
            other.end(signal.SIGKILL if number in {1, 2} else signal.SIGTERM)
            eventually(lambda: first.owns(0, 1, 2, 3), 120, "all partitions again")
    scoring.reach(end_of(events))

    scoring.await_clock(end_of(events), 120)
    stops_well(first)

    assert compare(scoring).rows > 3000


def test_many_workers_come_and_go_at_once(scoring: Scoring) -> None:
    """Rebalances that overtake each other, also in the middle of a recovery."""
    rng = Random(10)
    events = long_log(19, 300)
    with scoring.feeding(keyed(events), 40, 0.5):
        alive: list[Service] = []
        for _ in range(20):
            alive.append(scoring.start(RAPPORT_INSTANCE="", **SLOW))
            time.sleep(rng.uniform(0.2, 2.5))
            if len(alive) > 3:
                alive.pop(rng.randrange(len(alive))).end(rng.choice([signal.SIGTERM, signal.SIGKILL]))
    scoring.reach(end_of(events))

    scoring.await_clock(end_of(events), 240)
    for service in alive:
        assert service.end()[0] == 0

    assert compare(scoring).rows > 3000


def test_a_worker_frozen_past_its_session_ends_and_its_late_writes_change_nothing(scoring: Scoring) -> None:
    events = long_log(20, 100)
    records = keyed(events)
    for number in range(4):
        frozen = scoring.start(RAPPORT_INSTANCE="", **SLOW)
        with scoring.feeding(records[number * len(records) // 4 : (number + 1) * len(records) // 4], 20, 0.2):
            has_run(frozen, 3)
            frozen.process.send_signal(signal.SIGSTOP)
            other = scoring.start(RAPPORT_INSTANCE="", **SLOW)
            has_run(other, 3)
        frozen.process.send_signal(signal.SIGCONT)
        assert frozen.process.wait(5) == 1
        stops_well(other)
    scoring.reach(end_of(events))
    last = scoring.start()

    scoring.await_clock(end_of(events))
    stops_well(last)

    compare(scoring)


def test_frozen_for_less_than_its_session_it_goes_on(scoring: Scoring) -> None:
    events = long_log(21, 100)
    service = scoring.start(**SLOW)
    with scoring.feeding(keyed(events), 20, 0.3):
        for _ in range(5):
            has_run(service, service.output("run_applied") + 1)
            service.process.send_signal(signal.SIGSTOP)
            time.sleep(1)
            service.process.send_signal(signal.SIGCONT)
    scoring.reach(end_of(events))

    scoring.await_clock(end_of(events))
    stops_well(service)

    compare(scoring)


def test_three_days_missed_while_down_are_caught_up_through_kills(scoring: Scoring) -> None:
    events = long_log(22, 100)
    events = moved(events, datetime.now(UTC) - timedelta(days=5) - end_of(events))
    scoring.feed(keyed(events))
    scoring.reach(end_of(events) + timedelta(days=2))
    first = scoring.start()
    scoring.await_clock(end_of(events) + timedelta(days=2))
    stops_well(first)
    for phases in (1, 2, 5, 3):
        service = scoring.start(RAPPORT_CLOCK="wall", DRILL_SLOW="0.1")
        eventually(service.is_ready)
        time.sleep(phases / 4)
        service.end(signal.SIGKILL)
    began = time.time()
    last = scoring.start(RAPPORT_CLOCK="wall")
    eventually(lambda: len(clocks(last)) == PARTITIONS and min(clocks(last)) > began - 60, 60, "now")
    stops_well(last)

    assert compare(scoring).rows > 3000


def test_a_partition_that_stands_for_a_minute_ends_it_and_the_next_goes_on(scoring: Scoring) -> None:
    events = long_log(23, 30)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    service = scoring.start(DRILL_FAULT="stall:5")

    assert service.process.wait(120) == 1

    assert any("stands at" in line for line in service.errors())
    last = scoring.start()
    scoring.await_clock(end_of(events))
    stops_well(last)
    compare(scoring)


def test_a_changelog_of_a_million_records_is_recovered_in_a_minute(
    scoring: Scoring, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most of them of a worker of long ago; what they say is known since."""
    events = long_log(25, 60)
    records, half = keyed(events), len(events) // 2
    first = scoring.start()
    scoring.feed(records[:half])
    scoring.reach(events[half].recordedtime)
    scoring.await_clock(events[half].recordedtime)
    stops_well(first)
    write_again(scoring, 1_000_000)

    began = time.monotonic()
    last = scoring.start()
    eventually(last.is_ready, 180, "all partitions")
    seconds = time.monotonic() - began

    with capsys.disabled():
        sys.stdout.write(f"\n  recovery of a changelog of a million records: {seconds:.1f} s")
    assert seconds < 60
    scoring.feed(records[half:])
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    stops_well(last)
    compare(scoring)


def write_again(scoring: Scoring, count: int) -> None:
    """The states under an old generation, so often that there are so many records."""
    stored_now = stored(scoring.settings, scoring.topics)
    entries = [
        (stored_now.partition_of[name], state_entry(name, 1, state)) for name, state in stored_now.states.items()
    ]
    producer = Producer(scoring.settings)
    for number, (partition, entry) in zip(range(count), cycle(entries), strict=False):
        producer.send(scoring.topics.state, entry.key, entry.value, partition=partition)
        if number % 20_000 == 0:
            producer.flush(60)
    producer.flush(60)
    producer.close()


def test_the_comparison_sees_a_run_that_was_stepped_over(scoring: Scoring) -> None:
    """Guards the drills themselves."""
    events = long_log(24, 20)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    service = scoring.start(DRILL_FAULT="hole:8")
    scoring.await_clock(end_of(events))
    stops_well(service)

    with pytest.raises(AssertionError, match="are not those of the log"):
        compare(scoring)


def test_a_group_that_does_not_let_it_in_ends_it(scoring: Scoring) -> None:
    """Aiokafka gives up on a fatal response to a join without reporting it."""
    stranger = Reader(scoring.settings, scoring.topics.group)
    stranger.subscribe([scoring.topics.events])
    try:
        until = time.monotonic() + 40
        stranger.poll(2)
        service = scoring.start(RAPPORT_SCORING_SESSION_SECONDS="2")
        while service.process.poll() is None and time.monotonic() < until:
            stranger.poll(0.2)
    finally:
        stranger.close()

    assert service.process.wait(1) == 1
    assert any("the group has not let us in" in line for line in service.errors())
