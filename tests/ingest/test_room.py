"""What is under way is counted, and counted off whatever happens to it."""

import asyncio
import threading
from concurrent.futures import Future

import pytest

from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.intake import InFlightLimiter
from services.runtime.kafka import KafkaError


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (KafkaError("away"), UnavailableError),
        (RuntimeError("a fault of ours"), RuntimeError),
        (ValueError("a key that is none"), ValueError),
        (asyncio.CancelledError(), asyncio.CancelledError),
    ],
)
def test_nothing_is_under_way_when_sending_raises(raised: BaseException, seen: type[BaseException]) -> None:
    in_flight = InFlightLimiter(1_000, 1.0, threading.Event())

    async def send() -> Future[None]:
        raise raised

    for _ in range(3):
        with pytest.raises(seen):
            asyncio.run(in_flight.written(600, send))

    assert in_flight.outstanding == 0
