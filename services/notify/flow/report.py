"""The metrics of notify, the canonical log line of a batch, and its health."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.alerts import AlertChanged, Delivery
from services.notify.domain.deliveries import has_ended
from services.notify.domain.outbox import Parked
from services.notify.domain.preferences import AddressOff
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import Partition, Record


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.scores = Counter("rapport_notify_scores", "Score events handled", registry=registry)
        self.refused = Counter("rapport_notify_refused", "Score events that could not be read", registry=registry)
        self.commands_refused = Counter(
            "rapport_notify_commands_refused",
            "Acts of people that were refused or could not be read",
            registry=registry,
        )
        self.unreadable = Counter(
            "rapport_notify_unreadable", "Records of its own state that were left out at the start", registry=registry
        )
        self.forgotten = Counter(
            "rapport_notify_forgotten", "Watches begun anew, nothing could be decided on them", registry=registry
        )
        self.alerts = Counter(
            "rapport_notify_alerts", "Transitions decided", ("rule", "transition", "sent"), registry=registry
        )
        self.deliveries = Counter(
            "rapport_notify_deliveries", "Attempts by outcome", ("channel", "state"), registry=registry
        )
        self.waiting = Gauge("rapport_notify_deliveries_waiting", "Deliveries without an outcome", registry=registry)
        self.parked = Gauge(
            "rapport_notify_destination_down", "1 where nothing arrives, 0 else", ("destination",), registry=registry
        )
        self.destinations_unreadable = Gauge(
            "rapport_notify_destinations_unreadable",
            "1 while the file of destinations is at fault, and the former one counts",
            registry=registry,
        )
        self.addresses_off = Counter(
            "rapport_notify_addresses_off",
            "Mail addresses that were refused for good",
            ("destination",),
            registry=registry,
        )
        self.people_unreadable = Counter(
            "rapport_notify_people_unreadable", "Records of people and programmes that were left out", registry=registry
        )
        self.inputs_unreadable = Counter(
            "rapport_notify_inputs_unreadable",
            "Records of programmes, sources and rules that were left out",
            ("topic",),
            registry=registry,
        )
        self.lag = Gauge("rapport_notify_lag", "Records, but acts, that are not read yet or in hand", registry=registry)
        self.seconds = Histogram("rapport_notify_batch_seconds", "From polled to committed", registry=registry)


class Report:
    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health, self._metrics = health, metrics
        self._down: set[str] = set()
        self._log = log.get(__name__)

    def backlog(self, lag: int, waiting: int, held: int, down: Mapping[str, Parked]) -> None:
        """Report the lag in records, deliveries without an outcome, how many of these are held back, and destinations
        that are down."""
        self._metrics.lag.set(lag)
        self._metrics.waiting.set(waiting)
        for name in {*down, *self._down}:
            self._metrics.parked.labels(name).set(name in down)
        self._down = set(down)
        words = f"lag {lag}, {waiting} deliveries waiting"
        words += f", {held} of them held until scores have caught up" if held else ""
        words += "".join(f"; {name} is down: {parked.reason}" for name, parked in sorted(down.items()))
        self._health.report("degraded" if down else "ready", words)

    def batch(
        self, polled: Mapping[Partition, Sequence[Record]], alerts: Sequence[AlertChanged], seconds: float
    ) -> None:
        records = sum(map(len, polled.values()))
        self._metrics.scores.inc(records)
        self._metrics.seconds.observe(seconds)
        for alert in alerts:
            sent = "no" if alert.data.not_sent else "yes"
            self._metrics.alerts.labels(alert.data.rule, alert.data.transition, sent).inc()
        self._log.info(
            "batch_done",
            records=records,
            last_offsets={partition.number: found[-1].offset for partition, found in polled.items()},
            alerts=len(alerts),
            seconds=round(seconds, 3),
            outcome="committed",
        )

    def addresses_off(self, addresses: Sequence[AddressOff]) -> None:
        for one in addresses:
            self._metrics.addresses_off.labels(one.destination).inc()
            self._log.error("address_switched_off", destination=one.destination, person=one.person, status=one.status)

    def outcomes(self, outcomes: Sequence[Delivery]) -> None:
        for delivery in outcomes:
            self._metrics.deliveries.labels(delivery.channel, delivery.state).inc()
            log_event = self._log.info if delivery.state in {"delivered", "superseded"} else self._log.warning
            log_event(
                "delivery_done" if has_ended(delivery) else "delivery_put_off",
                delivery_id=delivery.delivery_id,
                channel=delivery.channel,
                destination=delivery.recipient,
                transition=delivery.transition,
                state=delivery.state,
                attempt=delivery.attempt,
                status=delivery.status,
                seconds=delivery.latency_seconds,
            )
