"""The metrics of scoring."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.scoring.domain.bounds import SECOND
from services.scoring.flow.assigned_partition import AssignedPartition


class ScoringMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"rapport_scoring_{name}", text, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"rapport_scoring_{name}", text, ["partition"], registry=registry)

        self.events = counter("events", "Records applied")
        self.rows = counter("rows", "Score events emitted")
        self.rejected = counter("rejected", "Records that were no event")
        self.unreadable_states = counter(
            "unreadable_states", "Records of the changelog that this service did not write"
        )
        self.run_seconds = Histogram("rapport_scoring_run_seconds", "Seconds per run of records", registry=registry)
        self.lag = gauge("lag", "Records behind the end of the log")
        self.clock = gauge("clock_seconds", "The partition's clock, Unix seconds")
        self.relationships = gauge("relationships", "Relationships in memory")
        self.indexed_facts = gauge("indexed_facts", "Facts of relationships worked with last, indexed in memory")
        self.packed_bytes = gauge("packed_bytes", "Bytes of the packed facts and of the outlooks of all relationships")
        self.stale = gauge("stale", "Relationships whose history needs a heal")
        self.log_gap = gauge("log_gap", "Records that the log lost before they were applied: the partition stands")

    def measure(self, assigned: AssignedPartition, end: int, lost: int) -> None:
        """`end`: of the partition's log; `lost`: the records of a gap that it stands before."""
        label, partition = str(assigned.number), assigned.partition
        self.lag.labels(label).set(max(0, end - partition.offset - 1))
        self.clock.labels(label).set(partition.clock / SECOND)
        self.log_gap.labels(label).set(lost)
        self.relationships.labels(label).set(len(partition.states))
        self.indexed_facts.labels(label).set(partition.indexed_facts)
        self.packed_bytes.labels(label).set(partition.packed_bytes)
        self.stale.labels(label).set(assigned.stale.count(partition.states, partition.clock))

    def forget(self, partition: int) -> None:
        """The partition is no longer assigned."""
        for metric in vars(self).values():
            if isinstance(metric, Gauge):
                metric.remove(str(partition))
