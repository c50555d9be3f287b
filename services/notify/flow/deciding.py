"""From the bytes of score events to alerts, desk by desk, in log order."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from schemas.alerts import AlertChanged
from schemas.primitives import Instant
from schemas.scores import SCORE_EVENT, ScoreEvent
from services.notify.domain.alerts import alert_changed
from services.notify.domain.desk import Desk, Touched
from services.notify.flow.intake import Polled
from services.notify.flow.metrics import Metrics
from services.runtime import log
from services.runtime.breaker import Breaker
from services.runtime.kafka import Record
from services.validation_errors import places_at_fault


class Deciding:
    """`decide` is to be followed by `touched`, and both by a transaction; then comes the next batch."""

    def __init__(self, desks: Mapping[int, Desk], now: Callable[[], Instant], metrics: Metrics) -> None:
        self._desks, self._now, self._metrics = desks, now, metrics
        self._breaker = Breaker()
        self._log = log.get(__name__)

    def decide(self, polled: Polled) -> list[AlertChanged]:
        """Raises BadDeployError when too many records in a row cannot be read."""
        decided_at = self._now()
        return [
            alert_changed(happened, decided_at)
            for partition in sorted(polled)
            for event in self._events(polled[partition])
            for happened in self._desks[partition.number].take(event)
        ]

    def touched(self, polled: Polled) -> dict[int, Touched]:
        return {partition.number: self._desks[partition.number].touched() for partition in polled}

    def _events(self, records: Sequence[Record]) -> Iterator[ScoreEvent]:
        """What is no score event stays on its topic and is told as an error."""
        for record in records:
            try:
                event = SCORE_EVENT.validate_json(record.value or b"")
            except ValidationError as invalid:
                self._refuse(record, invalid)
            else:
                self._breaker.passed()
                yield event

    def _refuse(self, record: Record, invalid: ValidationError) -> None:
        self._metrics.refused.inc()
        reason = places_at_fault(invalid)
        self._log.error(
            "score_refused", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
        self._breaker.refused(reason)
