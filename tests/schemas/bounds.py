"""Computes the size of the largest value of a JSON Schema, and finds values without a bound."""

import math
import re
from collections.abc import Iterator
from re import _parser  # the only way to know how long a match of a pattern may be
from typing import Any

Schema = dict[str, Any]
# A character takes at most six bytes in JSON (an escaped control character) and four in UTF-8.
MAX_BYTES_PER_CHARACTER = 6
# The longest float, and the longest integer of 64 bits.
MAX_BYTES_OF_A_NUMBER = 25
# "2026-03-01T10:00:00.000000Z" with quotes; pydantic writes every instant in this form.
MAX_BYTES_OF_A_TIME = 29
WIDEST_INTEGER = 2**64
SEPARATOR = 2


def unbounded(name: str, schema: Schema) -> Iterator[str]:
    """Return the path of every string, list, map and integer without a bound."""
    yield from sorted(set(_unbounded(name, schema, schema)))


def largest(schema: Schema) -> float:
    """Return the size in bytes, as JSON without blanks; infinite if something is unbounded."""
    return _largest(schema, schema)


def _unbounded(path: str, node: Schema, whole: Schema) -> Iterator[str]:
    node = _resolved(node, whole)
    choices = node.get("anyOf") or node.get("oneOf") or ()
    for choice in choices:
        yield from _unbounded(path, choice, whole)
    if choices:
        return
    if "properties" in node or node.get("type") == "object":
        for member, below in node.get("properties", {}).items():
            yield from _unbounded(f"{path}.{member}", below, whole)
        if node.get("additionalProperties", True) is not False:
            yield f"{path}.*"
    elif node.get("type") == "array":
        if _most_items(node) == math.inf:
            yield f"{path}[]"
        for below in (node.get("items"), *node.get("prefixItems", ())):
            yield from _unbounded(f"{path}[]", below, whole) if below else ()
    elif _largest(node, whole) == math.inf:
        yield path


def _largest(node: Schema, whole: Schema) -> float:  # noqa: PLR0911 (one for each kind of schema)
    node = _resolved(node, whole)
    choices = node.get("anyOf") or node.get("oneOf")
    if choices:
        return max(_largest(choice, whole) for choice in choices)
    if "const" in node or "enum" in node:
        return max(len(str(value)) + SEPARATOR for value in [node.get("const"), *node.get("enum", ())])
    match node.get("type"):
        case "object":
            if node.get("additionalProperties", True) is not False:
                return math.inf
            members = node.get("properties", {}).items()
            return SEPARATOR + sum(len(name) + 2 * SEPARATOR + _largest(below, whole) for name, below in members)
        case "array":
            return SEPARATOR + _most_items(node) * (1 + _largest(node.get("items", {}), whole))
        case "string":
            return SEPARATOR + _most_characters(node) * _most_bytes_per_character(node)
        case "integer":
            wide = max(abs(node.get("minimum", math.inf)), abs(node.get("maximum", math.inf)))
            return MAX_BYTES_OF_A_NUMBER if wide <= WIDEST_INTEGER else math.inf
        case "number" | "boolean" | "null":
            return MAX_BYTES_OF_A_NUMBER
    return math.inf


def _most_items(node: Schema) -> float:
    return float(node.get("maxItems", math.inf))


def _most_characters(node: Schema) -> float:
    if node.get("format") in {"date-time", "date"}:
        return MAX_BYTES_OF_A_TIME
    pattern = node.get("pattern", "")
    width = _parser.parse(pattern).getwidth()[1] if re.fullmatch(r"\^.*\$", pattern, re.DOTALL) else math.inf
    return min(float(node.get("maxLength", math.inf)), math.inf if width >= _parser.MAXREPEAT else width)


def _most_bytes_per_character(node: Schema) -> int:
    """Return two for printable ASCII: the second byte is an escaping backslash."""
    pattern = node.get("pattern", "")
    is_ascii = pattern and all(
        word not in str(_parser.parse(pattern).data) for word in ("NEGATE", "NOT_LITERAL", "ANY", "CATEGORY")
    )
    return 2 if is_ascii else MAX_BYTES_PER_CHARACTER


def _resolved(node: Schema, whole: Schema) -> Schema:
    if "$ref" not in node:
        return node
    found: Any = whole
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return _resolved({**found, **{name: value for name, value in node.items() if name != "$ref"}}, whole)
