"""`rapport scoring`: the service, and what one asks of scores."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import faust

from schemas.primitives import from_micros, to_micros, to_rfc3339
from services.runtime import health as health_
from services.runtime import log
from services.runtime.clickhouse import ClickHouseError
from services.runtime.kafka import KafkaError, Producer
from services.runtime.settings import SettingsError, describe, load
from services.scoring.flow.application import application
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.verify import NotVerifiableError, Report, verify
from services.scoring.flow.watchdog import watch
from services.scoring.names import Names

STOP_SECONDS = 1.8
"""So long a stop may take at the most; two seconds are promised."""


@click.group()
def main() -> None:
    """Events to scores: health and risk of disengagement of every relationship."""


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and end.")
def serve(*, check: bool) -> None:
    """Run the stream processor until it is told to stop."""
    settings = settings_or_exit()
    if check:
        click.echo(describe(settings))
        return
    run(settings, Names())


@main.command("verify")
@click.option("--until", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="UTC; default: the lowest clock.")
def verify_(until: datetime | None) -> None:
    """Compare all rows in ClickHouse with the truth computed afresh from the log. Ends with 1 if they differ."""
    settings = settings_or_exit()
    micros = None if until is None else to_micros(until.replace(tzinfo=UTC))
    try:
        report = verify(settings, micros, lambda step: click.echo(f"  {step}", err=True))
    except (NotVerifiableError, KafkaError, ClickHouseError) as problem:
        sys.exit(f"rapport scoring verify: {problem}")
    click.echo("\n".join(_told(report)))
    sys.exit(0 if report.verdict.equal else 1)


def _told(report: Report) -> Iterator[str]:
    verdict = report.verdict
    yield f"until  {to_rfc3339(from_micros(report.until))}, {report.relationships} relationships"
    yield f"truth  {verdict.true_hash}  {verdict.rows} rows"
    yield f"table  {verdict.stored_hash}  {verdict.stored_rows} rows"
    if report.stale:
        yield f"stale  {len(report.stale)} left out, they need a heal: {', '.join(report.stale[:10])}"
    yield "equal" if verdict.equal else f"DIFFERENT  {verdict.first_difference}"


def run(settings: ScoringSettings, names: Names) -> None:
    """Exits with 0 after a signal, with 1 and the reason after anything unexpected."""
    # Until Faust sets its own handler there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    log.configure(settings, "scoring")
    health = health_.Health()
    with health_.served(health, settings.host, settings.scoring_health_port):
        _work(settings, names, health)


def settings_or_exit() -> ScoringSettings:
    try:
        return load(ScoringSettings, "scoring")
    except SettingsError as invalid:
        click.echo(f"rapport scoring: {invalid}", err=True)
        sys.exit(2)


class Process(faust.Worker):  # type: ignore[misc]
    def _schedule_shutdown(self, number: signal.Signals) -> None:
        """The run in work is finished. Told while it starts, Faust may wait for ever for what it has not yet begun; to
        end then is as good as any crash: it leaves no hole."""
        end = threading.Timer(STOP_SECONDS, os._exit, [0])
        end.daemon = True
        end.start()
        super()._schedule_shutdown(number)

    async def _sentinel_task(self) -> None:
        """Faust sleeps for a second here, when everything has ended: half of the time that a stop may take."""


def _work(settings: ScoringSettings, names: Names, health: health_.Health) -> None:
    try:
        partitions = _partitions(settings, names)
    except KafkaError as problem:
        log.get(__name__).error("kafka_not_usable", reason=str(problem))
        sys.exit(1)
    built = application(settings, health, names, partitions)
    # The level is only passed so that Faust draws no spinner; the logging is ours.
    worker = Process(built.app, loglevel=logging.INFO, quiet=True, override_logging=False, redirect_stdouts=False)
    watch(built.liveness.check, lambda: bool(worker.crashed))
    worker.execute_from_commandline()


def _partitions(settings: ScoringSettings, names: Names) -> int:
    producer = Producer(settings)
    try:
        return len(producer.partitions(names.events))
    finally:
        producer.close()


if __name__ == "__main__":
    main()
