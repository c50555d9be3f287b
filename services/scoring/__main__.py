"""`rapport scoring`: the service, and what one asks of scores."""

import logging
import sys

import click
import faust

from schemas.topics import EVENTS
from services.runtime import health as health_
from services.runtime import log
from services.runtime.kafka import KafkaError, Producer
from services.runtime.settings import SettingsError, describe, load
from services.scoring.flow.application import application
from services.scoring.flow.settings import ScoringSettings


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
    log.configure(settings, "scoring")
    health = health_.Health()
    with health_.served(health, settings.host, settings.scoring_health_port):
        _work(settings, health)


def settings_or_exit() -> ScoringSettings:
    try:
        return load(ScoringSettings, "scoring")
    except SettingsError as invalid:
        click.echo(f"rapport scoring: {invalid}", err=True)
        sys.exit(2)


def _work(settings: ScoringSettings, health: health_.Health) -> None:
    try:
        partitions = _partitions(settings)
    except KafkaError as problem:
        log.get(__name__).error("kafka_not_usable", reason=str(problem))
        sys.exit(1)
    app = application(settings, health, partitions)
    # The level is only passed so that Faust draws no spinner; the logging is ours.
    worker = faust.Worker(app, loglevel=logging.INFO, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.execute_from_commandline()


def _partitions(settings: ScoringSettings) -> int:
    producer = Producer(settings)
    try:
        return len(producer.partitions(EVENTS.name))
    finally:
        producer.close()


if __name__ == "__main__":
    main()
