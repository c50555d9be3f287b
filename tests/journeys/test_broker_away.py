"""A broker that stands still for a minute: the supervisor gives nothing up, and nothing is lost or doubled."""

import os
import signal
import time

import pytest

from deploy.local.data_folder import ClockMode
from tests.journeys.streaming import finish, streaming
from tests.journeys.system import system

AWAY_SECONDS = 60
# The sessions of all services pass meanwhile.
SESSION = {"RAPPORT_SCORING_SESSION_SECONDS": "15", "RAPPORT_INGEST_DELIVERY_SECONDS": "15"}


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_a_broker_that_stands_still_for_a_minute_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        system(tmp_path_factory.mktemp("away"), ClockMode.LOG, **SESSION) as whole,
        streaming(whole, seconds=20, every=4) as stream,
    ):
        kafka = whole.stack.kafka
        assert kafka is not None
        time.sleep(5)
        os.kill(kafka.pid, signal.SIGSTOP)
        time.sleep(AWAY_SECONDS)
        os.kill(kafka.pid, signal.SIGCONT)

        finish(whole, stream)

        assert not whole.stack.failed
        assert stream.said == []
        assert whole.ask("SELECT count(), uniqExact(id) FROM mentoring.events FINAL") == [[len(stream.events)] * 2]
        assert whole.verify().strip().endswith("equal")
