"""Delayed refusals: how many of one sender's refused requests wait for their response at once."""

import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.flow.shared import IngestMetrics
from services.ingest.gateway import requests
from services.ingest.gateway.limits import BURST_SECONDS
from services.ingest.gateway.requests import (
    LONGEST_PAUSE_SECONDS,
    MAX_BYTES,
    MAX_PAUSED_OF_ONE,
    REFUSED_PER_SECOND,
    RequestErrors,
)
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError

# What is refused before anybody waits: a mebibyte each.
ALLOWED = REFUSED_PER_SECOND * BURST_SECONDS * 1024 // MAX_BYTES


@dataclass
class Connection:
    """What an answer asks of the connection that its request came on."""

    address: str = "192.0.2.1"
    received: int = 0
    is_decided: list[bool] = field(default_factory=list)

    def decided(self) -> None:
        self.is_decided.append(True)


async def refused() -> Response:
    raise ProblemError(400, "no_event_taken", "none of the events was taken")


def refusing(errors: RequestErrors, token: str) -> asyncio.Task[Response]:
    headers = [(b"content-length", str(MAX_BYTES).encode())]
    request = Request({"type": "http", "headers": headers, "state": {CONNECTION: Connection()}})
    return asyncio.create_task(errors.answer(request, refused(), {"tenant": "acme", "token": token}))


def closed(answers: list[Response]) -> int:
    return sum(answer.headers.get("connection") == "close" for answer in answers)


def test_few_of_one_sender_wait_at_once_and_its_further_ones_lose_their_connection() -> None:
    async def scenario() -> tuple[list[Response], list[Response], float]:
        errors = RequestErrors(IngestMetrics(CollectorRegistry()))
        free = [await refusing(errors, "often") for _ in range(ALLOWED)]
        began = asyncio.get_running_loop().time()
        many = await asyncio.gather(*(refusing(errors, "often") for _ in range(3 * MAX_PAUSED_OF_ONE)))
        return free, many, asyncio.get_running_loop().time() - began

    free, many, seconds = asyncio.run(scenario())

    assert closed(free) == 0
    assert closed(many) == 2 * MAX_PAUSED_OF_ONE
    assert seconds >= 1


def test_few_of_all_senders_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_PAUSED", 30)

    async def scenario() -> list[Response]:
        errors = RequestErrors(IngestMetrics(CollectorRegistry()))
        for sender in ("one", "two"):
            for _ in range(ALLOWED):
                await refusing(errors, sender)
        waiting = [refusing(errors, sender) for sender in ("one", "two") for _ in range(MAX_PAUSED_OF_ONE)]
        return await asyncio.wait_for(asyncio.gather(*waiting), 2 * LONGEST_PAUSE_SECONDS)

    assert closed(asyncio.run(scenario())) == 2 * MAX_PAUSED_OF_ONE - 30
