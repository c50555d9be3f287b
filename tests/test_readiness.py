"""Every service of the log says that it is not ready, and why, while one of its loops hangs, and that it is ready again
when the loop turns."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from services.notify.board.service import serve_board
from services.notify.service import serve
from services.notify.settings import NotifySettings
from services.runtime import health
from services.runtime.kafka import Reader
from tests import plain_http
from tests.ingest.conftest import make_token, make_topics, running_gateway
from tests.notify.conftest import notify_on
from tests.receiver import Receiver, eventually, receiving

PATIENCE_SECONDS = 60.0


class HangingPolls:
    """While `begin` was called last, no poll of any reader of this process returns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open, poll = threading.Event(), Reader.poll
        self._open.set()

        def hanging(reader: Reader, *given: Any) -> Any:  # noqa: ANN401
            self._open.wait(PATIENCE_SECONDS)
            return poll(reader, *given)

        monkeypatch.setattr(Reader, "poll", hanging)

    def begin(self) -> None:
        self._open.clear()

    def end(self) -> None:
        self._open.set()


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingPolls]:
    # A machine that is busy turns no loop for a second or two: a test waits until it is named, and until it turns.
    monkeypatch.setattr(health, "STALLED_SECONDS", 3.0)
    found = HangingPolls(monkeypatch)
    yield found
    found.end()


def readiness(port: int) -> tuple[int, str]:
    try:
        answer = plain_http.get(f"http://127.0.0.1:{port}/readyz", timeout=30)
    except httpx.TransportError:
        return 0, ""
    return answer.status_code, answer.json()["detail"]


def names_the_loops_that_hang(port: int, polls: HangingPolls, *loops: str) -> None:
    eventually(lambda: readiness(port)[0] == 200, PATIENCE_SECONDS, "the start")

    polls.begin()

    for loop in loops:
        eventually(
            lambda loop=loop: readiness(port)[0] == 503 and f"`{loop}` has not turned" in readiness(port)[1],  # type: ignore[misc]
            PATIENCE_SECONDS,
            f"the word about {loop}",
        )
    polls.end()
    eventually(lambda: readiness(port)[0] == 200, PATIENCE_SECONDS, "its return")


@contextmanager
def running(serve_with: Callable[[threading.Event], None]) -> Iterator[None]:
    stop, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            serve_with(stop)
        except BaseException as failure:  # noqa: BLE001 (raised again by the assertion below)
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
    assert not failures, failures


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def test_ingest_of_which_no_loop_turns(local_kafka: LocalKafka, polls: HangingPolls) -> None:
    secret = make_token(make_topics(local_kafka.bootstrap))

    with running_gateway(local_kafka.bootstrap, secret, ingest_parts=("projector",)) as gateway:
        port = gateway.settings.ingest_health_port
        names_the_loops_that_hang(port, polls, "gateway: tokens", "projector: batches")


def test_notify_of_which_no_loop_turns(
    local_kafka: LocalKafka, polls: HangingPolls, receiver: Receiver, tmp_path: Path
) -> None:
    with notify_on(local_kafka, receiver, tmp_path) as notify:
        settings = NotifySettings(kafka=local_kafka.bootstrap, notify_health_port=free_port(set()))

        with running(lambda stop: serve(settings, notify.names, stop)):
            names_the_loops_that_hang(settings.notify_health_port, polls, "rounds", "leadership")


def test_a_board_of_which_no_loop_turns(
    local_kafka: LocalKafka, polls: HangingPolls, receiver: Receiver, tmp_path: Path
) -> None:
    """Its pages would show what was true, under the time of now."""
    port, health_port = free_port(set()), free_port(set())
    with notify_on(local_kafka, receiver, tmp_path) as notify:
        settings = NotifySettings(
            kafka=local_kafka.bootstrap, notify_board_port=port, notify_board_health_port=health_port
        )

        with running(lambda stop: serve_board(settings, notify.names, stop)):
            names_the_loops_that_hang(settings.notify_board_health_port, polls, f"follower of {notify.names.alerts}")
