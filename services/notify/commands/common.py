"""Shared parts of the commands: settings, writing records, columns, and exits."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

import click

from services.notify.domain.destinations import DestinationsConfig, DestinationsError
from services.notify.flow.destinations import load_configured
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime import settings as environment
from services.runtime.kafka import OutgoingRecord, Producer, await_acknowledged

MIN_KEY = 6
"""Characters of an alert key or a delivery id: fewer are too easily ambiguous."""


def long_enough_or_exit(key: str) -> None:
    if len(key) < MIN_KEY:
        fail(f"{key!r}: give at least {MIN_KEY} characters")


def settings_or_exit() -> tuple[NotifySettings, NotifyTopics]:
    """Load the settings and topics. Exits with 2 where a setting is wrong."""
    try:
        settings = environment.load(NotifySettings, "notify")
    except environment.SettingsError as invalid:
        fail(str(invalid), code=2)
    return settings, NotifyTopics.at(settings.log_epoch)


def destinations_or_exit(settings: NotifySettings) -> DestinationsConfig:
    try:
        return load_configured(settings)
    except DestinationsError as fault:
        fail(str(fault), code=2)


def write(settings: NotifySettings, records: Iterable[OutgoingRecord]) -> None:
    """Write the records; returns when all are acknowledged. Raises KafkaError."""
    producer = Producer(settings)
    try:
        await_acknowledged(producer.send(one.topic, one.key, one.value, one.partition, one.headers) for one in records)
    finally:
        producer.close(5)


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row, with aligned cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def fail(reason: str, code: int = 1) -> NoReturn:
    click.echo(f"rapport notify: {reason}", err=True)
    sys.exit(code)
