"""When a worker must die rather than go on: it may have lost its partitions, or it does nothing and says nothing. A
thread of its own looks once a second, so that nothing that hangs or blocks keeps it from looking."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from services.runtime import log

STALLED_SECONDS = 60
"""There are records ahead and nothing at all is applied for this long: a restart is better than a silent stop."""
IDLE_SECONDS = 10
"""There are records ahead and nothing at all is applied for this long: Faust's own position may have run ahead."""
OVERTAKEN_RUNS = 20
"""Per partition: in so many runs every one has had its turn, a fetch of 5,000 records of one of them included."""
MAX_SEEKS = 6
"""So often a position is sought again before the process is."""


class NotAliveError(Exception):
    """The process must end before it writes anything more; the supervisor starts it again."""


@dataclass(frozen=True)
class _OffsetState:
    """Since when a partition stands at an offset; when and at which run its position was sought last."""

    offset: int
    since: float
    last_seek: float
    runs: int
    seeks: int = 0


class PartitionProgress:
    """Of the partitions that are ours. Times are seconds on one clock."""

    def __init__(self) -> None:
        self._offset_states: dict[int, _OffsetState] = {}
        self._worked = 0.0
        self._runs = 0

    def forget_all(self) -> None:
        self._offset_states.clear()

    def forget(self, number: int) -> None:
        """A batch of the partition is worked on: wherever it stands, that is no standing still."""
        self._offset_states.pop(number, None)

    def worked(self, now: float) -> None:
        """A step of a run was done."""
        self._worked = now

    def ran(self) -> None:
        self._runs += 1

    def needs_seek(self, number: int, offset: int, end: int, now: float) -> bool:
        """Asked about once a second, with the last offset applied and the end of the log. True: seek again behind
        `offset`. While others are worked on, a partition waits for its turn. Raises NotAliveError."""
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
"""Of the rebalance timeout: a rebalance waits for the phase in work, and the group must not go on without us."""
POLL_NOTE_SECONDS = 1.0
"""Seconds between two notes that work counts as polling."""


class Liveness:
    """Watches the membership in the group, its heartbeats, and the progress of the partitions. The heartbeats come
    from the consumer's thread, everything else from the main one."""

    def __init__(self, session_seconds: float, rebalance_seconds: float) -> None:
        """`rebalance_seconds`: so long the group waits for all of its members at a rebalance."""
        self._session_seconds, self._join_seconds = session_seconds, rebalance_seconds + 2 * session_seconds
        self.phase_seconds = rebalance_seconds * PHASE_SHARE
        self._heartbeat: float | None = None
        self._outside_since = time.monotonic()
        self._note_poll: Callable[[], object] = lambda: None
        self._recovering_since: float | None = None
        self._polled = 0.0
        self.progress = PartitionProgress()

    def left(self) -> None:
        """A rebalance began. There are no heartbeats until the group has let us in again."""
        self._heartbeat, self._recovering_since, self._outside_since = None, None, time.monotonic()
        self.progress.forget_all()

    def joined(self, note_poll: Callable[[], object]) -> None:
        """Then recovery begins. `note_poll`: work on what was read counts as polling for more."""
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
        """Raises NotAliveError when the broker may have given our partitions to somebody else, or never lets us in:
        aiokafka gives up on a fatal answer to a join, and says so to nobody."""
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
"""After an exception the event loop may take so long to end; Faust may wait for ever for a group that forgot it."""


def watch(check: Callable[[], None], crashed: Callable[[], bool]) -> None:
    """From now on: ends the process with 1 when `check` raises NotAliveError, at once and without a word to the group,
    which may have given our partitions to somebody else, and when it does not end by itself after it `crashed`."""

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
