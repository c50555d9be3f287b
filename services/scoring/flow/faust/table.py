"""Recovery: Faust reads the changelog of the assigned partitions, our own merge makes states of it."""

from collections.abc import Callable, Iterable

import faust

from services.scoring.domain.changelog import Recovery
from services.scoring.flow.faust.scheduler import Untyped


class BatchSchema(faust.Schema):  # type: ignore[misc]
    """Passes a batch through as it is: decoding is ours."""

    def compile(self, app: Untyped, **_options: Untyped) -> Callable[..., Untyped]:
        create = app.create_event

        async def decode(message: Untyped, *, propagate: bool = False) -> Untyped:  # noqa: ARG001 (Faust passes it)
            return create(message.key, message.value, None, message)

        return decode


class StateTable(faust.Table):  # type: ignore[misc]
    """A table that only recovers. Its changelog is written by the worker itself, acknowledged before the input is."""

    mundane_level = "debug"

    def __init__(self, *args: Untyped, **options: Untyped) -> None:
        super().__init__(*args, **options)
        self._recoveries: dict[int, Recovery] = {}
        self._problem: Exception | None = None
        self.on_progress: Callable[[], None] = lambda: None

    def take(self, partition: int) -> Recovery:
        """What was read of a partition, not yet merged; nothing is kept here. Raises whatever reading it raised."""
        if self._problem:
            raise self._problem
        return self._recoveries.pop(partition, Recovery())

    def apply_changelog_batch(self, batch: Iterable[Untyped]) -> None:
        self.on_progress()
        try:
            for event in batch:
                recovery = self._recoveries.setdefault(event.message.partition, Recovery())
                for record in event.value:
                    recovery.add(record.key, record.value)
        except Exception as problem:  # noqa: BLE001 (raised again by `take`; here Faust would log it and wait for ever)
            self._problem = problem

    async def on_rebalance(
        self, assigned: Untyped, revoked: Untyped, newly_assigned: Untyped, generation_id: int = 0
    ) -> None:
        """Every partition is read from the beginning, also one that Faust believes we kept: while we were away from
        the group, somebody else may have written it."""
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        self._recoveries.clear()
        for tp in assigned:
            self.app.tables.recovery.revoke(tp)
