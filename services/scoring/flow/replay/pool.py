"""Jobs on all cores: as many portions are under way as there are processes, so that memory stays bounded."""

import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context

from services.scoring.flow.replay.work import Job, Task, Worked, work

AHEAD = 2
"""Portions per process that are handed over: one is worked on, one waits."""


def worked(task: Task, portions: Iterable[Sequence[Job]], processes: int) -> Iterator[Worked]:
    """In the order in which they are done. Raises whatever the work raises; what is under way then is finished."""
    if processes == 1:
        yield from (work(task, portion) for portion in portions)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _alone) as pool:
        waiting: set[Future[Worked]] = set()
        for portion in portions:
            waiting.add(pool.submit(work, task, portion))
            if len(waiting) >= AHEAD * processes:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        for future in waiting:
            yield future.result()


def _alone() -> None:
    """Ctrl-C goes to the whole terminal; the main process decides what becomes of the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
