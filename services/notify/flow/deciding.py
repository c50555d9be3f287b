"""From the bytes of score events to alerts, desk by desk, in log order."""

from collections.abc import Callable, Mapping

from pydantic import ValidationError

from schemas.alerts import AlertChanged
from schemas.events import partition_key
from schemas.primitives import Instant
from schemas.scores import SCORE_EVENT
from services.notify.domain.decisions import alert_changed
from services.notify.domain.evaluation import Transitioned
from services.notify.domain.partition_alerts import PartitionAlerts, Touched
from services.notify.flow.intake import Polled
from services.notify.flow.metrics import Metrics
from services.runtime import log
from services.runtime.breaker import Breaker
from services.runtime.kafka import Record
from services.runtime.unexpected import described
from services.validation_errors import places


class Deciding:
    """`decide` is to be followed by `touched`, and both by a transaction; then comes the next batch."""

    def __init__(
        self, partition_alerts_by_number: Mapping[int, PartitionAlerts], now: Callable[[], Instant], metrics: Metrics
    ) -> None:
        self._partition_alerts, self._now, self._metrics = partition_alerts_by_number, now, metrics
        self._breaker = Breaker()
        self._log = log.get(__name__)

    def decide(self, polled: Polled) -> list[AlertChanged]:
        """Raises BadDeployError when too many records in a row cannot be read."""
        decided_at = self._now()
        alerts: list[AlertChanged] = []
        for partition in sorted(polled):
            partition_alerts = self._partition_alerts[partition.number]
            for record in polled[partition]:
                alerts += self._decided(partition_alerts, record, decided_at)
            for key, failure in partition_alerts.forgotten():
                self._metrics.forgotten.inc()
                self._log.error("watch_begun_anew", partition=partition.number, relationship=key, **described(failure))
        return alerts

    def touched(self, polled: Polled) -> dict[int, Touched]:
        return {partition.number: self._partition_alerts[partition.number].touched() for partition in polled}

    def _decided(self, partition_alerts: PartitionAlerts, record: Record, decided_at: Instant) -> list[AlertChanged]:
        """What is no score event, or cannot be judged, stays on its topic and is told as an error."""
        try:
            transitioned = partition_alerts.take(SCORE_EVENT.validate_json(record.value or b""))
        except ValidationError as invalid:
            self._refuse(record, "; ".join(places(invalid)))
            return []
        except Exception as failure:  # noqa: BLE001 (refused, told, and counted)
            found = described(failure)
            self._refuse(record, f"failed: {found['error']} at {found['raised_at']}")
            return []
        self._breaker.passed()
        return [alert for one in transitioned if (alert := self._alert(partition_alerts, one, decided_at))]

    def _alert(
        self, partition_alerts: PartitionAlerts, transitioned: Transitioned, decided_at: Instant
    ) -> AlertChanged | None:
        """None where the state that brought it about does not even say of what: its watch begins anew."""
        try:
            return alert_changed(transitioned, decided_at)
        except Exception as failure:  # noqa: BLE001 (told by whoever asks for what was forgotten)
            partition_alerts.forget(partition_key(transitioned.watch.tenant, transitioned.watch.relationship), failure)
            return None

    def _refuse(self, record: Record, reason: str) -> None:
        self._metrics.refused.inc()
        self._log.error(
            "score_refused", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
        self._breaker.refused(reason)
