"""Whatever dies or stands still in mid-stream: nothing is lost, nothing counted twice, every alert arrives."""

import os
import signal
import time
from collections import defaultdict

import pytest

from deploy.local.data_folder import Clock
from deploy.local.services import NAMES
from tests.journeys.streaming import Streaming, finish, streaming
from tests.journeys.system import System, system

SESSION = {"RAPPORT_SCORING_SESSION_SECONDS": "5"}


def test_kill_9_of_every_service_in_mid_stream_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        system(tmp_path_factory.mktemp("killed"), Clock.LOG, **SESSION) as whole,
        streaming(whole, seconds=16, every=2) as stream,
    ):
        for name in ("ingest", "scoring", "warehouse", "notify"):
            time.sleep(3)
            assert stream.going_on, "the stream ended too early to be in its middle"
            whole.stack.service(name).kill()

        finish(whole, stream)

        _nothing_is_lost_or_doubled(whole, stream)


def test_a_service_that_stands_still_for_10_seconds_stops_no_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    _stand_still(tmp_path_factory, seconds=10, every=4)


@pytest.mark.drill
def test_a_service_that_stands_still_for_a_minute_stops_no_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    _stand_still(tmp_path_factory, seconds=60, every=1)


def _stand_still(tmp_path_factory: pytest.TempPathFactory, seconds: float, every: int) -> None:
    with (
        system(tmp_path_factory.mktemp("stopped"), Clock.LOG, **SESSION) as whole,
        streaming(whole, seconds=4.5 * seconds, every=every) as stream,
    ):
        for name in NAMES:
            assert stream.going_on
            _freeze(whole, name, seconds)

        finish(whole, stream)

        _nothing_is_lost_or_doubled(whole, stream)


def _freeze(whole: System, name: str, seconds: float) -> None:
    """A stopped process answers nothing; the others are ready all the while."""
    frozen = whole.stack.service(name).pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        time.sleep(seconds)
        others = {other: whole.stack.service(other).probe().state for other in NAMES if other != name}
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert set(others.values()) == {"ready"}, (name, others)


def _nothing_is_lost_or_doubled(whole: System, stream: Streaming) -> None:
    assert stream.said == []
    assert whole.ask("SELECT count(), uniqExact(id) FROM mentoring.events FINAL") == [[len(stream.events)] * 2]
    assert whole.ask("SELECT count() FROM mentoring.dead_letter") == [[0]]
    assert whole.verify().strip().endswith("equal")
    assert "stale" not in whole.verify()
    decided = {tuple(row) for row in whole.ask("SELECT dedup_key, transition FROM mentoring.alert_log FINAL")}
    ids = defaultdict(set)
    for call in whole.receiver.calls:
        told = call.verified()["data"]
        ids[told["dedup_key"], told["transition"]].add(call.webhook_id)
    assert decided
    assert decided == ids.keys(), "every alert arrived"
    assert all(len(found) == 1 for found in ids.values()), "repeats carry the same webhook id"
