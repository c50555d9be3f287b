"""What scoring measures of itself."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass(frozen=True)
class Metrics:
    events: Counter
    rows: Counter
    rejected: Counter
    run_seconds: Histogram
    lag: Gauge
    clock: Gauge
    relationships: Gauge
    stale: Gauge

    def forget(self, partition: int) -> None:
        """The partition is no more ours."""
        for gauge in (self.lag, self.clock, self.relationships, self.stale):
            gauge.remove(str(partition))


def metrics(registry: CollectorRegistry) -> Metrics:
    def gauge(name: str, text: str) -> Gauge:
        return Gauge(f"rapport_scoring_{name}", text, ["partition"], registry=registry)

    return Metrics(
        events=Counter("rapport_scoring_events", "Records applied", registry=registry),
        rows=Counter("rapport_scoring_rows", "Score events told", registry=registry),
        rejected=Counter("rapport_scoring_rejected", "Records that were no event", registry=registry),
        run_seconds=Histogram("rapport_scoring_run_seconds", "Seconds per run of records", registry=registry),
        lag=gauge("lag", "Records behind the end of the log"),
        clock=gauge("clock_seconds", "The partition's clock, Unix seconds"),
        relationships=gauge("relationships", "Relationships in memory"),
        stale=gauge("stale", "Relationships whose history needs a heal"),
    )
