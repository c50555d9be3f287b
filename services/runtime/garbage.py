"""How seldom a process that keeps much in memory looks for garbage in it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

GARBAGE_AFTER = (50_000, 20, 100)
"""Objects that come to life between two searches for garbage, and how many of these until a wider one. At Python's own
700 a tenth to a third of the work goes into looking through events, rows and states that all live on."""


@contextmanager
def importing() -> Iterator[None]:
    """What is imported stays. To look through it for garbage, again and again, takes a fifth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_seldom() -> None:
    """For the whole process, from now on."""
    gc.set_threshold(*GARBAGE_AFTER)


def keep_what_is() -> None:
    """What has been read by now is not looked through until the next call, and what comes is seldom; for the whole
    process."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    collect_seldom()
