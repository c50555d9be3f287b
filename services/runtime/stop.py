"""Graceful shutdown: after SIGTERM or SIGINT the current work is finished, then the process ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_signal() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets. A second signal raises KeyboardInterrupt."""
    stop = threading.Event()

    def request_stop(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt(f"second signal {signal.Signals(number).name}")
        stop.set()

    previous = {number: signal.signal(number, request_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
