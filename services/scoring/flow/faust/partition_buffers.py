"""Batches that wait for their own partition only: while one works for minutes, because its clock moves far, the others
go on."""

from collections import deque
from collections.abc import Awaitable, Callable

from services.scoring.flow.faust.scheduler import Untyped

MOST_WAITING = 2_000
"""Records of a partition that may wait; then no more of it are fetched. What a fetch has brought still comes."""
FEW_WAITING = MOST_WAITING // 2
"""So few make fetching go on. Not when nothing waits any more: a fetch may take a second to notice."""


class PartitionBuffers:
    """One task for each partition that has a batch. Batches of a partition are applied in their order."""

    def __init__(self, app: Untyped, apply: Callable[[Untyped], Awaitable[None]]) -> None:
        """`apply` gets Faust's events. What it raises ends the application, as if an agent had raised it."""
        self._app, self._apply = app, apply
        self._waiting: dict[Untyped, deque[Untyped]] = {}
        self._paused: set[Untyped] = set()

    def put(self, event: Untyped) -> None:
        tp = event.message.tp
        if tp not in self._waiting:
            self._waiting[tp] = deque([event])
            self._app.add_future(self._work(tp))
            return
        self._waiting[tp].append(event)
        if self._records(tp) > MOST_WAITING and tp not in self._paused:
            self._paused.add(tp)
            self._app.consumer.pause_partitions([tp])

    def is_busy(self, tp: Untyped) -> bool:
        """Whether a batch of the partition is worked on or waits."""
        return tp in self._waiting

    def forget_pauses(self) -> None:
        """A rebalance began: Faust itself forgets them, and pauses all while it recovers."""
        self._paused.clear()

    async def _work(self, tp: Untyped) -> None:
        waiting = self._waiting[tp]
        try:
            while waiting:
                await self._apply(waiting[0])
                waiting.popleft()
                if tp in self._paused and self._records(tp) <= FEW_WAITING:
                    self._paused.discard(tp)
                    self._app.consumer.resume_partitions([tp])
        finally:
            del self._waiting[tp]

    def _records(self, tp: Untyped) -> int:
        return sum(len(event.value) for event in self._waiting[tp])
