"""The in-flight limiter: bytes are counted, and released whatever the outcome."""

import asyncio
import threading
from concurrent.futures import Future

import pytest

from services.ingest.flow.in_flight import UnavailableError
from services.ingest.gateway.limits import InFlightLimiter, OnStarted
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
def test_nothing_is_in_flight_when_sending_raises(raised: BaseException, seen: type[BaseException]) -> None:
    in_flight = InFlightLimiter(1_000, 1.0, threading.Event())

    async def send(_: OnStarted) -> Future[None]:
        raise raised

    for _ in range(3):
        with pytest.raises(seen):
            asyncio.run(in_flight.write(600, send))

    assert in_flight.outstanding == 0


@pytest.mark.parametrize("raised", [KafkaError("away"), asyncio.CancelledError()])
def test_what_was_handed_over_is_under_way_until_it_is_settled_however_sending_ended(raised: BaseException) -> None:
    """Else senders who go away in the midst of it could put any number of bytes before the broker."""
    in_flight, handed_over = InFlightLimiter(1_000, 1.0, threading.Event()), Future[None]()

    async def send(on_started: OnStarted) -> Future[None]:
        on_started(handed_over)
        raise raised

    with pytest.raises((UnavailableError, asyncio.CancelledError)):
        asyncio.run(in_flight.write(600, send))

    assert in_flight.outstanding == 600
    with pytest.raises(UnavailableError, match="too many events"):
        asyncio.run(in_flight.write(600, send))
    handed_over.set_result(None)
    assert in_flight.outstanding == 0
