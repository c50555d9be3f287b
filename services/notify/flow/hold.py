"""Holds back what is planned while scores lag behind the wall clock: the next may already say that all is well."""

from collections.abc import Callable, Mapping, Sequence

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain.guards import Clock, is_behind
from services.notify.domain.partition_alerts import PartitionAlerts


class Hold:
    def __init__(
        self, partition_alerts_by_number: Mapping[int, PartitionAlerts], clock: Clock, now: Callable[[], Instant]
    ) -> None:
        self._partition_alerts, self._clock, self._now = partition_alerts_by_number, clock, now
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
        partition_alerts_by_number = (
            partition_alerts
            for partition_alerts in self._partition_alerts.values()
            if partition_alerts.watches(delivery.tenant, delivery.relationship)
        )
        return any(is_behind(partition_alerts.clock, now) for partition_alerts in partition_alerts_by_number)
