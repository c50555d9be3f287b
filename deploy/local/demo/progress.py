"""Progress of the services, read from their metrics."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

POLL_SECONDS = 0.5
REQUEST_TIMEOUT_SECONDS = 5.0
GIVE_UP_SECONDS = 600.0
REPORT_EVERY_SECONDS = 10.0
YEAR_SECONDS = 365 * 86_400.0
"""On the log's clock: each wait covers one year."""
MIN_SHARE_TO_ESTIMATE = 0.1
"""Of the work: before this share is done, the remaining time cannot be estimated."""


class NotCaughtUpError(Exception):
    """The services did not process everything that was streamed; the message gives the lag of each."""


@dataclass(frozen=True)
class ServiceLag:
    """`clock`: the Unix time in seconds that scoring has reached on all partitions. The others: the records that each
    service has still to process."""

    clock: float
    scoring: float
    notify: float
    deliveries: float
    warehouse: float

    @property
    def total(self) -> float:
        return self.scoring + self.notify + self.deliveries + self.warehouse


def wait_until_caught_up(end: float, environment: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Return when scoring's clocks have reached `end` and there is no lag in two polls in a row, because a service
    learns of new records only by polling. Raises NotCaughtUpError."""
    began = time.monotonic()
    reported_at = began - REPORT_EVERY_SECONDS / 2  # the first line soon
    progress, idle_polls = Progress(), 0
    # One client for all requests: each new one loads the machine's trusted certificates, 25 ms of CPU.
    with httpx.Client(timeout=REQUEST_TIMEOUT_SECONDS) as client:
        while idle_polls < 2:  # noqa: PLR2004 (twice)
            lag, now = _service_lag(client, environment), time.monotonic()
            idle_polls = idle_polls + 1 if lag and lag.clock >= end and lag.total == 0 else 0
            if now - began > GIVE_UP_SECONDS:
                raise NotCaughtUpError(f"after {GIVE_UP_SECONDS:.0f} s: {lag}")
            if lag:
                progress.update(lag.total, 1 - (end - lag.clock) / YEAR_SECONDS)
            if now - reported_at > REPORT_EVERY_SECONDS:
                reported_at = now
                report(f"  {progress.describe(now - began)}")
            time.sleep(POLL_SECONDS)


class Progress:
    """The share of the work that is done. One service creates work for the next, so the known work may grow; the
    reported share never falls."""

    def __init__(self) -> None:
        self._most = self._share = 0.0

    def update(self, lag: float, reached: float) -> None:
        """`lag` is the remaining known work; `reached` the share of the time that scoring has reached, because each
        further day creates work for the services behind it."""
        self._most = max(self._most, lag)
        done = 1 - lag / self._most if self._most else 0.0
        self._share = max(self._share, done * min(1.0, max(0.0, reached)))

    def describe(self, seconds: float) -> str:
        """`seconds` since the start."""
        percent = min(99, round(100 * self._share))
        left = seconds * (1 - self._share) / max(self._share, MIN_SHARE_TO_ESTIMATE)
        estimate = f", about {max(5, round(left / 5) * 5)} s left" if self._share >= MIN_SHARE_TO_ESTIMATE else ""
        return f"{percent} % done{estimate}"


def _service_lag(client: httpx.Client, environment: Mapping[str, str]) -> ServiceLag | None:
    """Return None while a service does not answer."""
    try:
        scoring, notify, warehouse = (
            _samples(client, environment[f"RAPPORT_{name}_HEALTH_PORT"]) for name in ("SCORING", "NOTIFY", "WAREHOUSE")
        )
    except httpx.HTTPError:
        return None
    return ServiceLag(
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
