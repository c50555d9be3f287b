"""Whatever dies or stands still in mid-stream: nothing is lost, nothing counted twice, every alert arrives."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.data_folder import ClockMode
from deploy.local.services import NAMES
from tests.conftest import WithTables
from tests.journeys.streaming import Streaming, finish, streaming
from tests.journeys.system import DERIVED_SELDOM, System, system
from tests.receiver import eventually

SESSION = {"RAPPORT_SCORING_SESSION_SECONDS": "5", **DERIVED_SELDOM}
# A machine that is busy with other tests may take several times what an idle one does.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class InMidStream:
    whole: System
    stream: Streaming


@contextmanager
def in_mid_stream(data: Path, seconds: float, every: int) -> Iterator[InMidStream]:
    with system(data, ClockMode.LOG, **SESSION) as whole, streaming(whole, seconds, every) as stream:
        yield InMidStream(whole, stream)


@pytest.fixture(scope="module")
def running(with_tables: WithTables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InMidStream]:
    """One stream, through which all goes wrong in turn."""
    data = tmp_path_factory.mktemp("failures")
    with_tables(data / "clickhouse")
    with in_mid_stream(data, seconds=60, every=16) as found:
        yield found


def test_every_service_that_is_killed_with_kill_9_in_mid_stream_is_back_by_itself(running: InMidStream) -> None:
    for name in NAMES:
        time.sleep(3)
        assert running.stream.going_on
        running.whole.stack.service(name).kill()

    _until_ready(running.whole, *NAMES)


def test_a_service_that_stands_still_for_10_seconds_stops_no_other(running: InMidStream) -> None:
    _stand_still_in_turn(running, seconds=10)


def test_after_all_that_nothing_is_lost_or_doubled_and_every_alert_has_arrived(running: InMidStream) -> None:
    finish(running.whole, running.stream)

    _nothing_is_lost_or_doubled(running)


@pytest.mark.drill
def test_a_service_that_stands_still_for_a_minute_stops_no_other(tmp_path: Path) -> None:
    with in_mid_stream(tmp_path, seconds=270, every=1) as running:
        _stand_still_in_turn(running, seconds=60)

        finish(running.whole, running.stream)

        _nothing_is_lost_or_doubled(running)


def _stand_still_in_turn(running: InMidStream, seconds: float) -> None:
    for name in NAMES:
        assert running.stream.going_on
        _freeze(running.whole, name, seconds)
        _until_ready(running.whole, *NAMES)


def _freeze(whole: System, name: str, seconds: float) -> None:
    """A stopped process answers nothing; the others are ready all the same."""
    frozen = whole.stack.service(name).pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        time.sleep(seconds)
        _until_ready(whole, *(other for other in NAMES if other != name))
    finally:
        os.kill(frozen, signal.SIGCONT)


def _until_ready(whole: System, *names: str) -> None:
    for name in names:
        service = whole.stack.service(name)
        eventually(lambda: service.probe().state == "ready", what=f"{name}, ready,")  # noqa: B023 (called at once)


def _nothing_is_lost_or_doubled(running: InMidStream) -> None:
    whole, stream = running.whole, running.stream
    assert stream.said == []
    assert whole.ask("SELECT count(), uniqExact(id) FROM mentoring.events FINAL") == [[len(stream.events)] * 2]
    assert whole.ask("SELECT count() FROM mentoring.dead_letter") == [[0]]
    # A batch that the gateway had half written when it was killed comes twice, and what is older than the bounded
    # memory of a pair cannot be told from news: such a pair waits for a heal.
    assert whole.verify().strip().endswith("equal")
    whole.stack.run("scoring", "heal")
    verified = whole.verify()
    assert verified.strip().endswith("equal")
    assert "stale" not in verified
    decided = {tuple(row) for row in whole.ask("SELECT dedup_key, transition FROM mentoring.alert_log FINAL")}
    ids = defaultdict(set)
    for call in whole.receiver.calls:
        told = call.verified()["data"]
        ids[told["dedup_key"], told["transition"]].add(call.webhook_id)
    assert decided
    assert decided == ids.keys(), "every alert arrived"
    assert all(len(found) == 1 for found in ids.values()), "repeats carry the same webhook id"
