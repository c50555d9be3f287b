"""When a worker must die rather than go on: it may have lost its partitions, or it does nothing and says nothing."""

import time

from services.scoring.flow.progress import STALLED_SECONDS, NotAliveError, Progress
from services.scoring.flow.sequencer import Untyped


class Liveness:
    """Watches the membership in the group, its heartbeats, and the progress of the partitions. The heartbeats come
    from the consumer's thread, everything else from the main one."""

    def __init__(self, session_seconds: float, join_seconds: float) -> None:
        """`join_seconds`: so long the group may take to let us in, at the start and at every rebalance."""
        self._session_seconds, self._join_seconds = session_seconds, join_seconds
        self._heartbeat: float | None = None
        self._outside_since = time.monotonic()
        self._watched: Untyped = None
        self._recovering_since: float | None = None
        self.progress = Progress()

    def left(self) -> None:
        """A rebalance began. There are no heartbeats until the group has let us in again."""
        self._heartbeat, self._recovering_since, self._outside_since = None, None, time.monotonic()
        self.progress.forget_all()

    def joined(self, consumer: Untyped) -> None:
        """Then recovery begins."""
        self._watch(consumer)
        self._heartbeat = self._recovering_since = time.monotonic()

    def recovered_some(self) -> None:
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

    def _watch(self, consumer: Untyped) -> None:
        """Notes every heartbeat that the broker acknowledged. aiokafka keeps the time of the last one in a local
        variable, so its coordinator's heartbeat call is wrapped, once per coordinator."""
        coordinator = consumer._thread._ensure_consumer()._coordinator  # noqa: SLF001
        if coordinator is self._watched:
            return
        self._watched, beat = coordinator, coordinator._do_heartbeat  # noqa: SLF001

        async def noted() -> bool:
            asked = time.monotonic()
            acknowledged: bool = await beat()
            if acknowledged and self._heartbeat is not None:
                self._heartbeat = asked
            return acknowledged

        coordinator._do_heartbeat = noted  # noqa: SLF001
