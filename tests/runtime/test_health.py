"""The health endpoint of each process answers everyone, whatever other clients do."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.local.ports import free_port
from services.runtime import health as module
from services.runtime.health import Health, PartsReadiness, State, serve_health
from tests import plain_http
from tests.receiver import eventually

PATIENCE_SECONDS = 30.0
"""For operations that take a slow machine one or two seconds."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 1.0)
    number = free_port(set())
    with serve_health(Health(), "127.0.0.1", number):
        yield number


def threads() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def test_idle_connections_lock_nobody_out_and_hold_no_threads(port: int) -> None:
    crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(200)]

    answer = plain_http.get(f"http://127.0.0.1:{port}/healthz", timeout=5)

    assert answer.status_code == 200
    assert threads() <= module.MAX_REQUESTS + 1
    eventually(lambda: threads() == 0, PATIENCE_SECONDS)
    for one in crowd:
        one.close()


def test_a_request_that_trickles_in_is_ended(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        began = time.monotonic()
        connection.settimeout(0.1)
        while time.monotonic() - began < PATIENCE_SECONDS:
            try:
                connection.sendall(b"a")
                if not connection.recv(100):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break

    assert time.monotonic() - began < PATIENCE_SECONDS, "it was never ended"


def test_what_is_asked_is_answered(port: int) -> None:
    found = {
        path: plain_http.get(f"http://127.0.0.1:{port}{path}").status_code for path in ("/healthz", "/readyz", "/x")
    }

    assert found == {"/healthz": 200, "/readyz": 503, "/x": 404}


class SlowHealth(Health):
    """The health of the process. Without ordering, the first report would be applied last."""

    def __init__(self) -> None:
        super().__init__()
        self.is_held, self.first, self.go_on = False, threading.Event(), threading.Event()

    def report(self, state: State, detail: str = "") -> None:
        if self.is_held and not self.first.is_set():
            self.first.set()
            self.go_on.wait(1.0)
        super().report(state, detail)


def test_two_parts_that_report_at_the_same_time_are_both_counted() -> None:
    """A part reports only changes, so a lost report is not repeated."""
    whole = SlowHealth()
    readiness = PartsReadiness(whole)
    one, other = readiness.part("one"), readiness.part("other")
    whole.is_held = True
    slow = threading.Thread(target=one.report, args=("ready",))
    slow.start()
    assert whole.first.wait(PATIENCE_SECONDS)
    quick = threading.Thread(target=other.report, args=("ready",))
    quick.start()
    quick.join(0.2)
    whole.go_on.set()
    for thread in (slow, quick):
        thread.join(PATIENCE_SECONDS)

    assert whole.condition.state == "ready"
