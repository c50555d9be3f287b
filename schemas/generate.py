"""`python -m schemas.generate` writes `schemas/json`: one JSON Schema per event type and version, and per record.
They describe what stands on the log, as the models read it."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from schemas.alerts import AlertEvent, Delivery
from schemas.directory import Participant
from schemas.events import MentoringEvent, type_of
from schemas.programs import Programme
from schemas.scores import ScoreEvent
from schemas.tokens import Token

FOLDER = Path(__file__).with_name("json")
EVENTS = (*get_args(MentoringEvent), *get_args(ScoreEvent), *get_args(AlertEvent))
RECORDS: tuple[type[BaseModel], ...] = (Participant, Programme, Token, Delivery)
PREFIX = "mentoring."


def models() -> Mapping[str, type[BaseModel]]:
    """By the name that schema and golden example share: `session.held.v1`, `participant`."""
    events = {type_of(model).removeprefix(PREFIX): model for model in EVENTS}
    return events | {model.__name__.lower(): model for model in RECORDS}


def files() -> Mapping[str, bytes]:
    """Every file of the folder, by name; the same models give the same bytes."""
    return {f"{name}.json": _document(name, model) for name, model in models().items()}


def stale(folder: Path) -> Iterator[str]:
    """What is wrong with the folder, a line each; nothing if it is as it would be written now."""
    wanted, found = files(), {path.name: path.read_bytes() for path in folder.iterdir()}
    yield from (f"{name} is missing" for name in sorted(wanted.keys() - found.keys()))
    yield from (f"{name} is superfluous" for name in sorted(found.keys() - wanted.keys()))
    yield from (f"{name} is stale" for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name])


def write(folder: Path) -> None:
    """Makes the folder hold these files and no others."""
    folder.mkdir(exist_ok=True)
    wanted = files()
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (folder / name).write_bytes(content)


def _document(name: str, model: type[BaseModel]) -> bytes:
    schema: dict[str, Any] = model.model_json_schema(mode="validation", by_alias=True)
    full = f"{PREFIX}{name}" if model in EVENTS else name
    named = {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"urn:rapport:{full}", "title": full}
    return (json.dumps(schema | named, indent=2, sort_keys=True) + "\n").encode()


if __name__ == "__main__":
    write(FOLDER)
    sys.stdout.write(f"{len(models())} schemas in {FOLDER}\n")
