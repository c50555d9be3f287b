"""Runs the web application until it is told to stop."""

import asyncio
import socket
import threading

import uvicorn
from fastapi import FastAPI

BACKLOG = 256
# SIGTERM ends the process within 2 s: requests in work have half of it.
GRACE_SECONDS = 1


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, stop: threading.Event) -> None:
        super().__init__(config)
        self._stop = stop

    async def on_tick(self, counter: int) -> bool:
        return self._stop.is_set() or await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError if the address is taken."""
    return socket.create_server((host, port), backlog=BACKLOG)


def run_server(app: FastAPI, listener: socket.socket, stop: threading.Event) -> None:
    """Serves until `stop` is set and the requests in work are answered. Runs on any thread."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )
    # uvloop and httptools are used where they are installed.
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_Server(config, stop).serve(sockets=[listener]))
