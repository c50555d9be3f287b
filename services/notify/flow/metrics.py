"""What notify counts, made in the composition root."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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
        self.lag = Gauge("rapport_notify_lag", "Score events not yet read", registry=registry)
        self.seconds = Histogram("rapport_notify_batch_seconds", "From polled to committed", registry=registry)
