"""What ingest counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class IngestMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "rapport_ingest_events",
            "Events handed in, by way (http, raw) and outcome (recorded, duplicate, or the reason of a rejection)",
            ["way", "outcome"],
            registry=registry,
        )
        self.dropped = Counter(
            "rapport_ingest_dropped_attributes",
            "Attributes of events that are not on the log because we do not know them, by way (http, raw)",
            ["way"],
            registry=registry,
        )
        self.payloads = Counter(
            "rapport_ingest_payloads",
            "Of tools, by tool, place (http: requests; log: payloads of the raw topic) and outcome",
            ["tool", "place", "outcome"],
            registry=registry,
        )
        self.requests = Histogram(
            "rapport_ingest_request_seconds",
            "From the head of a request to its answer, which waits for the broker",
            ["status"],
            registry=registry,
        )
        self.fetches = Gauge(
            "rapport_ingest_waiting_fetches",
            "What notifications of tools point to and is not fetched yet",
            registry=registry,
        )
        self.outstanding = Gauge(
            "rapport_ingest_outstanding_bytes", "Of requests that wait for the broker", registry=registry
        )
        self.connections = Gauge("rapport_ingest_connections", "Open to the gateway", registry=registry)
        self.connections_cut = Counter(
            "rapport_ingest_connections_cut",
            "Connections that the gateway ended by itself, by why",
            ["why"],
            registry=registry,
        )
