"""Progress of a step that takes long: a line at its start, with the expected duration, and one every ten seconds."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REPORT_EVERY_SECONDS = 10.0

Report = Callable[[str], None]


@contextmanager
def step(report: Report, text: str, seconds: float) -> Iterator[None]:
    """Report the start with the expected seconds on an ordinary machine, then the elapsed time every ten seconds."""
    report(f"{text} (about {seconds:.0f} s)")
    with periodic_progress(report, seconds):
        yield


@contextmanager
def periodic_progress(report: Report, seconds: float) -> Iterator[None]:
    """Report the elapsed time while the block runs."""
    began, ended = time.monotonic(), threading.Event()

    def tick() -> None:
        while not ended.wait(REPORT_EVERY_SECONDS):
            report(f"  {progress_of(time.monotonic() - began, seconds)}")

    thread = threading.Thread(target=tick, name="step", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def progress_of(seconds: float, expected: float) -> str:
    return f"{seconds:.0f} s of about {expected:.0f} s" if seconds < expected else f"{seconds:.0f} s, longer than usual"
