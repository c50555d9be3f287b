"""Short drills of the Faust service on the real broker. Each ends with the states and rows that an ordered reading of
the log gives, byte for byte."""

import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from schemas.scores import SCORE_EVENT, ClockAdvanced
from services.runtime.kafka import Producer, read_to_end
from services.scoring.domain import layout
from services.scoring.domain.changelog import ChangelogEntry
from services.scoring.flow.log_reading import stored
from tests.receiver import STOP_WITHIN_SECONDS, eventually
from tests.scoring.flow.comparison import committed, compare, watermarks
from tests.scoring.flow.harness import PARTITIONS, Scoring, Service
from tests.scoring.flow.long_log import Keyed, end_of, keyed, long_log, moved

SLOW = "0.05"
"""Seconds per phase of outputs: slow enough for a signal to come in mid-stream."""


def test_whatever_ended_it_the_next_one_goes_on_exactly(scoring: Scoring) -> None:
    """Two kill -9 in mid-stream, an exception in mid-run, death before the watermark, SIGTERM in full flow, a lost run;
    records that are no events in between."""
    events = long_log(1, 30)
    with scoring.feeding(with_poison(keyed(events)), 10, 0.1):
        is_killed(scoring)
        is_killed(scoring)
        fails(scoring)
        dies_before_the_watermark(scoring)
    scoring.reach(end_of(events))
    is_told_to_stop(scoring, len(events))
    last = scoring.start(DRILL_FAULT="lose:3")
    scoring.await_clock(end_of(events))

    assert last.output("rewound") >= 1
    stops_well(last)
    found = compare(scoring)
    assert found.rows > 1000
    assert len(found.stale) <= found.relationships / 10
    rejected = {
        record.value: dict(record.headers) for record in read_to_end(scoring.settings, [scoring.topics.rejected])
    }
    assert rejected.keys() == set(POISON)
    assert all(headers["reason"] for headers in rejected.values())


POISON = (b"{broken", b"", b"\xff", b'{"type": "mentoring.session.held.v1"}')


def with_poison(records: Sequence[Keyed]) -> Sequence[Keyed]:
    return [*records[:100], *((b"t/x0", value) for value in POISON), *records[100:]]


def is_killed(scoring: Scoring) -> None:
    service = scoring.start(DRILL_SLOW=SLOW)
    has_run(service, 3)

    assert service.end(signal.SIGKILL)[0] == -signal.SIGKILL


def fails(scoring: Scoring) -> None:
    service, code = scoring.met("raise:3")

    assert code == 1
    assert any("the fault of a drill" in line for line in service.errors()), service.log.read_text()[-4000:]
    assert await_acknowledged(scoring) <= applied(scoring)


def dies_before_the_watermark(scoring: Scoring) -> None:
    _, code = scoring.met("exit:3")

    assert code == 9
    kept = stored(scoring.settings, scoring.topics)
    assert [n for n, s in kept.states.items() if s.position > kept.watermarks[kept.partition_of[n]].offset]
    assert await_acknowledged(scoring) <= applied(scoring)


def is_told_to_stop(scoring: Scoring, records: int) -> None:
    before = applied(scoring)
    service = scoring.start(DRILL_SLOW=SLOW)
    has_run(service, 3)

    stops_well(service)

    assert before < applied(scoring) < records


def has_run(service: Service, runs: int) -> None:
    eventually(lambda: service.output("run_applied") >= runs, what=f"{runs} runs")


def stops_well(service: Service) -> None:
    code, seconds = service.end()
    assert code == 0
    assert seconds < STOP_WITHIN_SECONDS
    assert service.errors() == []


def applied(scoring: Scoring) -> int:
    return sum(mark.offset + 1 for mark in watermarks(scoring).values())


def await_acknowledged(scoring: Scoring) -> int:
    return sum(committed(scoring).values())


