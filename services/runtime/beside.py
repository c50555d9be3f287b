"""The second parts of batches, each on a thread of its own while the loop goes on."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

Notes = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Running:
    """One second part. `began`: when its first part did, by the monotonic clock."""

    began: float
    log_fields: Notes
    future: Future[Notes] = field(default_factory=Future)

    @property
    def done(self) -> bool:
        return self.future.done()


class Beside:
    """At most `places` run at the same time. Used by the thread of the loop alone. `watch` counts the progress of a
    thread as the loop's while the block runs: readiness would otherwise not notice that one hangs."""

    def __init__(self, places: int, watch: Callable[[], AbstractContextManager[object]]) -> None:
        self._places, self._watch = places, watch
        self._running: list[Running] = []

    @property
    def has_place(self) -> bool:
        return len(self._running) < self._places

    def start(self, part: Callable[[], Notes], began: float, log_fields: Notes) -> Running:
        running = Running(began, log_fields)
        self._running.append(running)
        # A daemon thread: the process can end while a statement is running.
        threading.Thread(target=self._run, args=(part, running), name="batch", daemon=True).start()
        return running

    def take(self, ended: Running) -> Notes:
        """Give its place free and return what it returned, with the seconds of both parts. Raises what it raised."""
        self._running.remove(ended)
        notes = ended.future.result()
        return {**notes, "seconds": round(time.monotonic() - ended.began, 3)}

    def others(self, held: Collection[Running | None]) -> list[Running]:
        """Return those that ended and that nobody waits for any more."""
        return [one for one in self._running if one.done and one not in held]

    def wait(self, seconds: float) -> None:
        """Return as soon as one ends."""
        wait([one.future for one in self._running], seconds, FIRST_COMPLETED)

    def _run(self, part: Callable[[], Notes], running: Running) -> None:
        try:
            with self._watch():
                notes = part()
        except BaseException as failure:  # noqa: BLE001 (raised again in the loop, which ends the service)
            running.future.set_exception(failure)
        else:
            running.future.set_result(notes)
