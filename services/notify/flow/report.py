"""What notify tells of a batch: its canonical line, the figures, and its health."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.alerts import AlertChanged, Delivery
from services.notify.flow.intake import Polled
from services.notify.flow.metrics import Metrics
from services.runtime import log
from services.runtime.health import Health


@dataclass(frozen=True)
class Backlog:
    """Scores not read yet, deliveries without an outcome, and how many of these are held back."""

    lag: int
    waiting: int
    held: int


class Report:
    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health, self._metrics = health, metrics
        self._log = log.get(__name__)

    def backlog(self, backlog: Backlog) -> None:
        self._metrics.lag.set(backlog.lag)
        self._metrics.waiting.set(backlog.waiting)
        held = f", {backlog.held} of them held until scores have caught up" if backlog.held else ""
        self._health.tell("ready", f"lag {backlog.lag}, {backlog.waiting} deliveries waiting{held}")

    def batch(self, polled: Polled, alerts: Sequence[AlertChanged], seconds: float) -> None:
        records = sum(map(len, polled.values()))
        self._metrics.scores.inc(records)
        self._metrics.seconds.observe(seconds)
        for alert in alerts:
            told = "no" if alert.data.not_sent else "yes"
            self._metrics.alerts.labels(alert.data.rule, alert.data.transition, told).inc()
        self._log.info(
            "batch_done",
            records=records,
            last_offsets={partition.number: found[-1].offset for partition, found in polled.items()},
            alerts=len(alerts),
            seconds=round(seconds, 3),
            outcome="committed",
        )

    def outcomes(self, outcomes: Sequence[Delivery]) -> None:
        for delivery in outcomes:
            self._metrics.deliveries.labels(delivery.channel, delivery.state).inc()
            tell = self._log.info if delivery.state == "delivered" else self._log.warning
            tell(
                "delivery_done" if delivery.state != "planned" else "delivery_put_off",
                delivery_id=delivery.delivery_id,
                channel=delivery.channel,
                transition=delivery.transition,
                state=delivery.state,
                attempt=delivery.attempt,
                status=delivery.status,
                seconds=delivery.latency_seconds,
            )
