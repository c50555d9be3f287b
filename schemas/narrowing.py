"""Compares two JSON Schemas of a single value: what does the newer one refuse that the older one accepted?"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
# Compared elsewhere, or annotations for people and tools only.
STRUCTURE = frozenset({"$defs", "$ref", "additionalProperties", "anyOf", "items", "oneOf", "properties", "required"})
SPOKEN = frozenset({"$comment", "$id", "$schema", "deprecated", "description", "discriminator", "examples", "title"})
LOWER = ("minLength", "minItems", "minProperties")
UPPER = ("maxLength", "maxItems", "maxProperties")
RANGE = frozenset({"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"})
FIRST = ": the first bound where there was none"
COMPARED = STRUCTURE | SPOKEN | RANGE | {*LOWER, *UPPER, "type", "const", "enum", "default"}


def narrowings(old: Schema, new: Schema) -> Iterator[str]:
    """Yield a reason for each way in which `new` is stricter or has another meaning. What cannot be compared, such as
    two patterns, counts as stricter unless it was removed."""
    if gone := _types(old) - _types(new):
        yield f"may no longer be {_join(gone)}"
    if gone := _values(old) - _values(new) if "const" in new or "enum" in new else frozenset():
        yield f"may no longer be {_join(gone)}"
    if ("const" in new or "enum" in new) and not _values(old) and "type" in old:
        yield "takes some values only"
    yield from (f"{name} is narrower{'' if _had(old, name) else FIRST}" for name in _narrower_limits(old, new))
    yield from (f"{name} has changed" for name in sorted(new.keys() - COMPARED) if new[name] != old.get(name))
    if "default" in old and ("default" not in new or new["default"] != old["default"]):
        yield "has another meaning where it is left out: default has changed"


def _types(schema: Schema) -> frozenset[str]:
    given = schema.get("type", TYPES)
    types = frozenset({given} if isinstance(given, str) else given)
    return types | {"integer"} if "number" in types else types


def _values(schema: Schema) -> frozenset[str]:
    """As JSON text, since 1 and True are equal in Python."""
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return frozenset(map(json.dumps, values))


def _narrower_limits(old: Schema, new: Schema) -> Iterator[str]:
    yield from (name for name in LOWER if new.get(name, 0) > old.get(name, 0))
    yield from (name for name in UPPER if new.get(name, math.inf) < old.get(name, math.inf))
    if _floor(new) > _floor(old):
        yield "minimum"
    if _ceiling(new) < _ceiling(old):
        yield "maximum"


def _had(old: Schema, name: str) -> bool:
    """Any lower limit counts as one: only unbounded values may get their first bound."""
    return name in old or name not in {*UPPER, "maximum"} or (name == "maximum" and "exclusiveMaximum" in old)


def _floor(schema: Schema) -> tuple[float, bool]:
    """Return the lowest number, and whether it is excluded; a greater pair is stricter."""
    return max((schema.get("minimum", -math.inf), False), (schema.get("exclusiveMinimum", -math.inf), True))


def _ceiling(schema: Schema) -> tuple[float, bool]:
    """Return the highest number, and whether it is included; a smaller pair is stricter."""
    return min((schema.get("maximum", math.inf), True), (schema.get("exclusiveMaximum", math.inf), False))


def _join(values: frozenset[str]) -> str:
    return ", ".join(sorted(values))
