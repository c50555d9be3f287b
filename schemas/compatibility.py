"""Whether what was published can still be read: every message that an earlier schema took, the new one must take too,
and take it to mean the same."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.narrowing import Schema, narrowed


class Break(NamedTuple):
    """`place` is the schema's name and the path within it: `session.held.v1 data.minutes`."""

    place: str
    reason: str


class _Pair(NamedTuple):
    """The same place in both documents; a document is where `$ref` leads."""

    place: str
    old: Schema
    new: Schema
    documents: tuple[Schema, Schema]

    def at(self, step: str, old: Schema, new: Schema) -> "_Pair":
        place = self.place + step if step == "[]" else f"{self.place}{'.' if ' ' in self.place else ' '}{step}"
        return _Pair(place, old, new, self.documents)


def breaks(published: Mapping[str, Schema], current: Mapping[str, Schema]) -> list[Break]:
    """Schemas by name; every way in which `current` breaks a reader of what was written as published."""
    away = [Break(name, "is away") for name in sorted(published.keys() - current.keys())]
    shared = [_Pair(n, published[n], current[n], (published[n], current[n])) for n in sorted(published) if n in current]
    return away + [found for pair in shared for found in _breaks(pair)]


def _breaks(pair: _Pair) -> Iterator[Break]:
    pair = pair._replace(old=_resolved(pair.old, pair.documents[0]), new=_resolved(pair.new, pair.documents[1]))
    if _choices(pair.old) or _choices(pair.new):
        yield from _of_choices(pair)
        return
    yield from (Break(pair.place, reason) for reason in narrowed(pair.old, pair.new))
    yield from _of_members(pair)
    yield from _below(pair, "items", "[]")
    yield from _below(pair, "additionalProperties", "*")


def _resolved(schema: Schema, document: Schema) -> Schema:
    """Keywords beside a reference hold too; pydantic puts only defaults and descriptions there."""
    if "$ref" not in schema:
        return schema
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return _resolved({**found, **{name: value for name, value in schema.items() if name != "$ref"}}, document)


def _choices(schema: Schema) -> list[Schema]:
    found: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    return found


def _of_choices(pair: _Pair) -> Iterator[Break]:
    """Whatever was one of the choices must fit one of the new ones; told is why it does not fit the nearest."""
    default = [{"default": schema["default"]} if "default" in schema else {} for schema in (pair.old, pair.new)]
    yield from (Break(pair.place, reason) for reason in narrowed(*default))
    for old in _choices(pair.old) or [pair.old]:
        candidates = _choices(pair.new) or [pair.new]
        found = (list(_breaks(pair._replace(old=_bare(old), new=_bare(new)))) for new in candidates)
        yield from min(found, key=len)


def _bare(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "default"}


def _of_members(pair: _Pair) -> Iterator[Break]:
    old, new = pair.old.get("properties", {}), pair.new.get("properties", {})
    for name in sorted({*pair.new.get("required", ())} - {*pair.old.get("required", ())}):
        yield Break(pair.at(name, {}, {}).place, "is required now")
    for name in sorted(old):
        member = pair.at(name, old[name], new.get(name, {}))
        yield from _breaks(member) if name in new else [Break(member.place, "is away")]


def _below(pair: _Pair, keyword: str, step: str) -> Iterator[Break]:
    """A keyword of which absence, and true, admit everything, and false nothing."""
    old, new = pair.old.get(keyword, True), pair.new.get(keyword, True)
    if new is True or old is False:
        return
    if new is False:
        yield Break(pair.at(step, {}, {}).place, "may no longer be there")
        return
    yield from _breaks(pair.at(step, {} if old is True else old, new))
