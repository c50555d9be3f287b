"""`rapport ingest programs apply FILE`: programmes and how they are scored, as YAML or JSON: one record, a list of
them, or several YAML documents."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError

from schemas.events import partition_key, to_json
from schemas.primitives import FIRST_YEAR, to_rfc3339
from schemas.programs import Programme
from schemas.topics import EVENTS, PROGRAMS
from services.ingest.console import command_settings, report_errors, write, write_to_all
from services.ingest.domain.profile_versions import (
    Present,
    changes_past_scores,
    is_same,
    profile_set,
    violations,
    with_retained_versions,
)
from services.ingest.domain.verdict import Problem, explain
from services.ingest.flow.log_reading import HeldProgrammes, held, log_end
from services.ingest.settings import IngestSettings
from services.runtime.strict_yaml import UnreadableError, documents

FIRST_INSTANT = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
"""The present of an empty log, on the log's clock."""

NEEDS_HEAL = "; scores of it that are out already were made by the defaults: see `rapport scoring heal`"


@dataclass(frozen=True)
class Faulty:
    errors: tuple[Problem, ...]


def read_programs(file: Path, now: datetime) -> list[Programme | Faulty]:
    """Return every record in file order, recorded `now`. Raises strict_yaml.UnreadableError with the position."""
    found = (one if isinstance(one, list) else [one] for one in documents(file) if one is not None)
    return [_programme(record, now) for records in found for record in records]


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
    """Programmes: their relationships, contacts and scoring."""


@programs.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def apply(file: Path) -> None:
    """Write the programmes of FILE (YAML or JSON, one or many); if any is invalid, write none.

    The profiles go to the log, a copy on every partition, and the records to mentoring.programs. A new version of a
    profile begins at least an hour from now (RAPPORT_CLOCK=log: from the end of the log). A version in force never
    changes.
    """
    with report_errors():
        settings = command_settings()
        existing, present = held(settings), _present(settings)
        try:
            read = read_programs(file, datetime.now(UTC))
        except UnreadableError as broken:
            raise click.ClickException(str(broken)) from broken
        if not read:
            raise click.ClickException(f"{file}: there is no programme in it")
        records = [_with_existing_versions(existing, record) for record in read]
        _warn_of_unreadable(existing)
        if faults := _faults(file, records, existing.programmes, present):
            raise click.ClickException("nothing was written\n" + "\n".join(faults))
        requested = {_key(record): record for record in records if isinstance(record, Programme)}
        existing_programmes = existing.programmes
        changed = {
            key: record
            for key, record in requested.items()
            if key in existing.unreadable or not is_same(existing_programmes.get(key), record)
        }
        profiles = [
            record
            for key, record in changed.items()
            if key not in existing_programmes or existing_programmes[key].profiles != record.profiles
        ]
        # 1. The profiles, for scoring. 2. The record that they are applied: after an interruption the same command
        # repeats both.
        _publish(settings, profiles, present)
        write(settings, PROGRAMS.name, {key: record.model_dump_json().encode() for key, record in changed.items()})
    for key, record in requested.items():
        is_late = key in changed and changes_past_scores(existing_programmes.get(key), record)
        click.echo(f"{key}: {'applied' if key in changed else 'unchanged'}{NEEDS_HEAL if is_late else ''}")


@programs.command()
def upgrade() -> None:
    """Write the profiles of all programmes to the log. Needed once, where programmes were applied by a version that did
    not write profiles as events. A repeat changes nothing."""
    with report_errors():
        settings = command_settings()
        existing = held(settings)
        _warn_of_unreadable(existing)
        _publish(settings, existing.programmes.values(), _present(settings))
    click.echo(f"the profiles of {len(existing.programmes)} programmes are on the log")


def _with_existing_versions(existing: HeldProgrammes, record: Programme | Faulty) -> Programme | Faulty:
    if isinstance(record, Faulty):
        return record
    merged = with_retained_versions(existing.programmes.get(_key(record)), record)
    try:
        return Programme.model_validate_json(merged.model_dump_json())
    except ValidationError as invalid:
        return Faulty(explain(invalid))


def _publish(settings: IngestSettings, programmes: Iterable[Programme], present: Present) -> None:
    """Write a copy to every partition of the log, recorded at the present: it advances no clock further."""
    values = [to_json(profile_set(programme, max(present.at, FIRST_INSTANT))) for programme in programmes]
    write_to_all(settings, EVENTS.at(settings.log_epoch), values)


def _present(settings: IngestSettings) -> Present:
    if settings.clock == "log":
        return Present(log_end(settings), "the end of the log")
    return Present(datetime.now(UTC))


def _warn_of_unreadable(existing: HeldProgrammes) -> None:
    for key, reason in existing.unreadable.items():
        click.echo(f"{PROGRAMS.name} holds a record of {key} that cannot be read: {reason}", err=True)


def _faults(
    file: Path, records: Sequence[Programme | Faulty], existing: Mapping[str, Programme], present: Present
) -> list[str]:
    lines: list[str] = []
    seen: set[str] = set()
    for number, record in enumerate(records, 1):
        name = f" ({_key(record)})" if isinstance(record, Programme) else ""
        if isinstance(record, Faulty):
            problems = record.errors
        elif _key(record) in seen:
            problems = (Problem("id", "this programme is in the file twice"),)
        else:
            problems = violations(existing.get(_key(record)), record, present)
            seen.add(_key(record))
        lines += [
            f"{file}: record {number}{name}: {problem.path or 'the record'}: {problem.reason}" for problem in problems
        ]
    return lines


def _key(programme: Programme) -> str:
    return partition_key(programme.tenant, programme.id)
