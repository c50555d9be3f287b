"""Looks once a second whether the process is still to live, from a thread of its own, so that nothing that hangs or
blocks keeps it from looking."""

import os
import threading
from collections.abc import Callable

from services.runtime import log
from services.scoring.flow.progress import NotAliveError

LOOK_SECONDS = 1.0
END_SECONDS = 5
"""After an exception the event loop may take so long to end; Faust may wait for ever for a group that forgot it."""


def watch(check: Callable[[], None], crashed: Callable[[], bool]) -> None:
    """From now on: ends the process with 1 when `check` raises NotAliveError, at once and without a word to the group,
    which may have given our partitions to somebody else, and when it does not end by itself after it `crashed`."""
    threading.Thread(target=_look, args=(check, crashed), name="watchdog", daemon=True).start()


def _look(check: Callable[[], None], crashed: Callable[[], bool]) -> None:
    pause, looks_since_crash = threading.Event(), 0
    while not pause.wait(LOOK_SECONDS):
        looks_since_crash += crashed()
        if looks_since_crash > END_SECONDS:
            os._exit(1)
        try:
            check()
        except NotAliveError as reason:
            log.get(__name__).error("not_alive", reason=str(reason))
            os._exit(1)
