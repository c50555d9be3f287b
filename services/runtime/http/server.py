"""Runs the web application until it is told to stop."""

import asyncio
import socket
import threading
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from services.runtime.http.connection_guard import ConnectionGuard
from services.runtime.http.guarded_protocol import MOST_HEAD_BYTES, UnambiguousHead, guarded

# Also how many are accepted in one go, during which no request is served.
BACKLOG = 256
# SIGTERM ends the process within 2 s: requests in work have half of it.
GRACE_SECONDS = 1
# uvicorn's ticks come ten times a second; what is too slow may be so for half a second more.
TICKS_PER_SWEEP = 5


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, guard: ConnectionGuard, stop: threading.Event) -> None:
        super().__init__(config)
        self._guard, self._stop = guard, stop

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SWEEP == 0:
            self._guard.sweep(asyncio.get_running_loop().time())
        return self._stop.is_set() or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # What is left waits for clients that do not take their answers.
        self._guard.end_all()
        await asyncio.sleep(0)


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError if the address is taken."""
    listener = socket.create_server((host, port), backlog=BACKLOG)
    # asyncio sets it only on sockets that name TCP as their protocol, which those accepted here do not: an answer in
    # two parts then waits for the client's delayed acknowledgement of the first, some 40 ms. Accepted sockets inherit.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@dataclass(frozen=True)
class Door:
    """What is listened on, and how: `protocol` is httptools' where that is installed, else h11's."""

    listener: socket.socket
    guard: ConnectionGuard
    idle_seconds: int
    protocol: type[asyncio.Protocol] = AutoHTTPProtocol


def run_server(app: ASGIApp, door: Door, stop: threading.Event) -> None:
    """Serves until `stop` is set and the requests in work are answered. Runs on any thread."""
    config = uvicorn.Config(
        UnambiguousHead(app),
        http=guarded(door.guard, door.protocol),
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        timeout_keep_alive=door.idle_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )
    # uvloop is used where it is installed.
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_Server(config, door.guard, stop).serve(sockets=[door.listener]))
