"""`rapport ingest programs apply FILE`: programmes and how they are scored, as YAML or JSON: one record, a list of
them, or several YAML documents."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError

from schemas.events import partition_key
from schemas.primitives import to_rfc3339
from schemas.programs import Programme
from schemas.topics import PROGRAMS
from services.ingest.commands.console import command_settings, explained, write
from services.ingest.domain.profile_versions import Present, changes_the_past, is_same, violations
from services.ingest.domain.verdict import Problem, explain
from services.ingest.flow.log_reading import HeldProgrammes, held, log_end
from services.ingest.settings import IngestSettings
from services.runtime.strict_yaml import UnreadableError, documents


@dataclass(frozen=True)
class Faulty:
    errors: tuple[Problem, ...]


def read_programs(file: Path, now: datetime) -> list[Programme | Faulty]:
    """Every record in the order of the file, recorded `now`. Raises strict_yaml.UnreadableError, which says where."""
    return [_programme(record, now) for record in _records(documents(file))]


def _records(found: list[object]) -> Iterator[object]:
    for document in found:
        if isinstance(document, list):
            yield from document
        elif document is not None:
            yield document


def _programme(record: object, now: datetime) -> Programme | Faulty:
    if not isinstance(record, dict):
        return Faulty((Problem("", "a programme is a mapping of names to values"),))
    try:
        return Programme.model_validate_json(json.dumps({**record, "recordedtime": to_rfc3339(now)}))
    except ValidationError as invalid:
        return Faulty(explain(invalid))
    except (TypeError, ValueError) as broken:
        return Faulty((Problem("", str(broken)),))


@click.group()
def programs() -> None:
    """Whose relationships they are, who is called, and how they are scored."""


@programs.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def apply(file: Path) -> None:
    """Write the programmes of FILE (YAML or JSON, one or many); if any is at fault, none.

    A new version of a profile begins at least an hour from now (RAPPORT_CLOCK=log: from the end of the log); what is in
    force stays as it is.
    """
    with explained():
        settings = command_settings()
        records = _read(file, datetime.now(UTC))
        known = held(settings)
        _warn(known)
        if faults := _faults(file, records, known.programmes, _present(settings)):
            raise click.ClickException("nothing was written\n" + "\n".join(faults))
        wanted = {_key(record): record for record in records if isinstance(record, Programme)}
        changed = {key: record for key, record in wanted.items() if not _is_known(known, key, record)}
        write(settings, PROGRAMS.name, {key: record.model_dump_json().encode() for key, record in changed.items()})
    for key, record in wanted.items():
        click.echo(f"{key}: {_outcome(known.programmes.get(key), record) if key in changed else 'unchanged'}")


def _present(settings: IngestSettings) -> Present:
    if settings.clock == "log":
        return Present(log_end(settings), "the end of the log")
    return Present(datetime.now(UTC))


def _read(file: Path, now: datetime) -> list[Programme | Faulty]:
    try:
        records = read_programs(file, now)
    except UnreadableError as broken:
        raise click.ClickException(str(broken)) from broken
    if not records:
        raise click.ClickException(f"{file}: there is no programme in it")
    return records


def _warn(known: HeldProgrammes) -> None:
    for key, reason in known.unreadable.items():
        click.echo(f"{PROGRAMS.name} holds a record of {key} that cannot be read: {reason}", err=True)


def _faults(
    file: Path, records: Sequence[Programme | Faulty], known: Mapping[str, Programme], present: Present
) -> list[str]:
    lines: list[str] = []
    seen: set[str] = set()
    for number, record in enumerate(records, 1):
        name = f" ({_key(record)})" if isinstance(record, Programme) else ""
        problems = _repeated(record, seen) or _problems(record, known, present)
        lines += [
            f"{file}: record {number}{name}: {problem.path or 'the record'}: {problem.reason}" for problem in problems
        ]
        if isinstance(record, Programme):
            seen.add(_key(record))
    return lines


def _repeated(record: Programme | Faulty, seen: set[str]) -> tuple[Problem, ...]:
    if isinstance(record, Programme) and _key(record) in seen:
        return (Problem("id", "this programme is in the file twice"),)
    return ()


def _problems(record: Programme | Faulty, known: Mapping[str, Programme], present: Present) -> tuple[Problem, ...]:
    if isinstance(record, Faulty):
        return record.errors
    return violations(known.get(_key(record)), record, present)


def _is_known(known: HeldProgrammes, key: str, record: Programme) -> bool:
    return key not in known.unreadable and is_same(known.programmes.get(key), record)


def _outcome(before: Programme | None, record: Programme) -> str:
    if changes_the_past(before, record):
        return "applied; scores of it that are out already were made by the defaults: see `rapport scoring heal`"
    return "applied"


def _key(programme: Programme) -> str:
    return partition_key(programme.tenant, programme.id)
