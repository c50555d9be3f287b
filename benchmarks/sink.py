"""Measures how fast the warehouse stores a log, compared with a bare insert of the same columns: `--help`."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest import mock

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import clickhouse_connect

from benchmarks import broker
from benchmarks.command import CACHE
from benchmarks.contestants.process_cpu import cpu_of
from benchmarks.events import log
from benchmarks.machine import machine
from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.kafka import KafkaConfig, LocalKafka
from schemas.topics import EVENTS as EVENT_TOPIC
from services import cli
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Committed, Reader, partition_of
from services.warehouse.domain.events import EVENTS, event_row
from services.warehouse.domain.migration import ONE_SERVER
from services.warehouse.domain.record import RecordMetadata
from services.warehouse.domain.target import feed_of
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.migrator import migrate
from services.warehouse.flow.store import INSERT
from services.warehouse.settings import WarehouseSettings

AIM = 0.7
"""Fraction of the rows per second of a bare insert."""
STORE_TIMEOUT_SECONDS = 600.0
STOP_TIMEOUT_SECONDS = 30.0
STORE_ONLY = "from benchmarks.sink import store_only; store_only()"


@dataclass(frozen=True)
class InsertRate:
    """`per_second`: rows. CPU in microseconds per row, of the client (service or bare insert) and of ClickHouse."""

    per_second: float
    client: float
    server: float


@dataclass(frozen=True)
class Bench:
    settings: WarehouseSettings
    clickhouse: ClickHouse
    server_pid: int
    events: int
    services: int


@click.command(help=__doc__)
@click.option("--events", type=click.IntRange(50_000), default=300_000, show_default=True)
@click.option("--relationships", type=click.IntRange(100), default=3_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds that medians cover.")
@click.option(
    "--services",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="Number of services that share the partitions.",
)
def main(events: int, relationships: int, rounds: int, services: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rapport-sink-"))
    kafka_config = KafkaConfig(data=folder / "kafka", cache=CACHE / "cache")
    try:
        with LocalKafka(kafka_config) as kafka, LocalClickHouse(ClickHouseConfig(folder / "clickhouse")) as server:
            settings = WarehouseSettings(kafka=kafka.bootstrap, clickhouse=server.url)
            with closing(ClickHouse(settings)) as clickhouse:
                measure(Bench(settings, clickhouse, server.pid, events, services), relationships, rounds)
    finally:
        shutil.rmtree(folder)


def measure(bench: Bench, relationships: int, rounds: int) -> None:
    broker.create(bench.settings, feed_of(0).targets)
    values = [broker.NewRecord(*keyed) for keyed in log(bench.events, relationships)]
    broker.fill(bench.settings, EVENT_TOPIC.name, values)
    # Sorted as the sink receives them: one partition at a time. In log order each insert would cover fewer days.
    values.sort(key=lambda written: partition_of(written.key, broker.PARTITIONS))
    rows = [decode_row(written.value, offset) for offset, written in enumerate(values)]
    migrate(bench.clickhouse, ONE_SERVER, lambda _: None)
    found = []
    for _ in range(rounds):
        found.append((bare_insert(bench, rows), sink(bench)))
        click.echo(f"bare insert {found[-1][0].per_second:8.0f} rows/s   sink {found[-1][1].per_second:8.0f}", err=True)
    click.echo(
        f"{machine()}: {bench.events} events about {relationships} relationships, {bench.services} services, "
        f"{rounds} rounds"
    )
    click.echo(f"{'':12} {'rows/s':>8} {'CPU us per row':>15} {'ClickHouse':>11}")
    for name, runs in (("bare insert", [one for one, _ in found]), ("sink", [one for _, one in found])):
        rate, client, server = (
            median(getattr(run, what) for run in runs) for what in ("per_second", "client", "server")
        )
        click.echo(f"{name:12} {rate:8.0f} {client:15.1f} {server:11.1f}")
    share = median(sink.per_second / bare_insert.per_second for bare_insert, sink in found)
    cpu = median((bare_insert.client + bare_insert.server) / (sink.client + sink.server) for bare_insert, sink in found)
    click.echo(f"ratio        {share:8.2f}   aim {AIM}; of all CPU {cpu:.2f}")


def decode_row(value: bytes, offset: int) -> tuple[object, ...]:
    outcome = event_row(value, RecordMetadata(0, offset))
    assert isinstance(outcome, tuple), outcome
    return outcome[0].values


def bare_insert(bench: Bench, rows: Sequence[tuple[object, ...]]) -> InsertRate:
    """Insert existing rows with a plain client, in batches of the sink's size."""
    bench.clickhouse.command("TRUNCATE TABLE mentoring.events")
    url = bench.settings.clickhouse.removeprefix("http://")
    host, _, port = url.partition(":")
    size = bench.settings.warehouse_flush_records
    with clickhouse_connect.get_client(host=host, port=int(port), autogenerate_session_id=False) as client:
        began, cpu, server = time.monotonic(), time.process_time(), cpu_of(bench.server_pid)
        for first in range(0, len(rows), size):
            batch = rows[first : first + size]
            client.insert(EVENTS.name, batch, column_names=EVENTS.columns, settings=INSERT)
        spent = time.process_time() - cpu, cpu_of(bench.server_pid) - server
        return insert_rate(len(rows), len(rows) / (time.monotonic() - began), spent)


