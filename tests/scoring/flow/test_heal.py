"""Facts that come 400 days late: stale relationships, healed while the service runs, on the real broker and engine."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import OfRelationship
from services.scoring.flow.heal import HealEnvironment, NoStateError, heal
from services.scoring.flow.log_reading import stored
from tests.receiver import eventually
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import end_of, keyed, long_log
from tests.scoring.flow.test_drills import stops_well
from tests.scoring.flow.with_warehouse import storing, table_of, truth_of

LATE = timedelta(days=400)


@pytest.fixture
def environment(scoring: Scoring, migrated_clickhouse: LocalClickHouse) -> Iterator[HealEnvironment]:
    with storing(scoring, migrated_clickhouse) as found:
        yield found


def test_what_is_stale_is_healed_while_the_service_runs_and_stays_healed(
    scoring: Scoring, environment: HealEnvironment
) -> None:
    events = with_late_facts(long_log(31, 20), 12)
    half = len(events) // 2
    service = scoring.start()
    scoring.feed(keyed(events[:half]))
    scoring.reach(events[half].recordedtime)
    scoring.await_clock(events[half].recordedtime)
    was_stale = stale(environment)

    report = heal(environment, (), output)

    assert set(report.healed) == set(was_stale) != set()
    assert (list(report.again), list(report.left)) == ([], [])
    assert stale(environment) == []
    assert table_of(environment) == truth_of(environment)
    scoring.feed(keyed(events[half:]))
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    stops_well(service)
    again = scoring.start()
    scoring.await_clock(end_of(events))
    stops_well(again)
    assert heal(environment, (), output).left == []
    assert stale(environment) == []
    assert table_of(environment) == truth_of(environment)


def test_a_heal_that_was_cut_off_is_finished_by_the_next_which_repeats_nothing(
    scoring: Scoring, environment: HealEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scoring.flow.heal.HEAL_BATCH", 2)
    monkeypatch.setattr("services.scoring.flow.heal.READ_BATCH", 3)
    was_stale = applied(scoring, environment, with_late_facts(long_log(32, 16), 12))

    with pytest.raises(KeyboardInterrupt):
        heal(environment, (), CutOff(after=2))
    left = stale(environment)
    report = heal(environment, (), output)

    assert 0 < len(left) < len(was_stale)
    assert sorted(report.healed) == left
    assert table_of(environment) == truth_of(environment)
    assert heal(environment, (), output).healed == {}


def test_only_the_relationships_asked_for_are_healed(scoring: Scoring, environment: HealEnvironment) -> None:
    one, *others = applied(scoring, environment, with_late_facts(long_log(33, 12), 8))

    report = heal(environment, [one], output)

    assert list(report.healed) == [one]
    assert stale(environment) == others
    with pytest.raises(NoStateError, match="there is no relationship t/nobody"):
        heal(environment, ["t/nobody"], output)


def test_what_scoring_has_not_finished_applying_is_left_until_it_has(
    scoring: Scoring, environment: HealEnvironment
) -> None:
    events = long_log(34, 4)
    applied(scoring, environment, events)
    late = moved_back(next(event for event in reversed(events) if event.type == "mentoring.message.sent.v1"))
    scoring.feed(keyed([late]))
    assert scoring.met("exit:1")[1] == 9

    report = heal(environment, (), output)
    scoring.reach(end_of(events) + timedelta(days=1))
    service = scoring.start()
    scoring.await_clock(end_of(events) + timedelta(days=1))
    stops_well(service)

    assert report.left == [late.partitionkey]
    assert list(heal(environment, (), output).healed) == [late.partitionkey]
    assert table_of(environment) == truth_of(environment)


def test_a_heal_beside_a_stream_of_late_facts_leaves_nothing_wrong(
    scoring: Scoring, environment: HealEnvironment
) -> None:
    events = with_late_facts(long_log(35, 40), 30)
    service = scoring.start()
    healed = 0
    with scoring.feeding(keyed(events), 10, 0.3):
        eventually(lambda: service.output("run_applied") > 3, what="the first runs")
        for _ in range(3):
            healed += len(heal(environment, (), output).healed)
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    stops_well(service)

    last = heal(environment, (), output)

    assert healed > 0
    assert last.left == []
    assert stale(environment) == []
    assert table_of(environment) == truth_of(environment)


def applied(scoring: Scoring, environment: HealEnvironment, events: Sequence[OfRelationship]) -> list[str]:
    """The relationships that are stale when all events are applied and the service has stopped."""
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    service = scoring.start()
    scoring.await_clock(end_of(events))
    stops_well(service)
    return stale(environment)


def with_late_facts(events: Sequence[OfRelationship], count: int) -> list[OfRelationship]:
    """Some of them happened 400 days before they were recorded."""
    late = set(Random(1).sample(range(len(events)), count))
    return [moved_back(event) if number in late else event for number, event in enumerate(events)]


def moved_back(event: OfRelationship) -> OfRelationship:
    return event.model_copy(update={"id": f"{event.id}-late", "time": event.time - LATE})


def stale(environment: HealEnvironment) -> list[str]:
    return stored(environment.settings, environment.topics).stale


def output(doing: str, done: int, of: int) -> None:
    assert doing
    assert 0 <= done <= of or of == 0


class CutOff:
    """A person loses patience."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, doing: str, done: int, of: int) -> None:
        output(doing, done, of)
        self._left -= doing == "healing"
        if self._left < 0:
            raise KeyboardInterrupt
