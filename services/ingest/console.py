"""What the commands share: settings, error messages, tables and writing records."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click

from services.ingest.flow.people.followers import ProjectionBehindError
from services.ingest.settings import IngestSettings
from services.runtime import log
from services.runtime.kafka import (
    BrokerUnreachableError,
    KafkaError,
    Producer,
    UnwritableRecordError,
    await_acknowledged,
    partition_count,
)
from services.runtime.settings import Settings, SettingsError, load


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def report_errors() -> Iterator[None]:
    """Turns errors from outside of the program into one line and exit code 1."""
    try:
        yield
    except (SettingsError, ProjectionBehindError, UnwritableRecordError, BrokerUnreachableError) as problem:
        raise click.ClickException(str(problem)) from problem
    except KafkaError as away:
        raise click.ClickException(f"the broker does not answer: {away}") from away
    except OSError as failed:
        # An unreadable file, a directory without write permission, a full disk.
        raise click.ClickException(f"{failed.filename or ''}: {failed.strerror or failed}".lstrip(": ")) from failed


def command_settings() -> IngestSettings:
    return load(IngestSettings, "ingest")


def quiet_settings() -> IngestSettings:
    """For commands that run code of the services: only warnings are logged, on stderr."""
    settings = command_settings()
    log.configure(settings.model_copy(update={"log_level": "WARNING"}), "ingest")
    return settings


def write(settings: Settings, topic: str, records: Mapping[str, bytes]) -> None:
    """Returns when every record is acknowledged. Raises KafkaError."""
    with _producing(settings) as producer:
        await_acknowledged(producer.send(topic, key.encode(), value) for key, value in records.items())


def write_to_all(settings: Settings, topic: str, values: Sequence[bytes]) -> None:
    """To every partition of the topic, without a key. Returns when all is acknowledged. Raises KafkaError."""
    partitions = range(partition_count(settings, topic))
    with _producing(settings) as producer:
        await_acknowledged(producer.send(topic, None, value, number) for number in partitions for value in values)


@contextmanager
def _producing(settings: Settings) -> Iterator[Producer]:
    producer = Producer(settings)
    try:
        yield producer
    finally:
        producer.close(5)
