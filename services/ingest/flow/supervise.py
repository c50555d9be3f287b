"""Runs the parts of a process, each on a thread of its own. They stop together."""

import threading
import time
from collections.abc import Callable, Mapping

from services.runtime import log
from services.runtime.unexpected import BadDeployError

# A process has 2 s to stop; closing its clients takes the rest.
STOP_SECONDS = 0.9

Parts = Mapping[str, Callable[[], None]]
"""What to run, by name."""


def supervise(parts: Parts, stop: threading.Event) -> None:
    """Returns after `stop`; the first part to end sets it for all. Raises what the first failed part raised. A part
    that ends with BadDeployError, perhaps over one sender's records, ends alone: the others are of use without it."""
    failures: list[BaseException] = []

    def run(part: Callable[[], None]) -> None:
        try:
            part()
        except BadDeployError as reason:
            log.get(__name__).error("part_stopped", part=threading.current_thread().name, reason=str(reason))
            return
        except BaseException as failure:  # noqa: BLE001 (raised again below, on the thread that waits)
            failures.append(failure)
        stop.set()

    # Daemon threads: one that waits for an absent broker must not keep the process from ending in time.
    threads = [threading.Thread(target=run, args=(part,), name=name, daemon=True) for name, part in parts.items()]
    for thread in threads:
        thread.start()
    stop.wait()
    deadline = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if failures:
        raise failures[0]
