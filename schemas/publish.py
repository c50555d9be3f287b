"""`python -m schemas.publish` stores the JSON Schemas of the tree as published, in `schemas/published.json`. It refuses
changes that would break readers of events that were written since the last time. `--first-bounds` permits the first
upper bound of something unbounded, `--record-defaults` a new default of a record whose writer writes all fields out:
schemas/README.md says when."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.compatibility import Break, breaks
from schemas.generate import json_schema
from schemas.models import models
from schemas.narrowing import FIRST

PUBLISHED = Path(__file__).with_name("published.json")


def current() -> Mapping[str, dict[str, Any]]:
    """Return the JSON Schema of every model, by name."""
    return {name: json_schema(name, model) for name, model in models().items()}


def read_published(file: Path) -> Mapping[str, dict[str, Any]]:
    """Return the published schemas; empty if nothing has been published."""
    found: dict[str, dict[str, Any]] = json.loads(file.read_bytes()) if file.exists() else {}
    return found


def publish(file: Path, passes: Callable[[Break], bool] = lambda _: False) -> list[Break]:
    """Return the breaking changes; if there are none, write the file."""
    found = [one for one in breaks(read_published(file), current()) if not passes(one)]
    if not found:
        file.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
    return found


def is_first_bound(found: Break) -> bool:
    return found.reason.endswith(FIRST)


def is_record_default(found: Break) -> bool:
    """`rapport programs apply` writes every field of a programme, so that a new default changes no record."""
    return found.path.startswith("programme ") and found.reason.endswith("default has changed")


if __name__ == "__main__":
    passes = {"--first-bounds": is_first_bound, "--record-defaults": is_record_default}
    refused = publish(PUBLISHED, *(passes[argument] for argument in sys.argv[1:2]))
    sys.stderr.writelines(f"{path}: {reason}\n" for path, reason in refused)
    sys.exit("not published: schemas/README.md says what may change" if refused else 0)
