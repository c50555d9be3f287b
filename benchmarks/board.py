"""Measures page times of the board with 2,000 pairs, and 200 acts at once: `python benchmarks/board.py --help`."""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from random import Random

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import httpx

from benchmarks.command import CACHE
from benchmarks.machine import machine
from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.ports import free_port
from schemas.events import partition_key, to_json
from schemas.rules import RULES
from schemas.scores import (
    Before,
    ClockAdvanced,
    Part,
    PartitionClock,
    RiskTerm,
    Score,
    ScoreChanged,
    ScoreEvent,
    ScoreRow,
)
from schemas.topics import ALERT_STATE, ALERTS, TOPICS
from services.notify.domain import record
from services.notify.domain.decisions import alert_changed
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.record import CLOCK_KEY, ClockRecord, WatchRecord
from services.runtime.kafka import Producer, create_topics, partition_of
from services.runtime.settings import Settings

PARTITIONS, DAYS = 4, 14
PAGE_AIM_MS, BULK_AIM_SECONDS = 200.0, 1.0
READY_SECONDS = 120.0
TENANT, PROGRAMS = "acme", ("spruce", "maple", "birch")
RAPPORT = (sys.executable, "-m", "services.cli")
BULK = 200
QUIET_SHARE, LOW_SHARE = 0.08, 0.08
"""Of all pairs: those whose risk rises, and those whose health falls over the two weeks."""


@dataclass(frozen=True)
class Timing:
    page: str
    milliseconds: Sequence[float]

    def percentile(self, share: float) -> float:
        return sorted(self.milliseconds)[min(len(self.milliseconds), ceil(share * len(self.milliseconds))) - 1]


@click.command()
@click.option("--pairs", type=click.IntRange(100), default=2_000, show_default=True)
@click.option("--rounds", type=click.IntRange(5), default=60, show_default=True, help="Requests of each page.")
def main(pairs: int, rounds: int) -> None:
    """Serve a board over the state of the given number of pairs, as a process on a separate broker, without
    ClickHouse."""
    CACHE.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=CACHE) as scratch,
        _running(Path(scratch), pairs) as url,
        httpx.Client(base_url=url, timeout=60, follow_redirects=True) as client,
    ):
        timings = [_time_page(client, page, rounds) for page in _pages(client)]
        for one in timings:
            p50, p95 = one.percentile(0.5), one.percentile(0.95)
            click.echo(f"{one.page.ljust(22)} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms")
        worst = max(one.percentile(0.95) for one in timings)
        click.echo(f"worst p95 {worst:.1f} ms, aim {PAGE_AIM_MS:g}: {'met' if worst <= PAGE_AIM_MS else 'NOT MET'}")
        seconds = _bulk(client)
    verdict = "met" if seconds <= BULK_AIM_SECONDS else "NOT MET"
    click.echo(f"{BULK} acknowledged at once in {seconds:.2f} s, aim {BULK_AIM_SECONDS:g}: {verdict}")
    click.echo(f"{pairs} pairs. On {machine()}.")


@contextmanager
def _running(scratch: Path, pairs: int) -> Iterator[str]:
    """Yield the address of a board; notify runs beside it."""
    with ExitStack() as stack:
        kafka = stack.enter_context(LocalKafka(KafkaConfig(scratch / "kafka", CACHE / "cache")))
        settings = Settings(kafka=kafka.bootstrap)
        create_topics(settings, {topic.name: topic.options(PARTITIONS, 1) for topic in TOPICS})
        _write_state(settings, _events(pairs))
        port = free_port(set())
        environment = {
            **project_environment(),
            "RAPPORT_KAFKA": kafka.bootstrap,
            "RAPPORT_CLICKHOUSE": "http://127.0.0.1:1",
            "RAPPORT_NOTIFY_BOARD_PORT": str(port),
            "RAPPORT_NOTIFY_BOARD_OPEN": "true",
        }
        for name in ("serve", "board"):
            child = Child(ChildCommand((*RAPPORT, "notify", name), log=scratch / f"{name}.log", env=environment))
            child.launch()
            stack.callback(child.stop)
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url)
        yield url


def _wait_until_up(url: str) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/healthz", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError(f"the board was not there after {READY_SECONDS:g} s")


def _pages(client: httpx.Client) -> Sequence[str]:
    key = client.get("/").text.partition('data-key="')[2].partition('"')[0]
    return (
        "/",
        "/?q=pair-12",
        "/?sort=name",
        "/?sort=due",
        f"/alerts/{key}",
        "/relationships/acme/pair-1",
        "/programmes",
        "/programmes/acme/spruce",
        "/silences",
        "/deliveries?show=all",
        "/rules",
        "/status",
    )


def _time_page(client: httpx.Client, page: str, rounds: int) -> Timing:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        client.get(page).raise_for_status()
        found.append(1000 * (time.perf_counter() - began))
    return Timing(page[:20], found)


