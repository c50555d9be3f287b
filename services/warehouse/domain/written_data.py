"""Expressions for the data of each type of event in the form that Rapport itself writes. If text matches, each field is
valid by the type's schema, and the text is exactly what the schema would write again."""

import builtins
import re
from collections.abc import Sequence
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.payloads import Payload, People
from schemas.primitives import Code, EventId, Id, Instant, Rating, SourceUri

# Each text is visible ASCII without `"` and `\`, so that the text between two quotes is the value itself. Each pattern
# accepts less than its type in `schemas.primitives` (tests/warehouse/test_written_data.py).
ID = r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}"
EVENT_ID = r"[ !#-\[\]-~]{1,256}"
SOURCE = r"[!#-\[\]-~]{1,512}"
# The years of the schema, and each day that there is.
_DAY = (
    r"(?:(?:19(?:7[1-9]|[89]\d)|2[01]\d\d)-(?:"
    r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"|(?:19(?:7[26]|8[048]|9[26])|2000|2[01](?:0[48]|[2468][048]|[13579][26]))-02-29)"
)
# Newer versions of Python parse 24:00 as the next day, which the schema refuses.
TIME = rf"{_DAY}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{{6}}Z"
# With so few digits the text is also the shortest that the number has, which is what the schema writes.
_DECIMALS = r"\.(?:0|\d{0,3}[1-9])"
_WRITTEN: tuple[tuple[Any, str], ...] = (
    (Id, f'"{ID}"'),
    (Code, r'"[a-z][a-z0-9_]{0,63}"'),
    (EventId, f'"{EVENT_ID}"'),
    (SourceUri, f'"{SOURCE}"'),
    (Instant, f'"{TIME}"'),
    (People, rf'\["{ID}"(?:,"{ID}"){{0,99}}\]'),
    (Rating, "[1-5]"),
    (float, rf"-?(?:0|[1-9]\d{{0,8}}){_DECIMALS}"),
    (bool, "(?:true|false)"),
    (date, f'"{_DAY}"'),
)


def expression(model: type[Payload], kept: Sequence[str]) -> re.Pattern[str] | None:
    """Return the expression, or None for a type with a required field that has none.

    The values of the fields `kept`, which are paths such as `origin.tool`, are groups: text without its quotes, other
    values as they stand. All of these groups exist; without a value they are empty or None."""
    found = _object(model, kept, "")
    if found is None:
        return None
    absent = "".join(f"(?P<{group_of(field)}>)" for field in kept if f"(?P<{group_of(field)}>" not in found)
    return re.compile(found + absent, re.ASCII)


def has_checks(model: type[BaseModel]) -> bool:
    """Return whether the schema has checks of its own beside the types of its fields, which no expression makes."""
    return bool(model.__pydantic_decorators__.model_validators or model.__pydantic_decorators__.field_validators)


def group_of(field: str) -> str:
    return field.replace(".", "_")


def _object(model: type[BaseModel], kept: Sequence[str], path: str) -> str | None:
    members = ""
    for name, hint in get_type_hints(model, include_extras=True).items():
        if name not in model.model_fields:
            continue
        value = _value(hint, kept, f"{path}{name}.")
        optional = NoneType in get_args(hint)
        if value is None and not optional:
            return None
        if value is not None:
            # The first field of every object is required, so that each other one comes with the comma before it.
            text = _grouped(value, group_of(path + name)) if path + name in kept else value
            member = f'{"," if members else ""}"{name}":{text}'
            members += f"(?:{member})?" if optional else member
    return rf"\{{{members}\}}"


def _grouped(value: str, group: str) -> str:
    return f'"(?P<{group}>{value[1:-1]})"' if value.startswith('"') else f"(?P<{group}>{value})"


def _value(hint: Any, kept: Sequence[str], path: str) -> str | None:  # noqa: ANN401 (any type)
    """Return None for a type that has no expression: data with such a value is left to the schema."""
    known = next((text for kind, text in _WRITTEN if kind == hint), None)
    if known is not None:
        return known
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Literal:
        return f'"(?:{"|".join(map(re.escape, arguments))})"'
    if kind in {Union, UnionType}:
        choices = [_value(one, kept, path) for one in arguments if one is not NoneType]
        texts = [one for one in choices if one is not None]
        if len(texts) < len(choices):
            return None
        return texts[0] if len(texts) == 1 else f"(?:{'|'.join(texts)})"
    if kind is Annotated:
        return _bounded(arguments[0], arguments[1])
    if isinstance(hint, type) and issubclass(hint, BaseModel) and not has_checks(hint):
        return _object(hint, kept, path)
    return None


def _bounded(kind: type, field: FieldInfo) -> str | None:
    """Numbers whose text says that they lie within their bounds: the greatest one, or fewer digits than it has."""
    match kind, field.metadata:
        case builtins.str, [object(max_length=int(longest))]:
            return rf'"[ !#-\[\]-~]{{0,{longest}}}"'
        case builtins.float, [object(gt=0), object(le=int(greatest))]:
            return _number(_below(greatest), greatest)
        case builtins.float, [object(ge=0), object(le=int(greatest))]:
            return _number(f"(?:0|{_below(greatest)})", greatest)
        case _:
            return None


def _below(greatest: int) -> str:
    return rf"[1-9]\d{{0,{len(str(greatest)) - 2}}}"


def _number(whole: str, greatest: int) -> str:
    return rf"(?:{whole}{_DECIMALS}|{greatest}\.0)"
