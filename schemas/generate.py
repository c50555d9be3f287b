"""`python -m schemas.generate` writes the files that follow from the models: `schemas/json`, one JSON Schema per event
type and version and per record, as they are on the log; `schemas/asyncapi.json`, all topics; and `schemas/catalogue`,
the event types for people."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from schemas.asyncapi import document
from schemas.catalogue import pages
from schemas.models import PREFIX, is_event, models

SCHEMAS = Path(__file__).parent
FOLDER, ASYNCAPI, CATALOGUE = "json", "asyncapi.json", "catalogue"


def files() -> Mapping[str, bytes]:
    """Return every generated file by its path below `schemas`. The output is deterministic."""
    described = {f"{FOLDER}/{name}.json": _text(json_schema(name, model)) for name, model in models().items()}
    catalogue = {f"{CATALOGUE}/{name}": text.encode() for name, text in pages()}
    return described | catalogue | {ASYNCAPI: _text(document())}


def json_schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(mode="validation", by_alias=True)
    full = f"{PREFIX}{name}" if is_event(model) else name
    return schema | {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"urn:rapport:{full}", "title": full}


def stale(root: Path) -> Iterator[str]:
    """Yield a line for each file below `root` that is missing, superfluous or outdated."""
    wanted, found = files(), {str(path.relative_to(root)): path.read_bytes() for path in _written(root)}
    yield from (f"{name} is missing" for name in sorted(wanted.keys() - found.keys()))
    yield from (f"{name} is superfluous" for name in sorted(found.keys() - wanted.keys()))
    yield from (f"{name} is stale" for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name])


def write(root: Path) -> None:
    """Write the generated files below `root` and delete others from the generated folders."""
    for folder in (FOLDER, CATALOGUE):
        (root / folder).mkdir(parents=True, exist_ok=True)
    wanted = files()
    for path in _written(root):
        if str(path.relative_to(root)) not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (root / name).write_bytes(content)


def _written(root: Path) -> list[Path]:
    folders = [root / folder for folder in (FOLDER, CATALOGUE) if (root / folder).exists()]
    return [path for path in (*(file for one in folders for file in one.iterdir()), root / ASYNCAPI) if path.exists()]


def _text(tree: Mapping[str, Any]) -> bytes:
    return (json.dumps(tree, indent=2, sort_keys=True) + "\n").encode()


if __name__ == "__main__":
    write(SCHEMAS)
    sys.stdout.write(f"{len(files())} files below {SCHEMAS}\n")
