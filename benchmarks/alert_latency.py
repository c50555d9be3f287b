"""Measures the time from a posted event to its webhook, through the product's own processes on a separate broker, and
the CPU that a row costs notify."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
import httpx

from benchmarks.command import CACHE
from benchmarks.contestants.gateway import ACCEPTED, gateway, token
from benchmarks.contestants.process_cpu import cpu_of
from benchmarks.contestants.task import Task
from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.ports import free_port
from schemas.events import to_json
from schemas.primitives import to_rfc3339
from schemas.topics import ALERTS, SCORES, TOPICS
from services.runtime.kafka import Producer, create_topics, read_to_end
from services.runtime.settings import Settings
from tests.notify.building import Pair, clock
from tests.receiver import SECRET, Call, receiving

PARTITIONS = 4
PER_SECOND = 50
WARM_UP_REQUESTS = 50
"""The first requests open connections and warm caches; they do not count."""
P50_AIM, P99_AIM = 250.0, 1_000.0
"""Milliseconds."""
TIMEOUT_SECONDS = 180.0
ROW_DAYS = 20
SOURCE = "https://tools.acme.example/mentoring"
TENANT, PROGRAM = "acme", "spruce"
BEFORE = timedelta(hours=1)
"""All pairs start this long before the first request."""


@dataclass(frozen=True)
class AlertLatency:
    """Milliseconds from the POST of an event to the webhook, and medians until its score and its alert are written;
    rows per CPU second that `notify serve` evaluates and stores with their offsets."""

    p50: float
    p99: float
    most: float
    scored: float
    decided: float
    rows_per_cpu_second: float


def measure_latency(pairs: int, requests: int) -> AlertLatency:
    """`pairs` have a score a day beforehand; `requests` for support are posted at PER_SECOND. Raises TimeoutError."""
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    arrived_at: dict[str, float] = {}

    def record_arrival(call: Call) -> tuple[int, Mapping[str, str]]:
        arrived_at.setdefault(call.data["relationship"], time.time())
        return 200, {}

    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE / "bench", prefix="arrivals-")))
        kafka = stack.enter_context(LocalKafka(KafkaConfig(data=scratch / "kafka", cache=CACHE / "cache")))
        settings = Settings(kafka=kafka.bootstrap)
        create_topics(settings, {topic.name: topic.options(PARTITIONS, 1) for topic in TOPICS})
        receiver = stack.enter_context(receiving())
        receiver.answer = record_arrival
        notify = stack.enter_context(_serving("notify", scratch, settings, receiver.url))
        rows_per_cpu_second = _rows_per_cpu_second(settings, notify, pairs)
        stack.enter_context(_serving("scoring", scratch, settings))
        task = Task(kafka.bootstrap, "", PARTITIONS, requests, "arrivals", "1", str(scratch))
        secret = token(task, SOURCE)
        served = stack.enter_context(gateway(task))
        posted_at = asyncio.run(_post_requests(served.url, secret, requests))
        _wait_until(lambda: posted_at.keys() <= arrived_at.keys(), "webhooks")
        took = [1_000 * (arrived_at[name] - at) for name, at in posted_at.items()][WARM_UP_REQUESTS:]
        parts = quantiles(took, n=100)
        scored, decided = (_median_until_written(settings, topic, posted_at) for topic in (SCORES.name, ALERTS.name))
        return AlertLatency(parts[49], parts[98], max(took), scored, decided, rows_per_cpu_second)


def _median_until_written(settings: Settings, topic: str, posted_at: Mapping[str, float]) -> float:
    """Return the median of milliseconds from each POST until its result is handed to the broker."""
    found: dict[str, float] = {}
    for record in read_to_end(settings, [topic], isolation_level="read_committed"):
        event = json.loads(record.value or b"{}")
        trigger = event["data"].get("trigger") or {}
        name = event.get("subject", "")
        if trigger.get("type") == "mentoring.support.requested.v1" and name in posted_at:
            found.setdefault(name, record.timestamp_ms - 1_000 * posted_at[name])
    return median(found.values())


@dataclass(frozen=True)
class _ServiceProcess:
    pid: int
    health: str

    def scores(self) -> float:
        """Return how many score events it has handled."""
        lines = httpx.get(f"{self.health}/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("rapport_notify_scores_total"))


@contextmanager
def _serving(name: str, scratch: Path, settings: Settings, webhook: str | None = None) -> Iterator[_ServiceProcess]:
    port = free_port(set())
    environment = {
        **project_environment(),
        "RAPPORT_KAFKA": settings.kafka,
        f"RAPPORT_{name.upper()}_HEALTH_PORT": str(port),
        "RAPPORT_SCORING_DATADIR": str(scratch / "faust"),
        "RAPPORT_LOG_FORMAT": "json",
    }
    if webhook is not None:
        environment |= {
            "RAPPORT_NOTIFY_WEBHOOK_URL": webhook,
            "RAPPORT_NOTIFY_WEBHOOK_SECRET": SECRET,
            "RAPPORT_NOTIFY_WEBHOOK_ALLOW_PRIVATE": "true",
        }
    child = Child(
        ChildCommand((sys.executable, "-m", "services.cli", name, "serve"), scratch / f"{name}.log", environment)
    )
    child.launch()
    try:
        health = f"http://127.0.0.1:{port}"
        _wait_until(lambda: _is_ready(f"{health}/readyz"), name)
        yield _ServiceProcess(child.pid, health)
    finally:
        child.stop()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def _wait_until(condition: Any, what: str) -> None:  # noqa: ANN401 (any truth value)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not there within {TIMEOUT_SECONDS:g} s")
        time.sleep(0.05)


def _rows_per_cpu_second(settings: Settings, notify: _ServiceProcess, pairs: int) -> float:
    """Write rows of other pairs for the days before, with a partition clock after each day."""
    producer, begin = Producer(settings), datetime.now(UTC) - timedelta(days=ROW_DAYS + 1)
    made = [Pair(f"quiet-{number:05}", defaults={"started": begin}) for number in range(pairs)]
    count = 0
    spent = cpu_of(notify.pid)
    for number in range(ROW_DAYS):
        at = begin + timedelta(days=number)
        for pair in made:
            # Health goes up and down without an alert: alerts are measured elsewhere.
            health = 70.0 + (7 * number + len(pair.relationship)) % 20
            event = pair.changed(at, number + 1, health=health, last_contact=at)
            producer.send(SCORES.name, event.partitionkey.encode(), to_json(event))
        for partition in range(PARTITIONS):
            producer.send(SCORES.name, None, to_json(clock(at, partition)), partition=partition)
        count += pairs + PARTITIONS
    producer.flush()
    producer.close()
    _wait_until(lambda: notify.scores() >= count, "rows")
    return pairs * ROW_DAYS / (cpu_of(notify.pid) - spent)


async def _post_requests(url: str, secret: str, requests: int) -> Mapping[str, float]:
    """Return when each request was posted, by relationship; requests do not wait for earlier answers."""
    began = datetime.now(UTC)
    names = [f"rel-{number:05}" for number in range(requests)]
    posted_at: dict[str, float] = {}
    headers = {"authorization": f"Bearer {secret}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        starts = [json.loads(_event(name, began - BEFORE, "relationship.started", _START)) for name in names]
        for some in (starts[at : at + 100] for at in range(0, requests, 100)):
            media = {"content-type": "application/cloudevents-batch+json"}
            await _post_accepted(session, url, json.dumps(some).encode(), media)
        # Scoring has applied them by then.
        await asyncio.sleep(5)
        begin = time.perf_counter() + 0.1

        async def post_one(name: str, at: float) -> None:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            asked = {"by": "mentee", "evidence": "self_reported", "request_id": f"r-{name}", "priority": "immediate"}
            body = _event(name, datetime.now(UTC), "support.requested", asked | {"topic": "workload"})
            posted_at[name] = time.time()
            await _post_accepted(session, url, body, {"content-type": "application/cloudevents+json"})

        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                group.create_task(post_one(name, begin + number / PER_SECOND))
    return posted_at


_START: dict[str, Any] = {
    "by": "admin",
    "evidence": "admin",
    "mentors": ["p-1"],
    "mentees": ["p-2"],
    "kind": "one_to_one",
}
_START |= {"cadence_days": 14, "coordinator": "p-3"}


def _event(name: str, at: datetime, kind: str, data: Mapping[str, Any]) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "source": SOURCE,
            "id": f"{kind}-{name}",
            "type": f"mentoring.{kind}.v1",
            "time": to_rfc3339(at),
            "tenant": TENANT,
            "subject": name,
            "program": PROGRAM,
            "data": data,
        }
    ).encode()


async def _post_accepted(session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    async with session.post(url, data=body, headers=headers) as answer:
        text = await answer.read()
        if answer.status != ACCEPTED:
            raise RuntimeError(f"{answer.status}: {text[:500]!r}")