def test_the_group_is_never_beyond_what_is_applied(scoring: Scoring) -> None:
    """A batch is lost between scheduler and worker: later batches are acknowledged, but not applied."""
    records = keyed(long_log(1, 30))
    scoring.feed(records)
    first = scoring.start(DRILL_SLOW=SLOW)
    eventually(lambda: first.output("run_applied") >= 4 and len(committed(scoring)) == PARTITIONS, what="commits")
    first.end(signal.SIGKILL)

    last = scoring.start(DRILL_SLOW=SLOW, DRILL_FAULT="lose:2")

    eventually(lambda: sum(applied_commits(scoring).values()) == len(records), 120, "the end of the log")
    stops_well(last)


def applied_commits(scoring: Scoring) -> dict[int, int]:
    """The group's offsets, of which none is beyond a watermark that is read later."""
    found = committed(scoring)
    marks = watermarks(scoring)
    assert all(offset <= marks[number].offset + 1 for number, offset in found.items()), (found, marks)
    return found


def test_a_state_of_a_newer_version_stops_it_with_a_clear_message(scoring: Scoring) -> None:
    producer = Producer(scoring.settings)
    newer = ChangelogEntry("t/r", 1, bytes([layout.VERSION + 1]) + bytes(80))
    producer.send(scoring.topics.state, newer.key, newer.value, partition=1).get(60)
    producer.close()
    service = scoring.start()

    assert service.process.wait(90) == 1

    message = f"layout {layout.VERSION + 1}, this service knows {layout.VERSION}: upgrade the service"
    assert any(message in line for line in service.errors())
    assert len(list(read_to_end(scoring.settings, [scoring.topics.state]))) == 1


def test_a_second_worker_joins_and_leaves_and_each_sees_only_its_keys(scoring: Scoring) -> None:
    events = long_log(8, 20)
    records, third = keyed(events), len(events) // 3
    first = scoring.start()
    scoring.feed(records[:third])
    eventually(lambda: first.owns(0, 1, 2, 3), what="all partitions")
    with scoring.feeding(records[third : 2 * third], 20, 0.2):
        second = scoring.start(RAPPORT_INSTANCE="")
        share(first, second)
    eventually(lambda: all(values["lag"] == 0 for s in (first, second) for values in s.gauges().values()))

    kept = stored(scoring.settings, scoring.topics)
    seen = {n: values["relationships"] for s in (first, second) for n, values in s.gauges().items()}
    stops_well(second)
    scoring.feed(records[2 * third :])
    scoring.reach(end_of(events))

    assert seen == {n: sum(of == n for of in kept.partition_of.values()) for n in range(PARTITIONS)}
    scoring.await_clock(end_of(events))
    stops_well(first)
    compare(scoring)


def test_time_that_passed_while_nothing_ran_is_caught_up_through_a_kill(scoring: Scoring) -> None:
    events = long_log(4, 20)
    events = moved(events, datetime.now(UTC) - timedelta(days=8) - end_of(events))
    scoring.feed(keyed(events))
    began = time.time()
    killed = scoring.start(RAPPORT_CLOCK="wall", DRILL_SLOW=SLOW)
    eventually(lambda: clocks(killed) and max(clocks(killed)) > end_of(events).timestamp() + 86_400)

    killed.end(9)
    service = scoring.start(RAPPORT_CLOCK="wall")
    eventually(lambda: len(clocks(service)) == PARTITIONS and min(clocks(service)) > began - 60, 90, "now")
    stops_well(service)

    found = compare(scoring)
    assert found.rows > 500
    read = [SCORE_EVENT.validate_json(r.value or b"") for r in read_to_end(scoring.settings, [scoring.topics.scores])]
    advanced = {event.data.partition: event.data.clock for event in read if isinstance(event, ClockAdvanced)}
    assert len(advanced) == PARTITIONS
    assert min(advanced.values()).timestamp() > began - 60


def share(first: Service, second: Service) -> None:
    """Returns when both own two partitions, none in common."""

    def shared() -> bool:
        ended = [service for service in (first, second) if service.process.poll() is not None]
        assert not ended, [service.errors() for service in ended]
        assigned = [set(service.gauges()) for service in (first, second) if service.is_ready()]
        return [len(numbers) for numbers in assigned] == [2, 2] and not assigned[0] & assigned[1]

    eventually(shared, 120, "two partitions each")


def clocks(service: Service) -> list[float]:
    return [values["clock_seconds"] for values in service.gauges().values() if "clock_seconds" in values]
