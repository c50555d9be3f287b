"""A consumer that answers no more: Faust's own, whose thread was never started, without a broker."""

import asyncio
from types import SimpleNamespace

import pytest
from faust.types import TP

from services.runtime.health import Health
from services.scoring.flow.faust import application
from services.scoring.flow.liveness import NotAliveError
from services.scoring.flow.settings import ScoringSettings
from services.scoring.topics import Topics


def test_partitions_that_are_taken_while_nobody_tells_where_the_log_begins_end_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(application, "STALLED_SECONDS", 0.2)
    topics = Topics()

    async def take() -> None:
        app = application.Application(ScoringSettings(), Health(), topics, partitions=1).app
        # Whatever it is asked waits for its thread.
        app.consumer._thread._consumer = SimpleNamespace(beginning_offsets=None)
        monkeypatch.setattr(app.assignor, "assigned_actives", lambda: {TP(topics.events, 0)})
        try:
            await asyncio.wait_for(app.on_rebalance_complete.send(), 10)
        finally:
            app.consumer._thread.thread_loop.close()

    with pytest.raises(NotAliveError, match="the broker has told no offsets of the log for"):
        asyncio.run(take())
