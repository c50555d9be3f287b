"""Reads a file of programmes: YAML or JSON, one record, a list of them, or several YAML documents."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from schemas.primitives import to_rfc3339
from schemas.programs import Programme
from services.ingest.domain.verdict import Problem
from services.ingest.domain.wording import explain
from services.runtime.strict_yaml import documents


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
