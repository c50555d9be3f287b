"""Reads a file of programmes: YAML or JSON, one record, a list of them, or several YAML documents."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from pydantic import ValidationError

from schemas.primitives import to_rfc3339
from schemas.programs import Programme
from services.ingest.domain.verdict import Problem
from services.ingest.domain.wording import explain


class UnreadableError(Exception):
    """The file is no YAML or JSON."""


@dataclass(frozen=True)
class Faulty:
    errors: tuple[Problem, ...]


def read_programs(file: Path, now: datetime) -> list[Programme | Faulty]:
    """Every record in the order of the file, recorded `now`. Raises UnreadableError, which says where."""
    try:
        documents = list(yaml.load_all(file.read_bytes(), Loader=_Loader))
    except (yaml.YAMLError, UnicodeDecodeError) as broken:
        raise UnreadableError(f"{file}: {broken}") from broken
    return [_programme(record, now) for record in _records(documents)]


class _Loader(yaml.SafeLoader):
    """YAML's safe part; dates stay text, which the schema reads, and no name may appear twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT001, FBT002 (PyYAML's signature)
        names = [key.value for key, _ in node.value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise yaml.MarkedYAMLError(problem=f"{twice!r} appears twice", problem_mark=node.start_mark)
        found: dict[object, object] = super().construct_mapping(node, deep)
        return found


def _as_text(loader: _Loader, node: yaml.ScalarNode) -> object:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def _records(documents: list[object]) -> Iterator[object]:
    for document in documents:
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