def _bulk(client: httpx.Client) -> float:
    """Return the seconds from the form to the page with the result of each row, once notify leads and answers."""
    deadline = time.monotonic() + READY_SECONDS
    while "Acknowledged" not in _act(client, "acknowledge", 1)[1]:
        if time.monotonic() > deadline:
            raise TimeoutError("notify answers nobody")
        time.sleep(0.5)
    _act(client, "unacknowledge", BULK)
    seconds, text = _act(client, "acknowledge", BULK)
    if "not answered yet" in text:
        raise TimeoutError("notify did not answer within the time that a page waits")
    return seconds


def _act(client: httpx.Client, act: str, most: int) -> tuple[float, str]:
    """Return the seconds, and the resulting page."""
    text = client.get("/").text
    keys = [part.partition('"')[0] for part in text.split('data-key="')[1 : most + 1]]
    names = ("csrf", "form", "back")
    fields = {name: text.partition(f'name="{name}" value="')[2].partition('"')[0] for name in names}
    began = time.perf_counter()
    answer = client.post("/alerts", data={**fields, "act": act, "key": keys}).raise_for_status()
    return time.perf_counter() - began, answer.text


def _write_state(settings: Settings, events: Mapping[int, Sequence[ScoreEvent]]) -> None:
    """Write what notify stores for these events."""
    producer, decided_at = Producer(settings), datetime.now(UTC)
    for number, events_of_partition in events.items():
        alerts = PartitionAlerts(Evaluator(RULES, "wall"), {}, None)
        for event in events_of_partition:
            for transitioned in alerts.apply(event):
                changed = alert_changed(transitioned, decided_at)
                producer.send(ALERTS.name, changed.partitionkey.encode(), to_json(changed))
        changes = alerts.drain_changes()
        for key, watch in changes.watches.items():
            producer.send(ALERT_STATE.name, key.encode(), record.dump(WatchRecord(watch=watch)), partition=number)
        assert changes.clock is not None, "the clock has moved"
        producer.send(ALERT_STATE.name, CLOCK_KEY, record.dump(ClockRecord(clock=changes.clock)), partition=number)
    producer.close()


def _events(pairs: int) -> Mapping[int, Sequence[ScoreEvent]]:
    """Return two weeks of each pair by partition, in time order."""
    rng, begin = Random(7), datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)
    found: dict[int, list[ScoreEvent]] = {number: [] for number in range(PARTITIONS)}
    kinds = [rng.random() for _ in range(pairs)]
    for day in range(DAYS):
        for pair, kind in enumerate(kinds):
            low, quiet = kind < LOW_SHARE, LOW_SHARE <= kind < LOW_SHARE + QUIET_SHARE
            health = max(20.0, 70.0 - 4.0 * day) if low else 60.0 + 30 * rng.random()
            risk = min(0.9, 0.3 + 0.05 * day) if quiet else 0.4 * rng.random()
            event = _changed(pair, begin + timedelta(days=day), (round(health, 6), round(risk, 6)))
            found[partition_of(event.partitionkey.encode(), PARTITIONS)].append(event)
    for number, events_of_partition in found.items():
        events_of_partition.append(_clock(number, datetime.now(UTC)))
    return found


def _changed(pair: int, at: datetime, values: tuple[float, float]) -> ScoreChanged:
    health, risk = values
    rhythm = min(health, 55.0)
    score = Score(
        causes=("midnight",),
        health=health,
        band="thriving" if health >= 75 else "steady" if health >= 50 else "strained" if health >= 25 else "critical",  # noqa: PLR2004 (as scoring has them)
        risk=risk,
        parts=(
            Part(name="rhythm", value=round(rhythm / 55, 6), weight=55, contribution=rhythm, delta=0.0),
            Part(name="reliability", value=0.5, weight=45, contribution=round(health - rhythm, 6), delta=0.0),
        ),
        risk_terms=(RiskTerm(name="base", value=0.5), RiskTerm(name="silence", value=1.9)),
        before=Before(as_of=at, health=health, band="steady", risk=risk),
        confidence=0.6,
        trend=0.0,
        status="active",
        started=at - timedelta(days=200),
        cadence_days=14.0,
        last_contact=at - timedelta(days=2),
        next_session=None,
        open_requests=(),
        sources=("bench",),
        calibrated=False,
        profile="default-1",
        model="1",
        calibration="default",
    )
    key = partition_key(TENANT, f"pair-{pair}")
    return ScoreChanged(
        type="mentoring.score.changed.v1",
        source="bench",
        id=f"{pair}-{at.timestamp()}",
        time=at,
        recordedtime=at,
        tenant=TENANT,
        subject=f"pair-{pair}",
        program=PROGRAMS[pair % len(PROGRAMS)],
        partitionkey=key,
        data=ScoreRow(as_of=at, position=1, mode="live", deleted=False, trigger=None, score=score),
    )


def _clock(partition: int, at: datetime) -> ClockAdvanced:
    return ClockAdvanced(
        type="mentoring.clock.advanced.v1",
        source="bench",
        id=f"clock-{partition}",
        time=at,
        recordedtime=at,
        tenant="rapport",
        data=PartitionClock(partition=partition, clock=at),
    )


if __name__ == "__main__":
    main()
