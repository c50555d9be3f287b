"""Checks backward compatibility of schemas: every message that the published schema accepts, the current one must
accept with the same meaning."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.narrowing import Schema, narrowings


class Break(NamedTuple):
    """`path` is the schema's name and the path within it: `session.held.v1 data.minutes`."""

    path: str
    reason: str


class _Pair(NamedTuple):
    """The same location in both schemas. `documents`: where `$ref` is resolved."""

    path: str
    old: Schema
    new: Schema
    documents: tuple[Schema, Schema]

    def at(self, step: str, old: Schema, new: Schema) -> "_Pair":
        path = self.path + step if step == "[]" else f"{self.path}{'.' if ' ' in self.path else ' '}{step}"
        return _Pair(path, old, new, self.documents)


def breaks(published: Mapping[str, Schema], current: Mapping[str, Schema]) -> list[Break]:
    """Compare schemas by name. Return every way in which `current` breaks readers of published messages."""
    removed = [Break(name, "was removed") for name in sorted(published.keys() - current.keys())]
    shared = [_Pair(n, published[n], current[n], (published[n], current[n])) for n in sorted(published) if n in current]
    return removed + [found for pair in shared for found in _breaks(pair)]


def _breaks(pair: _Pair) -> Iterator[Break]:
    pair = pair._replace(old=_resolved(pair.old, pair.documents[0]), new=_resolved(pair.new, pair.documents[1]))
    if _choices(pair.old) or _choices(pair.new):
        yield from _choice_breaks(pair)
        return
    yield from (Break(pair.path, reason) for reason in narrowings(pair.old, pair.new))
    yield from _member_breaks(pair)
    yield from _nested_breaks(pair, "items", "[]")
    yield from _nested_breaks(pair, "additionalProperties", "*")


def _resolved(schema: Schema, document: Schema) -> Schema:
    """Keywords beside a reference apply too; pydantic puts only defaults and descriptions there."""
    if "$ref" not in schema:
        return schema
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return _resolved({**found, **{name: value for name, value in schema.items() if name != "$ref"}}, document)


def _choices(schema: Schema) -> list[Schema]:
    found: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    return found


def _choice_breaks(pair: _Pair) -> Iterator[Break]:
    """Each old alternative must fit a new one. Reports why it does not fit the closest one."""
    default = [{"default": schema["default"]} if "default" in schema else {} for schema in (pair.old, pair.new)]
    yield from (Break(pair.path, reason) for reason in narrowings(*default))
    for old in _choices(pair.old) or [pair.old]:
        candidates = _choices(pair.new) or [pair.new]
        found = (
            list(_breaks(pair._replace(old=_without_choices(old), new=_without_choices(new)))) for new in candidates
        )
        yield from min(found, key=len)


def _without_choices(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "default"}


def _member_breaks(pair: _Pair) -> Iterator[Break]:
    old, new = pair.old.get("properties", {}), pair.new.get("properties", {})
    for name in sorted({*pair.new.get("required", ())} - {*pair.old.get("required", ())}):
        yield Break(pair.at(name, {}, {}).path, "is required now")
    for name in sorted(old):
        member = pair.at(name, old[name], new.get(name, {}))
        yield from _breaks(member) if name in new else [Break(member.path, "was removed")]


def _nested_breaks(pair: _Pair, keyword: str, step: str) -> Iterator[Break]:
    """Compare a keyword whose absence or `true` accepts everything, and whose `false` accepts nothing."""
    old, new = pair.old.get(keyword, True), pair.new.get(keyword, True)
    if new is True or old is False:
        return
    if new is False:
        yield Break(pair.at(step, {}, {}).path, "may no longer be there")
        return
    yield from _breaks(pair.at(step, {} if old is True else old, new))