def sink(bench: Bench) -> InsertRate:
    """Run `rapport warehouse serve` from its first insert to its last: read, decode, check, plan, store, commit. Rows
    and CPU count from the first rows visible in the table, so start-up is excluded."""
    bench.clickhouse.command("TRUNCATE TABLE mentoring.events")
    with serving(bench) as pids:
        first = until_stored(bench, 1)
        began, cpu, server = time.monotonic(), sum(map(cpu_of, pids)), cpu_of(bench.server_pid)
        rows = until_stored(bench, bench.events) - first
        spent = sum(map(cpu_of, pids)) - cpu, cpu_of(bench.server_pid) - server
        return insert_rate(rows, rows / (time.monotonic() - began), spent)


def until_stored(bench: Bench, least: int) -> int:
    """Return the number of rows as soon as it reaches `least`."""
    deadline = time.monotonic() + STORE_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        [(count,)] = bench.clickhouse.query("SELECT count() FROM mentoring.events")
        if count >= least:
            return int(count)
        # Each query costs ClickHouse milliseconds, as much as some hundred rows.
        time.sleep(0.5)
    raise click.ClickException("the sink has not stored everything")


def insert_rate(rows: int, per_second: float, spent: tuple[float, float]) -> InsertRate:
    client, server = (seconds / rows * 1e6 for seconds in spent)
    return InsertRate(per_second, client, server)


@contextmanager
def serving(bench: Bench) -> Iterator[list[int]]:
    """Run the service from the beginning of the log; yield its process ids."""
    environment = os.environ | {
        "RAPPORT_KAFKA": bench.settings.kafka,
        "RAPPORT_CLICKHOUSE": bench.settings.clickhouse,
        "RAPPORT_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-c", STORE_ONLY, "warehouse", "serve"]
    folder = Path(__file__).parents[1]
    processes = [subprocess.Popen(command, cwd=folder, env=environment) for _ in range(bench.services)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(STOP_TIMEOUT_SECONDS)
    with closing(Reader(bench.settings, feed_of(0).group)) as reader:
        if not reader.commit({place: Committed(0) for place in reader.assign([EVENT_TOPIC.name])}):
            raise click.ClickException("the offsets could not be set back")


def store_only() -> None:
    """Run `rapport warehouse serve` without derived tables, which are not measured: recomputing them right after the
    start would cost ClickHouse as much as all inserts."""
    with mock.patch.object(DerivedTables, "recompute_if_due"):
        cli.main()


if __name__ == "__main__":
    main()
