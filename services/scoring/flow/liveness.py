"""When a worker must die rather than continue: it may have lost its partitions, or it makes no progress. A thread of
its own checks once a second, so that blocked code cannot prevent the check."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from services.runtime import log

STALLED_SECONDS = 60
"""With records ahead and nothing applied for this long, a restart is better than a silent stop."""
IDLE_SECONDS = 10
"""With records ahead and nothing applied for this long, Faust's own position may have run ahead."""
OVERTAKEN_RUNS = 20
"""Per partition: within this many batches each has had its turn, even with a fetch of 5,000 records of one of them."""
MAX_SEEKS = 6
"""The worker ends after this many seeks without progress."""


class NotAliveError(Exception):
    """The process must end before it writes anything more; the supervisor restarts it."""


@dataclass(frozen=True)
class _OffsetState:
    """Since when a partition has been at an offset, and when and at which batch it was last sought."""

    offset: int
    since: float
    last_seek: float
    runs: int
    seeks: int = 0


class PartitionProgress:
    """Of the assigned partitions. Times are seconds on one clock."""

    def __init__(self) -> None:
        self._offset_states: dict[int, _OffsetState] = {}
        self._worked = 0.0
        self._runs = 0

    def forget_all(self) -> None:
        self._offset_states.clear()

    def forget(self, number: int) -> None:
        """A batch of the partition is being applied: it is not stalled, whatever its offset."""
        self._offset_states.pop(number, None)

    def worked(self, now: float) -> None:
        """A step of a batch was done."""
        self._worked = now

    def ran(self) -> None:
        self._runs += 1

    def needs_seek(self, number: int, offset: int, end: int, now: float) -> bool:
        """Called about once a second with the last applied offset and the end of the log. True: seek again to the
        offset after `offset`. While others are served, a partition waits for its turn. Raises NotAliveError."""
        state = self._offset_states.get(number)
        if state is None or state.offset != offset or offset + 1 >= end:
            self._offset_states[number] = _OffsetState(offset, since=now, last_seek=now, runs=self._runs)
            return False
        idle = now - max(state.since, self._worked)
        if idle > STALLED_SECONDS or state.seeks > MAX_SEEKS:
            raise NotAliveError(
                f"partition {number} stands at {offset} for {now - state.since:.0f} s, its end is {end}"
            )
        overtaken = self._runs - state.runs > OVERTAKEN_RUNS * len(self._offset_states)
        if now - max(state.last_seek, self._worked) <= IDLE_SECONDS and not overtaken:
            return False
        self._offset_states[number] = replace(state, last_seek=now, runs=self._runs, seeks=state.seeks + 1)
        return True


PHASE_SHARE = 0.8
"""Of the rebalance timeout: a rebalance waits for the current phase, and the group must not continue without us."""
POLL_NOTE_SECONDS = 1.0
"""Interval at which work is counted as polling."""


class Liveness:
    """Watches the group membership, its heartbeats, and the progress of the partitions. Heartbeats come from the
    consumer's thread, everything else from the main one."""

    def __init__(self, session_seconds: float, rebalance_seconds: float) -> None:
        """`rebalance_seconds`: how long the group waits for all of its members at a rebalance."""
        self._session_seconds, self._join_seconds = session_seconds, rebalance_seconds + 2 * session_seconds
        self.phase_seconds = rebalance_seconds * PHASE_SHARE
        self._heartbeat: float | None = None
        self._outside_since = time.monotonic()
        self._note_poll: Callable[[], object] = lambda: None
        self._recovering_since: float | None = None
        self._polled = 0.0
        self.progress = PartitionProgress()

    def left(self) -> None:
        """A rebalance began. There are no heartbeats until the group has admitted us again."""
        self._heartbeat, self._recovering_since, self._outside_since = None, None, time.monotonic()
        self.progress.forget_all()

    def joined(self, note_poll: Callable[[], object]) -> None:
        """Recovery follows. `note_poll` makes work on fetched records count as polling."""
        self._note_poll = note_poll
        self._heartbeat = self._recovering_since = time.monotonic()

    def beat(self, asked: float) -> None:
        """The broker acknowledged a heartbeat that was sent then. Called in the consumer's thread."""
        if self._heartbeat is not None:
            self._heartbeat = asked

    def worked(self, now: float) -> None:
        """A slice of work was done."""
        self.progress.worked(now)
        if now - self._polled > POLL_NOTE_SECONDS:
            self._polled = now
            self._note_poll()

    def recovery_progressed(self) -> None:
        if self._recovering_since is not None:
            self._recovering_since = time.monotonic()

    def recovered(self) -> None:
        self._recovering_since = None

    def check(self) -> None:
        """Raises NotAliveError when the broker may have given our partitions to another member, or never admits us:
        aiokafka gives up on a fatal response to a join without reporting it."""
        now = time.monotonic()
        if self._heartbeat is None and now - self._outside_since > self._join_seconds:
            raise NotAliveError(f"the group has not let us in for {now - self._outside_since:.0f} s")
        if self._heartbeat is not None and now - self._heartbeat > self._session_seconds:
            silent = now - self._heartbeat
            raise NotAliveError(f"no heartbeat for {silent:.1f} s, the session is {self._session_seconds:g} s")
        if self._recovering_since is not None and now - self._recovering_since > STALLED_SECONDS:
            raise NotAliveError(f"recovery has read nothing for {now - self._recovering_since:.0f} s")


WATCH_INTERVAL_SECONDS = 1.0
END_SECONDS = 5
"""Time for the event loop to end after an exception; Faust may wait for ever for a group that has forgotten it."""


def watch(check: Callable[[], None], crashed: Callable[[], bool]) -> None:
    """From now on, end the process with 1 when `check` raises NotAliveError, immediately and without leaving the group,
    which may have given our partitions to another member; and when it does not end by itself after it `crashed`."""

    def watch_process() -> None:
        pause, checks_since_crash = threading.Event(), 0
        while not pause.wait(WATCH_INTERVAL_SECONDS):
            checks_since_crash += crashed()
            if checks_since_crash > END_SECONDS:
                os._exit(1)
            try:
                check()
            except NotAliveError as reason:
                log.get(__name__).error("not_alive", reason=str(reason))
                os._exit(1)

    threading.Thread(target=watch_process, name="watchdog", daemon=True).start()
