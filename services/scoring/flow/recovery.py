"""Recovery: Faust reads the changelog of newly assigned partitions, our own merge makes states of it."""

from collections.abc import Callable, Iterable

import faust

from services.scoring.domain.changelog import Recovery
from services.scoring.flow.sequencer import Untyped


class RunSchema(faust.Schema):  # type: ignore[misc]
    """Passes a run through as it is: decoding is ours."""

    def compile(self, app: Untyped, **_options: Untyped) -> Callable[..., Untyped]:
        create = app.create_event

        async def decode(message: Untyped, *, propagate: bool = False) -> Untyped:  # noqa: ARG001 (Faust passes it)
            return create(message.key, message.value, None, message)

        return decode


class StateTable(faust.Table):  # type: ignore[misc]
    """A table that only recovers. Its changelog is written by the worker itself, acknowledged before the input is."""

    def __init__(self, *args: Untyped, **options: Untyped) -> None:
        super().__init__(*args, **options)
        self._recoveries: dict[int, Recovery] = {}

    def take(self, partition: int) -> Recovery:
        """What was recovered of a partition, merged; nothing is kept here."""
        return self._recoveries.pop(partition, Recovery()).finish()

    def drop(self, partition: int) -> None:
        self._recoveries.pop(partition, None)

    def apply_changelog_batch(self, batch: Iterable[Untyped]) -> None:
        for event in batch:
            for record in event.value:
                recovery = self._recoveries.setdefault(record.partition, Recovery())
                recovery.add(record.key, record.value)

    async def on_rebalance(
        self, assigned: Untyped, revoked: Untyped, newly_assigned: Untyped, generation_id: int = 0
    ) -> None:
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        for tp in revoked:
            if tp.topic == self.changelog_topic_name:
                self.drop(tp.partition)
