"""Measures the latency of a second tenant while a first one attacks at full force: `POST /v1/events` at 50/s, calm and
under attack."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

import aiohttp
import click
import httpx
import yaml
from rich.console import Console

from benchmarks import broker
from benchmarks.command import CACHE
from benchmarks.contestants.attacker import AttackOrders
from benchmarks.machine import machine
from benchmarks.tables import Table, as_markdown, as_rich
from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.kafka import JarsUnresolvedError, KafkaConfig, LocalKafka, MissingToolError, StorageUnformattedError
from deploy.local.ports import free_port
from deploy.local.readiness import NotReadyError
from schemas.tokens import Token, hashed, secret_of
from schemas.topics import TOKENS, TOPICS
from services.ingest.console import write
from services.runtime.kafka import KafkaError, create_topics
from services.runtime.settings import Settings

PER_SECOND = 50
MAX_RATIO = 2.0
ATTACKS = {
    "1": "records too large for the log",
    "4": "bodies that take long to read",
    "7": "slow and half-open connections",
    "8": "people without end, batches of nonsense",
}
WARM_UP_SECONDS = 3
READY_TIMEOUT = 60
END_TIMEOUT = 10
SOURCE = "urn:benchmark:victim"


@dataclass(frozen=True)
class Latency:
    """Milliseconds; `failed` counts requests without a 202."""

    p50: float
    p99: float
    count: int
    failed: int


@dataclass(frozen=True)
class Outcome:
    kind: str
    calm: Latency
    attacked: Latency
    answers: Mapping[str, int]

    @property
    def ratio(self) -> float:
        return self.attacked.p99 / self.calm.p99


@click.command()
@click.option("--attack", is_flag=True, expose_value=False, help="Selects this benchmark instead of speed.")
@click.option("--only", multiple=True, type=click.Choice(list(ATTACKS)), help="Run only this attack; repeatable.")
@click.option(
    "--seconds",
    type=click.IntRange(5),
    default=20,
    show_default=True,
    help="Seconds of each attack, and of its calm measurement.",
)
@click.option("--output", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
def main(*, only: tuple[str, ...], seconds: int, output: str) -> None:
    """Measure the second tenant's latency, calm and under each attack of the first. Exits with 1 if the aim
    was missed."""
    try:
        outcomes = run_attacks(seconds, only or tuple(ATTACKS))
    except (JarsUnresolvedError, MissingToolError, StorageUnformattedError, NotReadyError, KafkaError) as problem:
        sys.exit(f"benchmarks: {problem}")
    sys.exit(0 if report(outcomes, output) else 1)


def run_attacks(seconds: int, kinds: Sequence[str]) -> list[Outcome]:
    """Run each attack against a fresh gateway, on one broker, right after its calm measurement."""
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=CACHE / "bench", prefix="run-") as scratch,
        LocalKafka(KafkaConfig(data=Path(scratch) / "kafka", cache=CACHE / "cache")) as kafka,
    ):
        settings = Settings(kafka=kafka.bootstrap)
        create_topics(settings, {topic.name: topic.options(broker.PARTITIONS, 1) for topic in TOPICS})
        return [run_attack(kind, settings, Path(scratch), seconds) for kind in kinds]


def report(outcomes: list[Outcome], output: str) -> bool:
    """Print the results; return whether the aim was met."""
    rows = [
        (
            f"{one.kind}: {ATTACKS[one.kind]}",
            *(f"{part.p50:.1f} / {part.p99:.1f}" for part in (one.calm, one.attacked)),
            f"{one.ratio:.2f}",
            str(one.attacked.failed),
        )
        for one in outcomes
    ]
    columns = ("the first tenant", "calm p50 / p99 ms", "attacked p50 / p99 ms", "x p99", "failed")
    table = Table(f"A second tenant's POST /v1/events at {PER_SECOND}/s", columns, rows)
    is_aim_met = all(one.ratio <= MAX_RATIO and not one.attacked.failed for one in outcomes)
    if output == "json":
        found = [{**asdict(one), "ratio": one.ratio} for one in outcomes]
        click.echo(json.dumps({"machine": machine().values(), "attacks": found}, indent=2))
    elif output == "markdown":
        click.echo(f"{as_markdown(table)}\nOn {machine()}.")
    else:
        console = Console()
        console.print(as_rich(table))
        verdict = "met" if is_aim_met else "MISSED"
        console.print(f"Aim: p99 at most {MAX_RATIO:g} x calm: {verdict}. On {machine()}.", highlight=False)
    return is_aim_met


def run_attack(kind: str, settings: Settings, scratch: Path, seconds: int) -> Outcome:
    """Needs a broker with the topics."""
    click.echo(f"attack {kind}: {ATTACKS[kind]}", err=True)
    folder = scratch / f"attack-{kind}"
    folder.mkdir()
    victim, attacker = _token(settings, "victim", SOURCE), _token(settings, "attacker", "urn:benchmark:attacker")
    with _gateway(settings, folder) as (port, hr_secret):
        asyncio.run(_measure_latency(port, victim, WARM_UP_SECONDS))
        calm = asyncio.run(_measure_latency(port, victim, seconds))
        orders = AttackOrders(kind, port, attacker, hr_secret)
        module = Path(__file__).parent / "contestants" / "attacker.py"
        process = subprocess.Popen([sys.executable, module, json.dumps(asdict(orders))], stdout=subprocess.PIPE)
        try:
            asyncio.run(_measure_latency(port, victim, WARM_UP_SECONDS))
            under_attack = asyncio.run(_measure_latency(port, victim, seconds))
        finally:
            answers = _stop_attacker(process)
    click.echo(f"  calm {calm}, attacked {under_attack}; the attacker was answered {answers}", err=True)
    return Outcome(kind, calm, under_attack, answers)


def _stop_attacker(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Return the answers that the attacker got; empty if it had to be killed."""
    process.terminate()
    try:
        output, _ = process.communicate(timeout=END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {}
    return json.loads(output) if output else {}


async def _measure_latency(port: int, secret: str, seconds: int) -> Latency:
    """Send each request at its scheduled time, regardless of earlier answers, and time it from then."""
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/cloudevents+json"}
    took: list[float] = []
    failed = 0

    async def post_one(at: float) -> None:
        nonlocal failed
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        try:
            async with session.post(f"http://127.0.0.1:{port}/v1/events", data=_event()) as answer:
                await answer.read()
                failed += answer.status != httpx.codes.ACCEPTED
        except aiohttp.ClientError:
            failed += 1
        took.append((time.perf_counter() - at) * 1_000)

    async with aiohttp.ClientSession(headers=headers) as session:
        begin = time.perf_counter() + 0.1
        await asyncio.gather(*(post_one(begin + number / PER_SECOND) for number in range(seconds * PER_SECOND)))
    parts = quantiles(took, n=100)
    return Latency(round(parts[49], 2), round(parts[98], 2), len(took), failed)


def _event() -> bytes:
    envelope = {"specversion": "1.0", "source": SOURCE, "id": uuid4().hex, "type": "mentoring.session.held.v1"}
    data = {"session_id": "s-1", "started_at": "2026-03-01T10:00:00Z", "minutes": 30}
    context = {"time": "2026-03-01T10:00:00Z", "subject": f"rel-{uuid4().hex[:3]}", "program": "onboarding"}
    return json.dumps({**envelope, **context, "data": data}).encode()


def _token(settings: Settings, tenant: str, source: str) -> str:
    name = f"t{uuid4().hex}"
    secret = secret_of(Token, name, os.urandom(16).hex())
    token = Token(token_id=name, tenant=tenant, sha256=hashed(secret), sources=(source,), created=datetime.now(UTC))
    write(settings, TOKENS.name, {name: token.model_dump_json().encode()})
    return secret


@contextmanager
def _gateway(settings: Settings, folder: Path) -> Iterator[tuple[int, str]]:
    """Yield the port of a gateway with default limits, and the secret of the first tenant's HR feed."""
    port, health, secret = free_port(set()), free_port(set()), os.urandom(16).hex()
    (folder / "secret").write_text(secret)
    tools = ("zoom", "microsoft_graph", "hr")
    names = {"zoom": "zoom", "microsoft_graph": "graph", "hr": "hr"}
    entries = [{"id": names[t], "tool": t, "tenant": "attacker", "secret_file": f"{t}.secret"} for t in tools]
    for tool in tools:
        (folder / f"{tool}.secret").write_text(secret if tool == "hr" else os.urandom(16).hex())
    (folder / "connections.yaml").write_text(yaml.safe_dump({"connections": entries}))
    env = {
        "RAPPORT_KAFKA": settings.kafka,
        "RAPPORT_INGEST_PORT": str(port),
        "RAPPORT_INGEST_HEALTH_PORT": str(health),
        "RAPPORT_INGEST_CONNECTIONS": str(folder / "connections.yaml"),
        "RAPPORT_INGEST_DIGEST_KEY": os.urandom(16).hex(),
        "RAPPORT_LOG_FORMAT": "json",
    }
    argv = (sys.executable, "-m", "services.cli", "ingest", "serve")
    child = Child(ChildCommand(argv, folder / "gateway.log", project_environment() | env))
    child.launch()
    try:
        _await_ready(f"http://127.0.0.1:{health}/readyz")
        yield port, secret
    finally:
        child.kill()


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"the gateway is not ready within {READY_TIMEOUT} s")
