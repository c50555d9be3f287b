"""Tuning of Python's garbage collector for processes that keep many objects alive."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

GC_THRESHOLDS = (50_000, 20, 100)
"""`gc.set_threshold`: allocations before a collection, and collections before one of the next generation. With Python's
default of 700, a tenth to a third of the time is spent traversing events, rows and states that all stay alive."""


@contextmanager
def freeze_imports() -> Iterator[None]:
    """Freeze what the block imports. Collections that traverse imported modules take a fifth of the start-up time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def raise_thresholds() -> None:
    """Raise the thresholds for the whole process."""
    gc.set_threshold(*GC_THRESHOLDS)


def freeze_heap() -> None:
    """Freeze all objects that are alive now until the next call, and raise the thresholds; for the whole process."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    raise_thresholds()
