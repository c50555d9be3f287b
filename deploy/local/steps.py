"""What is said while something takes long: a line as it begins, with how long it takes, and one every ten seconds."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TOLD_EVERY_SECONDS = 10.0

Say = Callable[[str], None]


@contextmanager
def step(say: Say, words: str, seconds: float) -> Iterator[None]:
    """Says what begins and how long that takes on an ordinary machine, and from then on how far it is by the clock."""
    say(f"{words} (about {seconds:.0f} s)")
    with ticking(say, seconds):
        yield


@contextmanager
def ticking(say: Say, seconds: float) -> Iterator[None]:
    """While the block runs."""
    began, ended = time.monotonic(), threading.Event()

    def tick() -> None:
        while not ended.wait(TOLD_EVERY_SECONDS):
            say(f"  {so_far(time.monotonic() - began, seconds)}")

    thread = threading.Thread(target=tick, name="step", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def so_far(seconds: float, of: float) -> str:
    return f"{seconds:.0f} s of about {of:.0f} s" if seconds < of else f"{seconds:.0f} s, longer than usual"
