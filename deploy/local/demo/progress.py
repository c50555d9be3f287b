"""How far the services are, read from their metrics."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

EVERY_SECONDS = 0.5
WITHIN_SECONDS = 600.0


class NotCaughtUpError(Exception):
    """The services did not get through what was streamed; the message says where each stood."""


@dataclass(frozen=True)
class Standing:
    """Seconds of Unix time that scoring has reached on all partitions, and what each service still has before it."""

    clock: float
    scoring: float
    notify: float
    deliveries: float
    warehouse: float

    @property
    def rest(self) -> float:
        return self.scoring + self.notify + self.deliveries + self.warehouse


def wait_for(end: float, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Returns when scoring's clocks have reached `end` and nothing is left to do, seen twice in a row, since a service
    learns of new records only by asking. Raises NotCaughtUpError."""
    deadline, seen, told = time.monotonic() + WITHIN_SECONDS, 0, time.monotonic()
    while seen < 2:  # noqa: PLR2004 (twice)
        standing = _standing(environment)
        seen = seen + 1 if standing and standing.clock >= end and standing.rest == 0 else 0
        if time.monotonic() > deadline:
            raise NotCaughtUpError(f"after {WITHIN_SECONDS:.0f} s: {standing}")
        if standing and time.monotonic() - told > 5:  # noqa: PLR2004 (seconds between two words)
            told = time.monotonic()
            say(f"  to score {standing.scoring:.0f}, to judge {standing.notify:.0f}, to store {standing.warehouse:.0f}")
        time.sleep(EVERY_SECONDS)


def _standing(environment: Mapping[str, str]) -> Standing | None:
    """None while a service does not answer."""
    try:
        scoring, notify, warehouse = (
            _samples(environment[f"RAPPORT_{name}_HEALTH_PORT"]) for name in ("SCORING", "NOTIFY", "WAREHOUSE")
        )
    except httpx.HTTPError:
        return None
    return Standing(
        clock=min(scoring.get("rapport_scoring_clock_seconds", [0.0])),
        scoring=sum(scoring.get("rapport_scoring_lag", [])),
        notify=sum(notify.get("rapport_notify_lag", [])),
        deliveries=sum(notify.get("rapport_notify_deliveries_waiting", [])),
        warehouse=sum(warehouse.get("rapport_consumer_lag", [])),
    )


def _samples(port: str) -> dict[str, list[float]]:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).raise_for_status()
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    return found
