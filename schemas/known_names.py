"""The names that our messages are made of. A path that is written down holds no others: what a stranger calls a member
may be what somebody wrote."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from schemas.models import PREFIX, is_event, models

UNKNOWN = "?"
_INDEX = re.compile(r"[0-9]{1,9}")


def known_path(steps: Iterable[int | str]) -> str:
    """`data.mentors.0`; of a step that is none of ours "?" is left."""
    return ".".join(str(step) if _is_ours(step) else UNKNOWN for step in steps)


@cache
def known_names() -> frozenset[str]:
    """Of all types of events, and of all fields of all messages, by name and by alias."""
    types = {f"{PREFIX}{name}" for name, model in models().items() if is_event(model)}
    return frozenset(types.union(*(_names_of(model) for model in models().values())))


def _is_ours(step: int | str) -> bool:
    return isinstance(step, int) or _INDEX.fullmatch(step) is not None or step in known_names()


def _names_of(annotation: Any) -> Iterator[str]:  # noqa: ANN401 (whatever a field is declared as)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield name
            if field.alias:
                yield field.alias
            yield from _names_of(field.annotation)
    for part in get_args(annotation):
        yield from _names_of(part)
