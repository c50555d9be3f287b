"""Whether the loops of a process turn. Each loop notes its turns, and the steps within a long one; readiness names the
loop that has done neither for too long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STALLED_SECONDS = 90.0
"""Longer than the longest wait for another system within one step (60 s for a statement or a transaction): a slow step
is no stall."""
HUNG_SECONDS = 1_200.0
"""Longer than all waits of a batch together may be (900 s, the longest poll interval of a consumer): whatever a loop
waits for by then does not come, and only a restart helps. Any shorter, a slow dependency would cause restarts."""

_of_thread = threading.local()


class _LoopProgress:
    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name, self.clock, self.noted_at = name, clock, clock()

    def note(self) -> None:
        self.noted_at = self.clock()


class LoopWatch:
    """The loops of one process. Any thread may ask. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loops: list[_LoopProgress] = []
        self._lock = threading.Lock()

    @contextmanager
    def loop(self, name: str) -> Iterator[Callable[[], None]]:
        """Watch a loop while the block runs on its thread. Call what is yielded in every turn."""
        progress, outer = _LoopProgress(name, self._clock), getattr(_of_thread, "progress", None)
        with self._lock:
            self._loops.append(progress)
        _of_thread.progress = progress
        try:
            yield progress.note
        finally:
            _of_thread.progress = outer
            with self._lock:
                self._loops.remove(progress)

    def stalled(self, seconds: float) -> list[str]:
        """Return a sentence for each loop that has noted nothing for longer than this."""
        with self._lock:
            loops, now = list(self._loops), self._clock()
        return [
            f"the loop `{one.name}` has not turned for {now - one.noted_at:.0f} s"
            for one in loops
            if now - one.noted_at > seconds
        ]


def note_progress() -> None:
    """Note a step within a turn of this thread's loop: one record of a batch was handled, a statement was answered.
    Thin: it runs for every record. Does nothing on a thread without a watched loop."""
    progress: _LoopProgress | None = getattr(_of_thread, "progress", None)
    if progress is not None:
        progress.note()
