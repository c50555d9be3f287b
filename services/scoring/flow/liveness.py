"""When a worker must die rather than go on: it may have lost its partitions, or it has stopped making progress."""

import time

from services.scoring.flow.sequencer import Untyped

STALLED_SECONDS = 60
"""Lag grows and nothing is applied for this long: a restart is better than a silent stop."""


class NotAliveError(Exception):
    """The process must end before it writes anything more; the supervisor starts it again."""


class Liveness:
    """Watches the heartbeats of the group and the progress of the partitions."""

    def __init__(self, session_seconds: float) -> None:
        self._session_seconds = session_seconds
        self._heartbeat: float | None = None
        self._watched: Untyped = None
        self._progress: dict[int, tuple[int, int, float]] = {}

    def watch(self, consumer: Untyped) -> None:
        """Notes every heartbeat that the broker acknowledged. aiokafka keeps the time of the last one in a local
        variable, so its coordinator's heartbeat call is wrapped, once per coordinator."""
        coordinator = consumer._thread._ensure_consumer()._coordinator  # noqa: SLF001
        if coordinator is self._watched:
            return
        self._watched, beat = coordinator, coordinator._do_heartbeat  # noqa: SLF001

        async def noted() -> bool:
            acknowledged: bool = await beat()
            if acknowledged:
                self._heartbeat = time.monotonic()
            return acknowledged

        coordinator._do_heartbeat = noted  # noqa: SLF001
        self._heartbeat = time.monotonic()

    def check_heartbeat(self) -> None:
        """Raises NotAliveError when the broker may have given our partitions to somebody else."""
        if self._heartbeat is None:
            return
        silent = time.monotonic() - self._heartbeat
        if silent > self._session_seconds:
            raise NotAliveError(f"no heartbeat for {silent:.1f} s, the session is {self._session_seconds:g} s")

    def check_progress(self, partition: int, offset: int, end: int) -> None:
        """Raises NotAliveError when the end moves on and the offset does not."""
        now = time.monotonic()
        last_offset, last_end, since = self._progress.get(partition, (offset, end, now))
        if offset != last_offset or offset + 1 >= end:
            since, last_end = now, end
        elif end > last_end and now - since > STALLED_SECONDS:
            raise NotAliveError(f"partition {partition} stands at {offset} for {now - since:.0f} s, its end is {end}")
        self._progress[partition] = (offset, last_end, since)

    def forget(self, partition: int) -> None:
        self._progress.pop(partition, None)
