"""Measures the time from an event to its score while ClickHouse is down, compared with before: `--help`."""

import io
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

import click
from rich.console import Console

from benchmarks.command import CACHE
from benchmarks.machine import machine
from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.display import display_on
from deploy.local.stack import Stack, StackConfig
from schemas import payloads as p
from schemas.events import MessageSent, partition_key, to_json
from schemas.scores import SCORE_EVENT
from schemas.topics import EVENTS, SCORES
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Partition, Producer, Reader, partition_count
from services.runtime.settings import Settings

AIM = 1.2
"""p99 during the outage, divided by the p99 before it."""
TENANT, PAIRS = "acme", 200
CATCH_UP_SECONDS = 300.0
GRACE_SECONDS = 10.0
"""An event not scored within this time counts as taking that long."""


@dataclass
class Flow:
    """Events at a steady pace; `sent` and `scored` hold instants of the monotonic clock by event id."""

    settings: Settings
    per_second: float
    sent: dict[str, float] = field(default_factory=dict)
    scored: dict[str, float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def send(self) -> None:
        with closing(Producer(self.settings)) as producer:
            began, number = time.monotonic(), 0
            while not self.stop.wait(max(0.0, began + number / self.per_second - time.monotonic())):
                key, name = f"r-{number % PAIRS}", f"e-{number}"
                self.sent[name] = time.monotonic()
                producer.send(EVENTS.name, partition_key(TENANT, key).encode(), to_json(message(key, name)))
                number += 1

    def listen(self) -> None:
        with closing(Reader(self.settings, "outage")) as reader:
            reader.assign_partitions(
                [Partition(SCORES.name, n) for n in range(partition_count(self.settings, SCORES.name))]
            )
            for place, end in reader.end_offsets(list(reader.assignment())).items():
                reader.seek(place, end)
            while not self.stop.is_set():
                for record in (one for some in reader.poll(0.1).values() for one in some):
                    event = SCORE_EVENT.validate_json(record.value or b"")
                    if event.type == "mentoring.score.changed.v1" and event.data.trigger:
                        self.scored.setdefault(event.data.trigger.id, time.monotonic())

    def p99(self, since: float, until: float) -> tuple[float, int]:
        """Return seconds, and the number of events sent between these instants."""
        delays = sorted(
            self.scored.get(name, at + GRACE_SECONDS) - at for name, at in self.sent.items() if since <= at < until
        )
        return delays[int(len(delays) * 0.99)], len(delays)


@click.command(help=__doc__)
@click.option("--seconds", type=click.IntRange(20), default=600, show_default=True, help="Seconds without ClickHouse.")
@click.option(
    "--before", type=click.IntRange(20), default=120, show_default=True, help="Seconds with ClickHouse, before that."
)
@click.option("--per-second", type=click.FloatRange(1, 500), default=50, show_default=True, help="Events per second.")
def main(seconds: int, before: int, per_second: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rapport-outage-"))
    try:
        with LocalClickHouse(ClickHouseConfig(folder / "clickhouse")) as server:
            config = StackConfig(data=folder / "stack", cache=CACHE / "cache", clickhouse=server.url)
            with Stack(config, display_on(Console(file=io.StringIO()))) as stack:
                settings = Settings(kafka=stack.environment["RAPPORT_KAFKA"], clickhouse=server.url)
                measure(server, Flow(settings, per_second), before, seconds)
    finally:
        shutil.rmtree(folder)


def measure(server: LocalClickHouse, flow: Flow, before: int, seconds: int) -> None:
    with running(flow):
        # Exclude the warm-up.
        time.sleep(before / 4)
        calm_from = time.monotonic()
        time.sleep(before)
        outage_from = time.monotonic()
        server.stop()
        time.sleep(seconds)
        outage_until = time.monotonic()
        server.start()
        with closing(ClickHouse(flow.settings)) as clickhouse:
            caught_up = until_stored(clickhouse, flow, outage_until)
    (first, calm_count), (second, away_count) = (
        flow.p99(calm_from, outage_from),
        flow.p99(outage_from, outage_until - GRACE_SECONDS),
    )
    click.echo(f"{machine()}: {flow.per_second:.0f} events/s, {seconds} s without ClickHouse")
    click.echo(f"event to score, p99 before  {first * 1000:8.1f} ms of {calm_count} events")
    click.echo(f"event to score, p99 during  {second * 1000:8.1f} ms of {away_count} events")
    click.echo(f"ratio                       {second / first:8.2f}    aim {AIM}")
    click.echo(f"the sink has caught up after {caught_up:.1f} s")


@contextmanager
def running(flow: Flow) -> Iterator[None]:
    threads = [threading.Thread(target=work) for work in (flow.listen, flow.send)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        flow.stop.set()
        for thread in threads:
            thread.join()


def until_stored(clickhouse: ClickHouse, flow: Flow, outage_until: float) -> float:
    """Return the seconds until everything sent during the outage is stored."""
    expected = sum(at < outage_until for at in flow.sent.values())
    while time.monotonic() < outage_until + CATCH_UP_SECONDS:
        [(stored,)] = clickhouse.query("SELECT uniqExact(event_id) FROM mentoring.events")
        if stored >= expected:
            return time.monotonic() - outage_until
        time.sleep(0.2)
    raise click.ClickException("the sink has not caught up")


def message(relationship: str, name: str) -> MessageSent:
    now = datetime.now(UTC)
    return MessageSent(
        source="/outage",
        id=name,
        type="mentoring.message.sent.v1",
        time=now - timedelta(seconds=1),
        recordedtime=now,
        tenant=TENANT,
        program="spruce",
        subject=relationship,
        partitionkey=partition_key(TENANT, relationship),
        data=p.MessageSent(by="mentor", evidence="observed", channel="chat"),
    )


if __name__ == "__main__":
    main()
