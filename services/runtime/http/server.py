"""Runs the ASGI application until it is stopped."""

import asyncio
import socket
import threading
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from services.runtime.http.connection_guard import ConnectionGuard
from services.runtime.http.guarded_protocol import MAX_HEAD_BYTES, UnambiguousHead, guarded_protocol_class
from services.runtime.progress import LoopWatch, note_progress

# Also the number of connections accepted in one go, during which no request is served.
BACKLOG = 256
# SIGTERM ends the process within 2 s: requests in progress have half of it.
GRACE_SECONDS = 1
# uvicorn ticks ten times a second, so a connection may exceed its limits by half a second.
TICKS_PER_SWEEP = 5


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, guard: ConnectionGuard, stop: threading.Event) -> None:
        super().__init__(config)
        self._guard, self._stop = guard, stop

    async def on_tick(self, counter: int) -> bool:
        # The watched loop is that of this thread: code that blocks the event loop answers nobody.
        note_progress()
        if counter % TICKS_PER_SWEEP == 0:
            self._guard.sweep(asyncio.get_running_loop().time())
        return self._stop.is_set() or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # The remaining connections wait for clients that do not read their responses.
        self._guard.end_all()
        await asyncio.sleep(0)


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError if the address is in use."""
    listener = socket.create_server((host, port), backlog=BACKLOG)
    # asyncio sets it only on sockets with the protocol TCP, which accepted ones here do not have. A response in two
    # parts would wait some 40 ms for the client's delayed acknowledgement. Accepted sockets inherit the option.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@dataclass(frozen=True)
class ServerEndpoint:
    """A listening socket and its configuration. `protocol` is httptools' if that is installed, else h11's."""

    listener: socket.socket
    guard: ConnectionGuard
    idle_seconds: int
    protocol: type[asyncio.Protocol] = AutoHTTPProtocol
    loops: LoopWatch = field(default_factory=LoopWatch)


def run_server(app: ASGIApp, endpoint: ServerEndpoint, stop: threading.Event) -> None:
    """Serve until `stop` is set and the requests in progress are answered. Runs on any thread."""
    config = uvicorn.Config(
        UnambiguousHead(app),
        http=guarded_protocol_class(endpoint.guard, endpoint.protocol),
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=endpoint.idle_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )
    # uvloop is used where it is installed.
    with endpoint.loops.loop("http"), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_Server(config, endpoint.guard, stop).serve(sockets=[endpoint.listener]))
