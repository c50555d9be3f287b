"""Several parts of one process, each on a thread of its own, that stop together."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from services.runtime import log
from services.runtime.breaker import BadDeployError
from services.runtime.health import Condition, Health, State

# A process that is told to stop has 2 s; closing its clients takes the rest.
STOP_SECONDS = 0.9

Parts = Mapping[str, Callable[[], None]]
"""What runs, each on a thread of its own, by name."""


def supervise(parts: Parts, stop: threading.Event) -> None:
    """Returns after `stop`; the first part to end sets it for all. Raises what the first failed part raised. A part
    that gave up on its own records, which may be one sender's, ends alone: the others are of use without it."""
    failures: list[BaseException] = []

    def run(part: Callable[[], None]) -> None:
        try:
            part()
        except BadDeployError as reason:
            log.get(__name__).error("part_stopped", part=threading.current_thread().name, reason=str(reason))
            return
        except BaseException as failure:  # noqa: BLE001 (raised again below, on the thread that waits)
            failures.append(failure)
        stop.set()

    # Daemons: one that waits for a broker that is away must not keep the process from ending in time.
    threads = [threading.Thread(target=run, args=(part,), name=name, daemon=True) for name, part in parts.items()]
    for thread in threads:
        thread.start()
    stop.wait()
    deadline = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if failures:
        raise failures[0]


# The first of these that any part is in is the state of the whole.
WORST_FIRST: tuple[State, ...] = ("stopping", "degraded", "starting", "ready")


class PartsReadiness:
    """For any thread."""

    def __init__(self, whole: Health) -> None:
        self._whole = whole
        self._parts: dict[str, Condition] = {}
        self._measured = _Measured()
        whole.metrics.register(self._measured)

    def part(self, name: str) -> Health:
        """What tells the condition of this part; until it does, the part is starting."""
        health = _ReadinessPart(name, self)
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


class _ReadinessPart(Health):
    def __init__(self, name: str, readiness: PartsReadiness) -> None:
        super().__init__()
        self._name, self._readiness = name, readiness

    def tell(self, state: State, detail: str = "") -> None:
        super().tell(state, detail)
        self._readiness.tell(self._name, self.condition)
