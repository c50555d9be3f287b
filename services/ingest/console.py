"""What the commands of operators share: settings, errors explained, rows in columns."""

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
def explained() -> Iterator[None]:
    """Turns what can go wrong outside of the program into one line and exit code 1."""
    try:
        yield
    except (SettingsError, ProjectionBehindError, UnwritableRecordError, BrokerUnreachableError) as problem:
        raise click.ClickException(str(problem)) from problem
    except KafkaError as away:
        raise click.ClickException(f"the broker does not answer: {away}") from away
    except OSError as failed:
        # A file that cannot be read, a folder that nobody may write to, a disk that is full.
        raise click.ClickException(f"{failed.filename or ''}: {failed.strerror or failed}".lstrip(": ")) from failed


def command_settings() -> IngestSettings:
    return load(IngestSettings, "ingest")


def quiet_settings() -> IngestSettings:
    """For commands that use what services use: of its log only warnings are said, on stderr."""
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
