"""Heal, replay and repartition exclude each other, on the real broker: of two that run at once at most one
continues."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

import pytest

from deploy.local.clickhouse import LocalClickHouse
from services.runtime.kafka import Reader
from services.scoring.flow.heal import HealEnvironment, heal
from services.scoring.flow.maintenance import (
    EXCLUSIVE,
    Maintenance,
    MaintenanceLostError,
    MaintenanceRefusedError,
    exclusive_maintenance,
)
from services.scoring.flow.replay.replay import origin
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import long_log
from tests.scoring.flow.test_heal import applied, output, with_late_facts
from tests.scoring.flow.test_replay import replayed
from tests.scoring.flow.with_warehouse import storing, table_of, truth_of


@pytest.fixture
def environment(scoring: Scoring, migrated_clickhouse: LocalClickHouse) -> Iterator[HealEnvironment]:
    with storing(scoring, migrated_clickhouse) as found:
        yield found


def group(scoring: Scoring) -> str:
    return f"{scoring.topics.group}-maintenance"


@pytest.mark.parametrize("second", ["heal", "replay", "grow"])
def test_a_second_one_is_refused_with_the_name_of_the_first_and_works_afterwards(scoring: Scoring, second: str) -> None:
    state = scoring.topics.state
    with exclusive_maintenance(scoring.settings, state, "heal", group(scoring)) as first:
        with (
            pytest.raises(MaintenanceRefusedError, match=rf"^{second} waits for nobody: heal on \S+, process \d+ is"),
            exclusive_maintenance(scoring.settings, state, second, group(scoring)),
        ):
            pytest.fail("two of them work")
        first.check()

    with exclusive_maintenance(scoring.settings, state, second, group(scoring)) as held:
        held.check()


def test_who_shares_the_partitions_with_another_goes_on_no_more(scoring: Scoring) -> None:
    """As two do that begin in the same instant: neither has seen the other."""
    state = scoring.topics.state
    with (
        exclusive_maintenance(scoring.settings, state, "heal", group(scoring)) as first,
        closing(Reader(scoring.settings, group(scoring))) as other,
    ):
        first.check()
        stop = threading.Event()
        other.subscribe([state])
        joining = threading.Thread(target=_poll_until, args=(other, stop))
        joining.start()
        try:
            with pytest.raises(MaintenanceLostError, match="another maintenance command has begun"):
                _checks_for_a_while(first)
        finally:
            stop.set()
            joining.join(10)


def _checks_for_a_while(held: Maintenance) -> None:
    for _ in range(200):
        held.check()
        time.sleep(0.1)


def _poll_until(reader: Reader, stop: threading.Event) -> None:
    while not stop.is_set():
        reader.poll(0.1)


@dataclass
class Racer:
    """One of several that begin at once."""

    work: Callable[[], object]
    problem: Exception | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.work()
        except Exception as problem:  # noqa: BLE001 (looked at by the test)
            self.problem = problem


def test_heals_and_a_replay_that_begin_at_once_leave_the_truth(scoring: Scoring, environment: HealEnvironment) -> None:
    assert applied(scoring, environment, with_late_facts(long_log(61, 12), 10)) != []

    def exclusively(name: str, work: Callable[[HealEnvironment], object]) -> Callable[[], None]:
        def run() -> None:
            with exclusive_maintenance(environment.settings, environment.topics.state, name, group(scoring)) as held:
                work(replace(environment, check=held.check))

        return run

    racers = [
        Racer(exclusively("heal", lambda mine: heal(mine, (), output))),
        Racer(exclusively("heal", lambda mine: heal(mine, (), output))),
        Racer(exclusively("replay", lambda mine: replayed(mine, origin(mine, "kafka")))),
    ]
    for racer in racers:
        racer.thread.start()
    for racer in racers:
        racer.thread.join(120)

    assert not [racer.problem for racer in racers if racer.problem and not isinstance(racer.problem, EXCLUSIVE)]
    with exclusive_maintenance(environment.settings, environment.topics.state, "replay", group(scoring)):
        replayed(environment, origin(environment, "kafka"))
    assert heal(environment, (), output).left == []
    assert table_of(environment) == truth_of(environment)
