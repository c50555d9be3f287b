"""`python -m schemas.publish` notes the JSON Schemas of the tree as published, in `schemas/published.json`. It refuses
what would break readers of the events that were written since the last time. `--first-bounds` lets pass what gives its
first upper bound to something that could be of any size, `--record-defaults` a new default of a record whose writer
writes all fields out: schemas/README.md says when."""

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
    """The JSON Schema of every model, by name."""
    return {name: json_schema(name, model) for name, model in models().items()}


def published(file: Path) -> Mapping[str, dict[str, Any]]:
    """Nothing where nothing has been published."""
    found: dict[str, dict[str, Any]] = json.loads(file.read_bytes()) if file.exists() else {}
    return found


def publish(file: Path, passes: Callable[[Break], bool] = lambda _: False) -> list[Break]:
    """What stands against it; where nothing does, the file is written."""
    found = [one for one in breaks(published(file), current()) if not passes(one)]
    if not found:
        file.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
    return found


def is_first_bound(found: Break) -> bool:
    return found.reason.endswith(FIRST)


def is_record_default(found: Break) -> bool:
    """`rapport programs apply` writes every field of a programme: a later default changes no record."""
    return found.place.startswith("programme ") and found.reason.endswith("default has changed")


if __name__ == "__main__":
    passes = {"--first-bounds": is_first_bound, "--record-defaults": is_record_default}
    refused = publish(PUBLISHED, *(passes[argument] for argument in sys.argv[1:2]))
    sys.stderr.writelines(f"{place}: {reason}\n" for place, reason in refused)
    sys.exit("not published: schemas/README.md says what may change" if refused else 0)
