"""Measures how long ingest takes to start on an existing log: `python benchmarks/start.py --help`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import httpx

from benchmarks import broker
from benchmarks.command import CACHE
from benchmarks.contestants.process_cpu import cpu_of
from benchmarks.events import TENANT, log
from benchmarks.machine import machine
from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.ports import free_port
from deploy.local.readiness import last_lines
from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS, TOPICS
from services.runtime.kafka import Partition, Producer, Record, create_topics, partition_of
from services.runtime.settings import Settings

GATEWAY_AIM, WORK_AIM = 10.0, 15.0
"""Seconds until ready, on 2,000,000 events about 20,000 relationships."""
FIRST_PASS_TIMEOUT_SECONDS = 1_800.0
"""The first start of the workers reads the log for outcomes of meetings; it is not measured."""
BATCH_SIZE = 20_000
BEHIND = re.compile(r"\blag [1-9]")
RAPPORT = (sys.executable, "-m", "services.cli")
CONNECTIONS = f"""connections:
  - id: zoom
    tool: zoom
    tenant: {TENANT}
    secret_env: ZOOM_SECRET
"""


@dataclass(frozen=True)
class ProcessSetup:
    """How processes run: environment, log folder, health ports."""

    environment: Mapping[str, str]
    folder: Path
    gateway_health: int
    work_health: int


@click.command()
@click.option("--events", type=click.IntRange(10_000), default=2_000_000, show_default=True)
@click.option("--relationships", type=click.IntRange(100), default=20_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--logs",
    type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
    help="A folder that keeps the log: the first run with these sizes writes it, later ones copy it.",
)
def main(events: int, relationships: int, rounds: int, logs: Path | None) -> None:
    """Measure the seconds from the start of a process until its /readyz reports ready: the gateway, with a token of one
    programme so that it reads the roster, and the workers. Before that, `rapport ingest project` projects the log once.
    """
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "bench", prefix="start-") as scratch:
        folder = Path(scratch)
        kept = (logs or folder) / f"log-{events}-{relationships}"
        if not kept.exists():
            _fill(kept, events, relationships)
        shutil.copytree(kept, folder / "kafka")
        with LocalKafka(KafkaConfig(data=folder / "kafka", cache=CACHE / "cache")) as kafka:
            settings = Settings(kafka=kafka.bootstrap)
            create_topics(settings, {topic.name: topic.options(broker.PARTITIONS, 1) for topic in TOPICS})
            _measure(_process_setup(kafka.bootstrap, folder), rounds)
    click.echo(f"{events:,} events about {relationships:,} relationships, on {machine()}.")


def _fill(kept: Path, events: int, relationships: int) -> None:
    """Create a broker's data with the log only; the measured version creates its other topics."""
    unfinished = kept.with_name(f"{kept.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with LocalKafka(KafkaConfig(data=unfinished, cache=CACHE / "cache")) as kafka:
        settings = Settings(kafka=kafka.bootstrap)
        create_topics(settings, {EVENTS.name: EVENTS.options(broker.PARTITIONS, 1)})
        _write(settings, events, relationships)
    unfinished.rename(kept)


def _write(settings: Settings, events: int, relationships: int) -> None:
    """Each record has the timestamp of its event, as on a log that grew for years."""
    producer = Producer(settings)
    waiting = log(events, relationships)
    done = 0
    while batch := list(islice(waiting, BATCH_SIZE)):
        for key, value in batch:
            moment = MENTORING_EVENT.validate_json(value).time
            target = Partition(EVENTS.name, partition_of(key, broker.PARTITIONS))
            producer.copy(_record(key, value, moment), target)
        producer.flush(60)
        done += len(batch)
        click.echo(f"{done:,} of {events:,} events written", err=True)
    producer.close()


def _record(key: bytes, value: bytes, moment: datetime) -> Record:
    return Record("", 0, 0, key, value, (), round(moment.timestamp() * 1000))


def _process_setup(bootstrap: str, folder: Path) -> ProcessSetup:
    used_ports: set[int] = set()
    ports = []
    for _ in range(3):
        ports.append(free_port(used_ports))
        used_ports.add(ports[-1])
    connections = folder / "connections.yaml"
    connections.write_text(CONNECTIONS)
    environment = {
        **project_environment(),
        "RAPPORT_KAFKA": bootstrap,
        "RAPPORT_INSTANCE": "bench",
        "RAPPORT_INGEST_PORT": str(ports[0]),
        "RAPPORT_INGEST_HEALTH_PORT": str(ports[1]),
        "RAPPORT_INGEST_WORK_HEALTH_PORT": str(ports[2]),
        "RAPPORT_INGEST_CONNECTIONS": str(connections),
        "RAPPORT_INGEST_DIGEST_KEY": os.urandom(32).hex(),
        "ZOOM_SECRET": "a secret of the benchmark",
    }
    return ProcessSetup(environment, folder, ports[1], ports[2])


def _measure(setup: ProcessSetup, rounds: int) -> None:
    began, before = time.monotonic(), getrusage(RUSAGE_CHILDREN)
    subprocess.run([*RAPPORT, "ingest", "project"], env=setup.environment, check=True)
    seconds, after = time.monotonic() - began, getrusage(RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    click.echo(f"rapport ingest project: {seconds:.1f} s, {cpu:.1f} s of CPU, once")
    token = ("ingest", "token", "create", "--tenant", TENANT, "--source", "/bench", "--program", "spring")
    subprocess.run([*RAPPORT, *token], env=setup.environment, check=True, stdout=subprocess.DEVNULL)
    with _process(setup, "work") as child:
        _await(child, setup.work_health, FIRST_PASS_TIMEOUT_SECONDS, at_rest=True)
        click.echo(f"rapport ingest work, first pass over the log: {cpu_of(child.pid):.1f} s of CPU, once")
    for number in range(rounds):
        for what, port, aim in (("serve", setup.gateway_health, GATEWAY_AIM), ("work", setup.work_health, WORK_AIM)):
            began = time.monotonic()
            with _process(setup, what) as child:
                _await(child, port, 120)
                seconds, cpu = time.monotonic() - began, cpu_of(child.pid)
            met = f"aim {aim:g}: {'met' if seconds <= aim else 'MISSED'}"
            click.echo(
                f"round {number + 1}: rapport ingest {what} ready after {seconds:.1f} s ({met}), {cpu:.1f} s of CPU"
            )


@contextmanager
def _process(setup: ProcessSetup, what: str) -> Iterator[Child]:
    """If the process ended by itself, print its last log lines."""
    output = setup.folder / f"{what}.log"
    child = Child(ChildCommand((*RAPPORT, "ingest", what), output, setup.environment))
    child.launch()
    try:
        yield child
    finally:
        if not child.running():
            click.echo(last_lines(output), err=True)
        child.stop()


def _await(child: Child, port: int, seconds: float, *, at_rest: bool = False) -> None:
    """Wait until it is ready and, with `at_rest`, no part of it lags. Raises RuntimeError if it has ended, and
    TimeoutError."""
    deadline = time.monotonic() + seconds
    # One client for all requests: creating clients would take CPU from the starting process.
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        while time.monotonic() < deadline:
            if not child.running():
                raise RuntimeError(f"it has ended: {child.exit_code()}")
            with suppress(httpx.TransportError):
                answer = client.get("/readyz")
                if answer.is_success and not (at_rest and BEHIND.search(answer.json()["detail"])):
                    return
            time.sleep(0.1)
    raise TimeoutError(f"not ready within {seconds:g} s")


if __name__ == "__main__":
    main()
