"""Several gateway processes on one port: they serve, become ready and end as one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.ports import free_port
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import STRUCTURED, event, make_token
from tests.receiver import STOP_WITHIN_SECONDS, eventually

ROOT = Path(__file__).parents[2]
COUNT = 2
LOOKED_AT_SECONDS = 2.0


@dataclass
class Parent:
    running: subprocess.Popen[bytes]
    port: int
    health: int
    log: Path

    def condition(self) -> dict[str, Any]:
        try:
            return dict(plain_http.get(f"http://127.0.0.1:{self.health}/readyz", timeout=30).json())
        except httpx.TransportError:
            return {"state": "away"}

    def logged(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def pids(self) -> list[int]:
        return next(line["pids"] for line in self.logged("serving") if "pids" in line)


@contextmanager
def parent(broker: Settings, folder: Path) -> Iterator[Parent]:
    """Ready."""
    port, health, log = free_port(set()), _free_row(), folder / "log"
    environment = {
        "RAPPORT_KAFKA": broker.kafka,
        "RAPPORT_INGEST_PORT": str(port),
        "RAPPORT_INGEST_HEALTH_PORT": str(health),
        "RAPPORT_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "services.cli", "ingest", "serve", "--workers", str(COUNT)]
    with log.open("wb") as file:
        running = subprocess.Popen(command, env=os.environ | environment, stderr=file, cwd=ROOT)
    one = Parent(running, port, health, log)
    try:
        eventually(lambda: running.poll() is not None or one.condition()["state"] == "ready")
        yield one
    finally:
        # Its workers end with it.
        running.kill()
        running.wait(5)


def _free_row() -> int:
    """A port that is free with those of the workers behind it."""
    while True:
        first = free_port(set())
        if all(_is_free(first + number) for number in range(1, COUNT + 1)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _posted(url: str, secret: str) -> int:
    """On a connection of its own."""
    headers = {"authorization": f"Bearer {secret}", "content-type": STRUCTURED}
    return plain_http.post(url, content=json.dumps(event()).encode(), headers=headers, timeout=30).status_code


def test_workers_share_one_port_tell_of_all_on_one_health_port_and_end_in_time(
    broker: Settings, tmp_path: Path
) -> None:
    secret = make_token(broker)
    with parent(broker, tmp_path) as one:
        statuses = {_posted(f"http://127.0.0.1:{one.port}/v1/events", secret) for _ in range(20)}
        detail = one.condition()["detail"]
        counted = [
            plain_http.get(f"http://127.0.0.1:{one.health + n}/metrics", timeout=30).text for n in range(1, COUNT + 1)
        ]
        pids = one.pids()
        used = _cpu_seconds(one.running.pid)
        time.sleep(LOOKED_AT_SECONDS)
        used = _cpu_seconds(one.running.pid) - used

        began = time.monotonic()
        one.running.send_signal(signal.SIGTERM)

        assert (one.running.wait(90), time.monotonic() - began) < (0, STOP_WITHIN_SECONDS)
        assert statuses == {202}
        assert "worker 1: " in detail
        assert "worker 2: " in detail
        assert sum(_recorded(text) for text in counted) == 20
        assert not any(_lives(pid) for pid in pids)
        # Who only watches and asks is no load: each question once took 25 ms.
        assert used < LOOKED_AT_SECONDS / 10


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _recorded(metrics: str) -> float:
    start = 'rapport_ingest_events_total{outcome="recorded",way="http"} '
    return sum(float(line.removeprefix(start)) for line in metrics.splitlines() if line.startswith(start))


def test_a_worker_that_dies_ends_all_and_the_reason_is_printed(broker: Settings, tmp_path: Path) -> None:
    with parent(broker, tmp_path) as one:
        first, second = one.pids()

        os.kill(second, signal.SIGKILL)

        assert one.running.wait(90) == 1
        assert not _lives(first)
        (told,) = one.logged("ingest_failed")
        assert "worker 2 ended with exit code -9" in told["error"]


def test_workers_end_when_their_parent_has_died(broker: Settings, tmp_path: Path) -> None:
    with parent(broker, tmp_path) as one:
        pids = one.pids()

        one.running.kill()
        one.running.wait(5)

        eventually(lambda: not any(_lives(pid) for pid in pids))
