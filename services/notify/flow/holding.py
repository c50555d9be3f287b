"""Holds back what is planned while scores lag behind the wall clock: the next may already say that all is well."""

from collections.abc import Callable, Mapping, Sequence

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain.desk import Desk
from services.notify.domain.guards import Clock, is_behind


class Holding:
    def __init__(self, desks: Mapping[int, Desk], clock: Clock, now: Callable[[], Instant]) -> None:
        self._desks, self._clock, self._now = desks, clock, now
        self._held: list[Delivery] = []

    def __len__(self) -> int:
        return len(self._held)

    def released(self, planned: Sequence[Delivery]) -> list[Delivery]:
        """Those of the held and the new ones that may go now, in their order."""
        now, every = self._now(), [*self._held, *planned]
        behind = [delivery for delivery in every if self._waits(delivery, now)]
        self._held = behind
        waiting = {delivery.delivery_id for delivery in behind}
        return [delivery for delivery in every if delivery.delivery_id not in waiting]

    def _waits(self, delivery: Delivery, now: Instant) -> bool:
        """On the log's own clock nothing waits, and nothing that was started once."""
        if self._clock == "log" or delivery.started_at is not None:
            return False
        desks = (desk for desk in self._desks.values() if desk.watches(delivery.tenant, delivery.relationship))
        return any(is_behind(desk.clock, now) for desk in desks)
