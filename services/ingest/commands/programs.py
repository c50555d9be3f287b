"""`rapport ingest programs apply FILE`: programmes and the profiles by which their scores are computed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from schemas.events import partition_key
from schemas.programs import Programme
from schemas.topics import PROGRAMS
from services.ingest.commands.console import command_settings, explained, write
from services.ingest.commands.program_file import Faulty, UnreadableError, read_programs
from services.ingest.domain.profile_versions import is_same, violations
from services.ingest.domain.verdict import Problem
from services.ingest.settings import IngestSettings
from services.runtime.kafka import read_to_end


@click.group()
def programs() -> None:
    """Whose relationships they are, who is called, and how they are scored."""


@programs.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def apply(file: Path) -> None:
    """Write the programmes of FILE (YAML or JSON, one or many); if any is at fault, none."""
    now = datetime.now(UTC)
    with explained():
        settings = command_settings()
        records = _read(file, now)
        held = _held(settings)
        if faults := _faults(file, records, held, now):
            raise click.ClickException("nothing was written\n" + "\n".join(faults))
        wanted = {_key(record): record for record in records if isinstance(record, Programme)}
        changed = {key: record for key, record in wanted.items() if not is_same(held.get(key), record)}
        write(settings, PROGRAMS.name, {key: record.model_dump_json().encode() for key, record in changed.items()})
    for key in wanted:
        click.echo(f"{key}: {'applied' if key in changed else 'unchanged'}")


def _read(file: Path, now: datetime) -> list[Programme | Faulty]:
    try:
        records = read_programs(file, now)
    except UnreadableError as broken:
        raise click.ClickException(str(broken)) from broken
    if not records:
        raise click.ClickException(f"{file}: there is no programme in it")
    return records


def _held(settings: IngestSettings) -> dict[str, Programme]:
    held: dict[str, Programme] = {}
    for record in read_to_end(settings, [PROGRAMS.name]):
        key = (record.key or b"").decode()
        if record.value is None:
            held.pop(key, None)
        else:
            held[key] = Programme.model_validate_json(record.value)
    return held


def _faults(file: Path, records: Sequence[Programme | Faulty], held: dict[str, Programme], now: datetime) -> list[str]:
    lines: list[str] = []
    seen: set[str] = set()
    for number, record in enumerate(records, 1):
        name = f" ({_key(record)})" if isinstance(record, Programme) else ""
        lines += [
            f"{file}: record {number}{name}: {error.path or 'the record'}: {error.reason}"
            for error in _errors(record, held, seen, now)
        ]
        if isinstance(record, Programme):
            seen.add(_key(record))
    return lines


def _errors(
    record: Programme | Faulty, held: dict[str, Programme], seen: set[str], now: datetime
) -> tuple[Problem, ...]:
    if isinstance(record, Faulty):
        return record.errors
    if _key(record) in seen:
        return (Problem("id", "this programme is in the file twice"),)
    return violations(held.get(_key(record)), record, now)


def _key(programme: Programme) -> str:
    return partition_key(programme.tenant, programme.id)
