"""The health endpoint of a process: `/healthz` (liveness: whether a restart would help), `/readyz` (state and detail),
`/metrics` (Prometheus), and the actions that a service offers by POST."""

import json
import socket
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from services.runtime.progress import HUNG_SECONDS, STALLED_SECONDS, LoopWatch

# From the first byte of the request to the last byte of the response.
REQUEST_SECONDS = 5.0
MAX_REQUESTS = 32

State = Literal["starting", "ready", "degraded", "stopping"]


@dataclass(frozen=True)
class Condition:
    state: State
    detail: str = ""


PostAction = Callable[[str], tuple[int, object]]
"""Receives the Authorization header; returns a status and a value that is sent as JSON. It never raises."""


class Health:
    """The condition of this process. Any thread may report it; the HTTP server shows it. `condition` is what was
    reported last; `post_actions` maps a path to the action that a POST to it runs."""

    def __init__(self, loops: LoopWatch | None = None) -> None:
        self.condition = Condition("starting")
        self.loops = LoopWatch() if loops is None else loops
        self.metrics = CollectorRegistry()
        self.post_actions: dict[str, PostAction] = {}

    def report(self, state: State, detail: str = "") -> None:
        self.condition = Condition(state, detail)

    def loop(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        """Watch a loop of this process, see `LoopWatch.loop`."""
        return self.loops.loop(name)

    def readiness(self) -> Condition:
        """Return what was reported last, unless a loop hangs: then nobody reports any more."""
        stalled = self.loops.stalled(STALLED_SECONDS)
        if not stalled or self.condition.state == "stopping":
            return self.condition
        return Condition("degraded", "; ".join([*stalled, self.condition.detail or self.condition.state]))


# The state of the process is the first of these that any part is in.
WORST_FIRST: tuple[State, ...] = ("stopping", "degraded", "starting", "ready")


class PartsReadiness:
    """Aggregates the readiness of several parts of one process. Safe for any thread."""

    def __init__(self, process: Health) -> None:
        self._process = process
        self.loops = process.loops
        self._parts: dict[str, Condition] = {}
        self._lock = threading.Lock()
        self._measured = _MergedMetrics()
        process.metrics.register(self._measured)

    def part(self, name: str) -> Health:
        """Return the health of one part, which is `starting` until it reports something else."""
        health = _ReadinessPart(name, self)
        self._measured.registries[name] = health.metrics
        health.report("starting")
        return health

    def report(self, name: str, condition: Condition) -> None:
        # Setting the overall state stays under the lock: a part reports only changes, so an out-of-order update would
        # persist.
        with self._lock:
            self._parts[name] = condition
            states = {condition.state for condition in self._parts.values()}
            worst = next(state for state in WORST_FIRST if state in states)
            self._process.report(worst, "; ".join(f"{name}: {c.detail or c.state}" for name, c in self._parts.items()))


class _MergedMetrics(Collector):
    """The metrics of all parts, each sample with a label `part`: several consumers of one process share a metric
    name."""

    def __init__(self) -> None:
        self.registries: dict[str, CollectorRegistry] = {}

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for name, registry in dict(self.registries).items():
            for measured in registry.collect():
                merged = found.setdefault(
                    measured.name, Metric(measured.name, measured.documentation, measured.type, measured.unit)
                )
                merged.samples += [
                    sample._replace(labels={**sample.labels, "part": name}) for sample in measured.samples
                ]
        yield from found.values()


class _ReadinessPart(Health):
    def __init__(self, name: str, readiness: PartsReadiness) -> None:
        super().__init__(readiness.loops)
        self._name, self._readiness = name, readiness

    def loop(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        return super().loop(f"{self._name}: {name}")

    def report(self, state: State, detail: str = "") -> None:
        super().report(state, detail)
        self._readiness.report(self._name, self.condition)


@contextmanager
def serve_health(health: Health, host: str, port: int) -> Iterator[None]:
    """Serve the health of the process while the block runs. Port 0 disables the listener."""
    if port == 0:
        yield
        return
    server = _BoundedServer((host, port), _request_class(health))
    # The default of 0.5 s is a wait at every stop.
    threading.Thread(target=server.serve_forever, args=(0.05,), name="health", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _BoundedServer(ThreadingHTTPServer):
    """Each request has a thread for a few seconds at most. When too many are open, the oldest is closed: idle
    connections neither exhaust threads nor lock out liveness probes."""

    daemon_threads = True
    # The accept backlog. The default is 5: further clients of a burst would retry after 1, 3 and 7 seconds.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], requests: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, requests)
        self._open: OrderedDict[socket.socket, float] = OrderedDict()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (the base class's)
        with self._lock:
            if len(self._open) >= MAX_REQUESTS:
                oldest, _ = self._open.popitem(last=False)
                _end(oldest)
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 (the base class's)
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close overdue requests. The base class calls this in each round of its loop."""
        latest = time.monotonic() - REQUEST_SECONDS
        with self._lock:
            for request in [one for one, began in self._open.items() if began < latest]:
                _end(request)
                self._open.pop(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (the base class's)
        """A client that disconnected, or that we cut off, is not an error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _end(request: socket.socket) -> None:
    """The thread that reads or writes this socket sees the end of the connection."""
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


def _request_class(health: Health) -> type[BaseHTTPRequestHandler]:
    pages: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/healthz": lambda: _liveness(health.loops.stalled(HUNG_SECONDS)),
        "/readyz": lambda: _readiness(health.readiness()),
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(health.metrics)),
    }

    class Request(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*pages.get(self.path.partition("?")[0], _not_found)())

        def do_POST(self) -> None:
            action = health.post_actions.get(self.path)
            if action is None:
                self._answer(*_not_found())
                return
            status, content = action(self.headers.get("Authorization", ""))
            self._answer(status, "application/json", json.dumps(content).encode() + b"\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            """Log nothing: probes arrive every second."""

    return Request


def _liveness(hung: Sequence[str]) -> tuple[int, str, bytes]:
    return (503, "text/plain", "; ".join(hung).encode() + b"\n") if hung else (200, "text/plain", b"alive\n")


def _readiness(condition: Condition) -> tuple[int, str, bytes]:
    status = 200 if condition.state == "ready" else 503
    body = json.dumps({"state": condition.state, "detail": condition.detail}) + "\n"
    return status, "application/json", body.encode()


def _not_found() -> tuple[int, str, bytes]:
    return 404, "text/plain", b"there are /healthz, /readyz and /metrics\n"
