"""Several gateway processes on one port, supervised by their parent."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from services.ingest.flow.connections_reload import PATH, forwarding_act
from services.ingest.settings import IngestSettings
from services.runtime import log
from services.runtime.health import Condition, Health, serve_health
from services.runtime.http.server import listen

HEALTH_PORT = "RAPPORT_INGEST_HEALTH_PORT"
WATCHED_SECONDS = 0.2
ASKED_SECONDS = 1.0
# SIGTERM ends all within 2 s.
STOP_SECONDS = 1.8


class WorkerEndedError(Exception):
    """The message names the worker and its exit code."""


@dataclass(frozen=True)
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    health_url: str


def serve_in_workers(settings: IngestSettings, stop: threading.Event, count: int) -> None:
    """Returns after `stop`, when all have ended. Raises OSError if the address is in use, and WorkerEndedError when one
    ended by itself: then all end, and the process manager restarts the parent."""
    health = Health()
    addresses = [f"{_reachable(settings.host)}:{settings.ingest_health_port + n}" for n in range(1, count + 1)]
    if settings.ingest_connections is not None:
        health.post_actions[PATH] = forwarding_act(addresses, settings.ingest_digest_key.get_secret_value())
    with (
        listen(settings.host, settings.ingest_port) as listener,
        serve_health(health, settings.host, settings.ingest_health_port),
        _launched(settings, listener, count) as workers,
        # One client for all requests: creating one loads the machine's certificates, 25 ms of CPU.
        httpx.Client(timeout=ASKED_SECONDS) as client,
        health.loop("workers") as note_turn,
    ):
        log.get(__name__).info("serving", workers=count, pids=[one.process.pid for one in workers])
        while not stop.wait(WATCHED_SECONDS):
            for worker in workers:
                if (code := worker.process.poll()) is not None:
                    ended = f"worker {worker.number} ended with exit code {code}"
                    raise WorkerEndedError(f"{ended}; its last lines say why")
            _report(health, workers, client)
            note_turn()
        health.report("stopping")
    log.get(__name__).info("stopped")


def inherited(listener: int, stop: threading.Event) -> socket.socket:
    """The socket that a worker listens on. The worker stops when its parent has died: otherwise it would keep the port
    for ever, and nobody would restart it."""

    def wait() -> None:
        sys.stdin.buffer.read()
        stop.set()

    threading.Thread(target=wait, name="parent", daemon=True).start()
    return socket.socket(fileno=listener)


@contextmanager
def _launched(settings: IngestSettings, listener: socket.socket, count: int) -> Iterator[Sequence[_Worker]]:
    workers: list[_Worker] = []
    try:
        # One by one, so that those that run are in the list if the next one cannot be started.
        workers.extend(_launch(settings, listener, number) for number in range(1, count + 1))
        yield workers
    finally:
        for worker in workers:
            worker.process.terminate()
        # A worker that has not ended in time is killed.
        until = time.monotonic() + STOP_SECONDS
        for worker in workers:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def _launch(settings: IngestSettings, listener: socket.socket, number: int) -> _Worker:
    port = settings.ingest_health_port and settings.ingest_health_port + number
    process = subprocess.Popen(  # noqa: S603 - the command line is ours
        [sys.executable, "-m", "services.cli", "ingest", "serve", "--listener", str(listener.fileno())],
        env=os.environ | {HEALTH_PORT: str(port)},
        stdin=subprocess.PIPE,
        pass_fds=[listener.fileno()],
        start_new_session=True,  # a terminal's Ctrl-C reaches only the parent, which stops them in order
    )
    return _Worker(number, process, f"http://{_reachable(settings.host)}:{port}/readyz" if port else "")


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 (asked, not bound)


def _report(health: Health, workers: Sequence[_Worker], client: httpx.Client) -> None:
    conditions = {worker.number: Condition("ready") for worker in workers}
    for worker in workers:
        if not worker.health_url:
            continue
        try:
            condition = client.get(worker.health_url).json()
        except (httpx.TransportError, json.JSONDecodeError) as silent:
            conditions[worker.number] = Condition("starting", f"it does not say: {type(silent).__name__}")
        else:
            conditions[worker.number] = Condition(condition["state"], condition["detail"])
    unready = {number: one for number, one in conditions.items() if one.state != "ready"}
    worst = next(iter(unready.values()), Condition("ready"))
    details = (f"worker {number}: {one.detail or one.state}" for number, one in conditions.items())
    health.report(worst.state, "; ".join(details))
