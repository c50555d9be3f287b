"""The columns that come from an event's data: taken out by an expression if Rapport wrote the text, else read by the
schema of its type."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, get_args

from schemas import payloads as p
from schemas.events import OfRelationship, type_of
from services.warehouse.domain.written_data import expression, group_of, has_checks

DataColumns = tuple[object, ...]
"""The columns actor, evidence, tool, session_id, goal_id, minutes, people and payload."""
_FIELDS = ("by", "evidence", "origin.tool", "session_id", "goal_id", "minutes", "mentors", "mentees")
_MODELS: dict[str, type[p.Payload]] = {
    type_of(model): model.model_fields["data"].annotation for model in get_args(OfRelationship)
}


class _Form(NamedTuple):
    """How the data of a type is read. `written` matches text that Rapport wrote, if the type has such an expression;
    `groups` are then the values of _FIELDS. `checked`: the schema has to check the text nevertheless."""

    written: Callable[[str], re.Match[str] | None]
    groups: tuple[int, ...]
    checked: bool
    schema: Callable[[str], p.Payload]


def read_data(type_: str, text: str) -> DataColumns:
    """Thin: it runs for every stored event. Raises KeyError for an unknown type, and ValueError for data that its
    schema refuses."""
    written, groups, checked, schema = _form(type_)
    found = written(text)
    if found is None:
        return data_columns(schema(text))
    if checked:
        schema(text)
    by, evidence, tool, session, goal, minutes, mentors, mentees = found.group(*groups)
    people = (*json.loads(mentors), *json.loads(mentees)) if mentors else ()
    return by, evidence, tool or "", session, goal or "", float(minutes or 0), people, text


def data_columns(data: p.Payload) -> DataColumns:
    # Not getattr or isinstance: pydantic's lookup of a missing field takes longer than everything else here.
    fields = data.__dict__
    field, origin = fields.get, fields["origin"]
    return (
        fields["by"],
        fields["evidence"],
        origin.tool if origin else "",
        field("session_id", ""),
        field("goal_id") or "",
        field("minutes") or 0.0,
        (*fields["mentors"], *fields["mentees"]) if "mentors" in fields else (),
        data.__pydantic_serializer__.to_json(data, exclude_none=True).decode(),
    )


@cache
def _form(type_: str) -> _Form:
    """Made when the first event of its type comes: an expression takes a millisecond."""
    model = _MODELS[type_]
    schema = model.__pydantic_validator__.validate_json
    written = expression(model, _FIELDS)
    if written is None:
        return _Form(lambda _: None, groups=(), checked=False, schema=schema)
    groups = tuple(written.groupindex[group_of(field)] for field in _FIELDS)
    return _Form(written.fullmatch, groups, has_checks(model), schema)
