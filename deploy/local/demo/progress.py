"""How far the services are, read from their metrics."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

EVERY_SECONDS = 0.5
ANSWERED_SECONDS = 5.0
WITHIN_SECONDS = 600.0
TOLD_EVERY_SECONDS = 10.0
YEAR_SECONDS = 365 * 86_400.0
"""Of the log's clock, which each wait is for."""
LEAST_SHARE = 0.1
"""Of the work: what is done before says little of how long the rest takes."""


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
    began = time.monotonic()
    told = began - TOLD_EVERY_SECONDS / 2  # the first line soon
    progress, seen = Progress(), 0
    # One client for all questions: each reads all certificates that the machine trusts, 25 ms of CPU.
    with httpx.Client(timeout=ANSWERED_SECONDS) as client:
        while seen < 2:  # noqa: PLR2004 (twice)
            standing, now = _standing(client, environment), time.monotonic()
            seen = seen + 1 if standing and standing.clock >= end and standing.rest == 0 else 0
            if now - began > WITHIN_SECONDS:
                raise NotCaughtUpError(f"after {WITHIN_SECONDS:.0f} s: {standing}")
            if standing:
                progress.seen(standing.rest, 1 - (end - standing.clock) / YEAR_SECONDS)
            if now - told > TOLD_EVERY_SECONDS:
                told = now
                say(f"  {progress.in_words(now - began)}")
            time.sleep(EVERY_SECONDS)


class Progress:
    """How much of the work is done. More of it may come to light meanwhile, since one service makes work for the next:
    the share that is told never falls."""

    def __init__(self) -> None:
        self._most = self._share = 0.0

    def seen(self, rest: float, reached: float) -> None:
        """So much is left of what is known by now, and such a share of the time is reached: each of its days makes work
        for the services behind."""
        self._most = max(self._most, rest)
        done = 1 - rest / self._most if self._most else 0.0
        self._share = max(self._share, done * min(1.0, max(0.0, reached)))

    def in_words(self, seconds: float) -> str:
        """`seconds` since it began."""
        percent = min(99, round(100 * self._share))
        left = seconds * (1 - self._share) / max(self._share, LEAST_SHARE)
        estimate = f", about {max(5, round(left / 5) * 5)} s left" if self._share >= LEAST_SHARE else ""
        return f"{percent} % done{estimate}"


def _standing(client: httpx.Client, environment: Mapping[str, str]) -> Standing | None:
    """None while a service does not answer."""
    try:
        scoring, notify, warehouse = (
            _samples(client, environment[f"RAPPORT_{name}_HEALTH_PORT"]) for name in ("SCORING", "NOTIFY", "WAREHOUSE")
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


def _samples(client: httpx.Client, port: str) -> dict[str, list[float]]:
    answer = client.get(f"http://127.0.0.1:{port}/metrics").raise_for_status()
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    return found
