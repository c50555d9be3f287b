"""A watchdog for waits that have no timeout of their own: the process ends rather than hang."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime import log


@contextmanager
def bounded(seconds: float, step: str) -> Iterator[None]:
    """Exits the process with code 1 if the block takes longer: a stuck thread cannot be ended otherwise. What it was
    doing is aborted by the broker, and done again after the restart."""
    timer = threading.Timer(seconds, _give_up, (step, seconds))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up(step: str, seconds: float) -> None:
    log.get(__name__).error("stuck", step=step, seconds=seconds)
    os._exit(1)
