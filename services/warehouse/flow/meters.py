"""What the warehouse service counts."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class Meters:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter(
            "rapport_warehouse_rows", "Rows stored, repeats after a crash included", ["table"], registry=registry
        )
        self.dead_letters = Counter(
            "rapport_warehouse_dead_letters", "Records that could not be stored", ["topic"], registry=registry
        )
        self.put_seconds = Histogram(
            "rapport_warehouse_put_seconds", "Time to store one batch", ["table"], registry=registry
        )
