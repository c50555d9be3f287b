"""One readiness out of several parts: the process is ready when every part is."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from services.runtime.health import Condition, Health, State

# The first of these that any part is in is the state of the whole.
WORST_FIRST: tuple[State, ...] = ("stopping", "degraded", "starting", "ready")


class Readiness:
    """For any thread."""

    def __init__(self, whole: Health) -> None:
        self._whole = whole
        self._parts: dict[str, Condition] = {}
        self._measured = _Measured()
        whole.metrics.register(self._measured)

    def part(self, name: str) -> Health:
        """What tells the condition of this part; until it does, the part is starting."""
        health = _Part(name, self)
        self._measured.registries[name] = health.metrics
        health.tell("starting")
        return health

    def tell(self, name: str, condition: Condition) -> None:
        self._parts[name] = condition
        parts = dict(self._parts)
        states = {condition.state for condition in parts.values()}
        worst = next(state for state in WORST_FIRST if state in states)
        self._whole.tell(worst, "; ".join(f"{name}: {c.detail or c.state}" for name, c in parts.items()))


class _Measured(Collector):
    """What the parts measure, each with a label `part`: consumers of one process tell their lag by one name."""

    def __init__(self) -> None:
        self.registries: dict[str, CollectorRegistry] = {}

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for name, registry in dict(self.registries).items():
            for measured in registry.collect():
                whole = found.setdefault(
                    measured.name, Metric(measured.name, measured.documentation, measured.type, measured.unit)
                )
                whole.samples += [
                    sample._replace(labels={**sample.labels, "part": name}) for sample in measured.samples
                ]
        yield from found.values()


class _Part(Health):
    def __init__(self, name: str, readiness: Readiness) -> None:
        super().__init__()
        self._name, self._readiness = name, readiness

    def tell(self, state: State, detail: str = "") -> None:
        super().tell(state, detail)
        self._readiness.tell(self._name, self.condition)
