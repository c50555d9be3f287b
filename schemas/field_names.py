"""The field and type names of our messages. A path that is logged contains no other names: an unknown key may be text
that somebody wrote."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from schemas.models import PREFIX, is_event, models

UNKNOWN = "?"
_INDEX = re.compile(r"[0-9]{1,9}")


def safe_path(steps: Iterable[int | str]) -> str:
    """Format a path such as `data.mentors.0`; unknown steps are replaced by "?"."""
    return ".".join(str(step) if _is_ours(step) else UNKNOWN for step in steps)


@cache
def field_names() -> frozenset[str]:
    """Return the names of all event types, and of all fields of all messages, by name and by alias."""
    types = {f"{PREFIX}{name}" for name, model in models().items() if is_event(model)}
    return frozenset(types.union(*(_names_of(model) for model in models().values())))


def _is_ours(step: int | str) -> bool:
    return isinstance(step, int) or _INDEX.fullmatch(step) is not None or step in field_names()


def _names_of(annotation: Any) -> Iterator[str]:  # noqa: ANN401 (whatever a field is declared as)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield name
            if field.alias:
                yield field.alias
            yield from _names_of(field.annotation)
    for part in get_args(annotation):
        yield from _names_of(part)
