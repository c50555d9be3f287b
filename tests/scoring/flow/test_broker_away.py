"""A broker that goes away and comes back: scoring comes back by itself, and does not look broken meanwhile."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.supervisor import GiveUp, after_crash
from tests.conftest import JARS_CACHE
from tests.receiver import STOP_WITHIN_SECONDS, eventually
from tests.scoring.flow.comparison import compare
from tests.scoring.flow.harness import Scoring, Service
from tests.scoring.flow.long_log import end_of, keyed, long_log
from tests.scoring.flow.prepared import prepared
from tests.scoring.flow.test_drills import has_run

AWAY_SECONDS = 60
SESSION = {"RAPPORT_SCORING_SESSION_SECONDS": "15"}


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of its own: the others' tests need theirs."""
    with LocalKafka(KafkaConfig(data=tmp_path / "kafka", cache=JARS_CACHE)) as found:
        yield found


@pytest.fixture
def scoring(kafka: LocalKafka, tmp_path: Path) -> Iterator[Scoring]:
    with prepared(kafka.bootstrap, tmp_path) as found:
        yield found


def test_started_before_its_broker_it_waits(kafka: LocalKafka, scoring: Scoring) -> None:
    events = long_log(41, 20)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    kafka.stop()
    service = scoring.start()
    time.sleep(5)
    assert service.process.poll() is None

    kafka.start()

    scoring.await_clock(end_of(events))
    assert service.end()[0] == 0
    compare(scoring)


def test_told_to_stop_while_it_waits_for_its_broker_it_ends_at_once(kafka: LocalKafka, scoring: Scoring) -> None:
    kafka.stop()
    service = scoring.start()
    eventually(service.answers, what="a service that waits")

    code, seconds = service.end()

    assert code == 0
    assert seconds < STOP_WITHIN_SECONDS


@pytest.mark.drill
@pytest.mark.timeout(400)
@pytest.mark.parametrize("session", [SESSION, {}], ids=["a usual session", "a short one"])
def test_a_broker_that_was_away_for_a_minute_finds_it_at_work(
    kafka: LocalKafka, scoring: Scoring, session: dict[str, str]
) -> None:
    events = long_log(42, 100)
    records = keyed(events)
    scoring.feed(records[: len(records) // 2])
    supervised = Supervised(lambda: scoring.start(DRILL_SLOW="0.02", **session))
    has_run(supervised.service, 3)

    kafka.kill()
    supervised.watch(AWAY_SECONDS)
    kafka.start()
    scoring.feed(records[len(records) // 2 :])
    scoring.reach(end_of(events))
    supervised.watch(5)

    scoring.await_clock(end_of(events))
    assert supervised.service.end()[0] == 0
    compare(scoring)


class Supervised:
    """Starts the service again whenever it ends, as the local supervisor does, and fails where that gives up."""

    def __init__(self, start: Callable[[], Service]) -> None:
        self._start = start
        self._crashes: tuple[float, ...] = ()
        self.service = start()

    def watch(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.2)
            if self.service.process.poll() is not None:
                decision = after_crash(self._crashes, time.monotonic())
                assert not isinstance(decision, GiveUp), decision.reason
                self._crashes, self.service = decision.crashes, self._start()
