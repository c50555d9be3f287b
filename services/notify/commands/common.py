"""What the commands share: settings, what they write, rows in columns, and how they end."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

import click

from services.notify.domain.destinations import DestinationsConfig, DestinationsError
from services.notify.flow.destinations import configured
from services.notify.names import Names
from services.notify.settings import NotifySettings
from services.runtime import settings as environment
from services.runtime.kafka import OutgoingRecord, Producer, await_acknowledged

LEAST_KEY = 6
"""Characters of the key of an alert or of the id of a delivery: with fewer two of them are too easily taken for each
other."""


def long_enough_or_exit(key: str) -> None:
    if len(key) < LEAST_KEY:
        fail(f"{key!r}: give at least {LEAST_KEY} characters")


def settings_or_exit() -> tuple[NotifySettings, Names]:
    """Exits with 2 where a setting is wrong."""
    try:
        settings = environment.load(NotifySettings, "notify")
    except environment.SettingsError as invalid:
        fail(str(invalid), code=2)
    return settings, Names.at(settings.log_epoch)


def destinations_or_exit(settings: NotifySettings) -> DestinationsConfig:
    try:
        return configured(settings)
    except DestinationsError as fault:
        fail(str(fault), code=2)


def write(settings: NotifySettings, records: Iterable[OutgoingRecord]) -> None:
    """Returns when all are on their topics. Raises KafkaError."""
    producer = Producer(settings)
    try:
        await_acknowledged(producer.send(one.topic, one.key, one.value, one.partition, one.headers) for one in records)
    finally:
        producer.close(5)


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line for each row, whose cells stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def fail(reason: str, code: int = 1) -> NoReturn:
    click.echo(f"rapport notify: {reason}", err=True)
    sys.exit(code)
