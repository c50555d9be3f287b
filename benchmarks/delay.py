"""How long a fresh event waits while another partition moves its clock: `python benchmarks/delay.py --help`."""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

import click

from benchmarks.broker import PARTITIONS
from benchmarks.command import KEPT
from benchmarks.events import TENANT
from benchmarks.machine import machine
from deploy.local.child import Child, ChildCommand, with_project
from deploy.local.kafka import KafkaConfig, LocalKafka
from schemas.events import MENTORING_EVENT, partition_key, to_json
from schemas.primitives import to_rfc3339
from schemas.topics import EVENTS, SCORES, TOPICS
from services.runtime.kafka import Producer, Reader, create_topics, partition_of
from services.runtime.settings import Settings

BUSY = 0
"""The partition whose clock is moved."""
PER_SECOND = 20
SECONDS = 5.0
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
WITHIN = 600


@click.command()
@click.option("--relationships", type=click.IntRange(100), default=1_250, show_default=True, help="On that partition.")
@click.option("--days", type=click.IntRange(1, 365), default=14, show_default=True, help="So far it is moved.")
@click.option("--before", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A worktree of another.")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True)
def main(relationships: int, days: int, before: Path | None, rounds: int) -> None:
    """Events of the other partitions, 20 a second: milliseconds from sending one until its row is on the topic, while
    nothing else happens, and while a record moves the clock of one partition by days."""
    (KEPT / "bench").mkdir(parents=True, exist_ok=True)
    here = Path(__file__).parents[1]
    for _ in range(rounds):
        for what, folder in (*((("before", before),) if before else ()), ("now", here)):
            calm, meanwhile, span = _measured(folder, relationships, days)
            click.echo(f"{what:7} calm {_told(calm)} | meanwhile {_told(meanwhile)} | the clock moved for {span:.1f} s")
    click.echo(f"{relationships:,} relationships, {days} days; on {machine()}.")


def _told(delays: Sequence[float]) -> str:
    ordered = sorted(delays)
    return f"p50 {median(ordered):,.0f} ms, p95 {ordered[int(len(ordered) * 0.95)]:,.0f}, most {ordered[-1]:,.0f}"


def _measured(folder: Path, relationships: int, days: int) -> tuple[list[float], list[float], float]:
    with (
        tempfile.TemporaryDirectory(dir=KEPT / "bench", prefix="delay-") as scratch,
        LocalKafka(KafkaConfig(data=Path(scratch) / "kafka", cache=KEPT / "cache")) as kafka,
    ):
        settings = Settings(kafka=kafka.bootstrap)
        create_topics(settings, {topic.name: topic.options(PARTITIONS, 1) for topic in TOPICS})
        with _serving(folder, Path(scratch), kafka.bootstrap), closing(_DelayWatch(settings)) as watch:
            busy, others = _names(relationships)
            for name in (*busy, *others):
                watch.send(name, BEGIN)
            watch.wait(len(busy) + len(others))
            _paced(watch, others, PER_SECOND * SECONDS)
            calm = watch.take()
            far = watch.send(busy[0], BEGIN + timedelta(days=days))
            began = time.monotonic()
            while not watch.has(far) and time.monotonic() - began < WITHIN:
                _paced(watch, others, 1)
            span = time.monotonic() - began
            return calm, [delay for event, delay in watch.delays.items() if event != far], span


def _names(relationships: int) -> tuple[list[str], list[str]]:
    """Of the busy partition, and one of each other."""
    found: dict[int, list[str]] = {number: [] for number in range(PARTITIONS)}
    number = 0
    while len(found[BUSY]) < relationships or not all(found.values()):
        name = f"rel-{number:06}"
        found[partition_of(partition_key(TENANT, name).encode(), PARTITIONS)].append(name)
        number += 1
    return found[BUSY][:relationships], [found[other][0] for other in found if other != BUSY]


def _paced(watch: "_DelayWatch", names: Sequence[str], count: float) -> None:
    for number in range(int(count)):
        watch.send(names[number % len(names)], BEGIN + timedelta(seconds=watch.sent))
        time.sleep(1 / PER_SECOND)


@contextmanager
def _serving(folder: Path, scratch: Path, bootstrap: str) -> Iterator[None]:
    environment = {
        **with_project(),
        "PYTHONPATH": str(folder),
        "RAPPORT_KAFKA": bootstrap,
        "RAPPORT_CLOCK": "log",
        "RAPPORT_SCORING_DATADIR": str(scratch / "faust"),
    }
    argv = (sys.executable, "-P", "-m", "services.cli", "scoring", "serve")
    child = Child(ChildCommand(argv, scratch / "scoring.log", environment))
    child.launch()
    try:
        yield
    finally:
        child.stop()


class _DelayWatch:
    """Sends events, and notes when the row of each appears."""

    def __init__(self, settings: Settings) -> None:
        self.sent = 0
        self.delays: dict[str, float] = {}
        self._at: dict[str, float] = {}
        self._producer, self._reader = Producer(settings, linger_ms=0), Reader(settings, group=None)
        self._reader.assign([SCORES.name])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def send(self, name: str, at: datetime) -> str:
        self.sent += 1
        event, key, moment = f"e-{self.sent}", partition_key(TENANT, name), to_rfc3339(at)
        envelope = {
            "specversion": "1.0",
            "source": "https://tools.acme.example/mentoring",
            "id": event,
            "type": "mentoring.message.sent.v1",
            "time": moment,
            "recordedtime": moment,
            "tenant": TENANT,
            "subject": name,
            "program": "spring",
            "partitionkey": key,
            "data": {"by": "mentor", "evidence": "observed", "channel": "direct"},
        }
        value = to_json(MENTORING_EVENT.validate_json(json.dumps(envelope)))
        self._at[event] = time.monotonic()
        self._producer.send(EVENTS.name, key.encode(), value)
        return event

    def has(self, event: str) -> bool:
        return event in self.delays

    def wait(self, count: int) -> None:
        began = time.monotonic()
        while len(self.delays) < count:
            if time.monotonic() - began > WITHIN:
                raise TimeoutError(f"{len(self.delays)} of {count} events were scored within {WITHIN} s")
            time.sleep(0.1)
        self.delays.clear()

    def take(self) -> list[float]:
        time.sleep(1)
        found = list(self.delays.values())
        self.delays.clear()
        return found

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        self._reader.close()
        self._producer.close()

    def _read(self) -> None:
        while not self._ended.is_set():
            for record in (one for some in self._reader.poll(0.05).values() for one in some):
                trigger = json.loads(record.value or b"{}")["data"].get("trigger")
                if trigger is not None:
                    self.delays.setdefault(trigger["id"], (time.monotonic() - self._at[trigger["id"]]) * 1_000)


if __name__ == "__main__":
    main()
