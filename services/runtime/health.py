"""What a process, or all parts of one, says of itself: `/healthz` (alive), `/readyz` (state and detail), `/metrics`
(Prometheus); and what it may be asked to do."""

import json
import socket
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

# From its first byte to the last one of the answer.
REQUEST_SECONDS = 5.0
MOST_REQUESTS = 32

State = Literal["starting", "ready", "degraded", "stopping"]


@dataclass(frozen=True)
class Condition:
    state: State
    detail: str = ""


Act = Callable[[str], tuple[int, object]]
"""Is given what the header Authorization says, and returns a status and what is answered as JSON. It raises nothing."""


class Health:
    """The condition of this process; any thread may tell it, the HTTP server shows it. `acts` are what may be asked of
    it by POST, by path."""

    def __init__(self) -> None:
        self.condition = Condition("starting")
        self.metrics = CollectorRegistry()
        self.acts: dict[str, Act] = {}

    def tell(self, state: State, detail: str = "") -> None:
        self.condition = Condition(state, detail)


# The first of these that any part is in is the state of the whole.
WORST_FIRST: tuple[State, ...] = ("stopping", "degraded", "starting", "ready")


class PartsReadiness:
    """For any thread."""

    def __init__(self, whole: Health) -> None:
        self._whole = whole
        self._parts: dict[str, Condition] = {}
        self._lock = threading.Lock()
        self._measured = _Measured()
        whole.metrics.register(self._measured)

    def part(self, name: str) -> Health:
        """What tells the condition of this part; until it does, the part is starting."""
        health = _ReadinessPart(name, self)
        self._measured.registries[name] = health.metrics
        health.tell("starting")
        return health

    def tell(self, name: str, condition: Condition) -> None:
        # What is told last is what all of them say: a part that does not change says nothing more.
        with self._lock:
            self._parts[name] = condition
            states = {condition.state for condition in self._parts.values()}
            worst = next(state for state in WORST_FIRST if state in states)
            self._whole.tell(worst, "; ".join(f"{name}: {c.detail or c.state}" for name, c in self._parts.items()))


class _Measured(Collector):
    """What the parts measure, each with a label `part`: consumers of one process tell their lag by one name."""

    def __init__(self) -> None:
        self.registries: dict[str, CollectorRegistry] = {}

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for name, registry in dict(self.registries).items():
            for measured in registry.collect():
                whole = found.setdefault(
                    measured.name, Metric(measured.name, measured.documentation, measured.type, measured.unit)
                )
                whole.samples += [
                    sample._replace(labels={**sample.labels, "part": name}) for sample in measured.samples
                ]
        yield from found.values()


class _ReadinessPart(Health):
    def __init__(self, name: str, readiness: PartsReadiness) -> None:
        super().__init__()
        self._name, self._readiness = name, readiness

    def tell(self, state: State, detail: str = "") -> None:
        super().tell(state, detail)
        self._readiness.tell(self._name, self.condition)


@contextmanager
def served(health: Health, host: str, port: int) -> Iterator[None]:
    """Serves the health of the process while the block runs; port 0 serves nothing."""
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
    """Each request has a thread for a few seconds at most. When too many are open, the oldest ends: a crowd that says
    nothing neither holds threads nor keeps out whoever asks whether this process lives."""

    daemon_threads = True
    # Who waits to be let in. By default they are 5: the rest of a crowd, and whoever comes behind it, would try again
    # after 1, 3 and 7 seconds.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], requests: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, requests)
        self._open: OrderedDict[socket.socket, float] = OrderedDict()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (the base class's)
        with self._lock:
            if len(self._open) >= MOST_REQUESTS:
                oldest, _ = self._open.popitem(last=False)
                _end(oldest)
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 (the base class's)
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called by the base class in each round of its loop."""
        latest = time.monotonic() - REQUEST_SECONDS
        with self._lock:
            for request in [one for one, began in self._open.items() if began < latest]:
                _end(request)
                self._open.pop(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (the base class's)
        """Whoever went away, or was ended, is no error of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _end(request: socket.socket) -> None:
    """Its thread, which reads or writes there, sees the end of the connection."""
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


def _request_class(health: Health) -> type[BaseHTTPRequestHandler]:
    pages: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/healthz": lambda: (200, "text/plain", b"alive\n"),
        "/readyz": lambda: _readiness(health.condition),
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(health.metrics)),
    }

    class Request(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*pages.get(self.path.partition("?")[0], _not_found)())

        def do_POST(self) -> None:
            act = health.acts.get(self.path)
            if act is None:
                self._answer(*_not_found())
                return
            status, told = act(self.headers.get("Authorization", ""))
            self._answer(status, "application/json", json.dumps(told).encode() + b"\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            """Probes every second are no news."""

    return Request


def _readiness(condition: Condition) -> tuple[int, str, bytes]:
    status = 200 if condition.state == "ready" else 503
    body = json.dumps({"state": condition.state, "detail": condition.detail}) + "\n"
    return status, "application/json", body.encode()


def _not_found() -> tuple[int, str, bytes]:
    return 404, "text/plain", b"there are /healthz, /readyz and /metrics\n"
