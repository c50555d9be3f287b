"""Every kind of schema change: breaking changes are reported with their path, others pass."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from schemas.compatibility import Break, breaks
from schemas.publish import PUBLISHED, is_first_bound, publish, read_published
from tests.schemas.golden import NAMES, current_schemas

Schema = dict[str, Any]
BASE: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "kind"],
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z]+$", "minLength": 1, "maxLength": 9},
        "kind": {"enum": ["group", "peer"], "type": "string"},
        "version": {"const": "1.0", "type": "string", "default": "1.0"},
        "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None},
        "minutes": {"type": "number", "exclusiveMinimum": 0, "maximum": 60},
        "rating": {"type": "integer", "minimum": 1, "maximum": 5},
        "mentors": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"$ref": "#/$defs/Person"}},
        "weights": {"type": "object", "additionalProperties": {"type": "integer"}, "default": {}},
        "anything": {},
    },
    "$defs": {
        "Person": {
            "type": "object",
            "additionalProperties": False,
            "required": ["id"],
            "properties": {"id": {"type": "string"}, "zone": {"type": "string", "default": "UTC"}},
        }
    },
}
AWAY = object()


@pytest.mark.parametrize(
    ("path", "value", "place", "reason"),
    [
        ("properties/minutes", AWAY, "minutes", "was removed"),
        ("$defs/Person/properties/zone", AWAY, "mentors[].zone", "was removed"),
        ("required", ["id", "kind", "rating"], "rating", "is required now"),
        ("$defs/Person/required", ["id", "zone"], "mentors[].zone", "is required now"),
        ("properties/id/type", "integer", "id", "may no longer be string"),
        ("properties/minutes/type", "integer", "minutes", "may no longer be number"),
        ("properties/anything/type", "string", "anything", "may no longer be array, boolean"),
        ("properties/mentors/items", {"type": "string"}, "mentors[]", "may no longer be object"),
        ("properties/kind/enum", ["group"], "kind", 'may no longer be "peer"'),
        ("properties/id/enum", ["a"], "id", "takes some values only"),
        ("properties/version/const", "2.0", "version", 'may no longer be "1.0"'),
        ("properties/version/default", "2.0", "version", "default has changed"),
        ("properties/version/default", AWAY, "version", "default has changed"),
        ("properties/due/default", "2026-03-02", "due", "default has changed"),
        ("properties/due", {"type": "string", "format": "date", "default": None}, "due", "may no longer be null"),
        ("properties/due/anyOf/0/format", "date-time", "due", "format has changed"),
        ("properties/id/pattern", "^[a-z0-9]+$", "id", "pattern has changed"),
        ("properties/rating/multipleOf", 2, "rating", "multipleOf has changed"),
        ("properties/id/minLength", 2, "id", "minLength is narrower"),
        ("properties/id/maxLength", 8, "id", "maxLength is narrower"),
        ("properties/minutes/maxLength", 8, "minutes", "maxLength is narrower"),
        ("properties/mentors/minItems", 2, "mentors", "minItems is narrower"),
        ("properties/mentors/maxItems", 2, "mentors", "maxItems is narrower"),
        ("properties/mentors/uniqueItems", True, "mentors", "uniqueItems has changed"),
        ("properties/rating/minimum", 2, "rating", "minimum is narrower"),
        ("properties/rating/exclusiveMinimum", 1, "rating", "minimum is narrower"),
        ("properties/rating/maximum", 4, "rating", "maximum is narrower"),
        ("properties/rating/exclusiveMaximum", 5, "rating", "maximum is narrower"),
        ("properties/weights/additionalProperties", {"type": "null"}, "weights.*", "may no longer be integer"),
        ("properties/weights/additionalProperties", False, "weights.*", "may no longer be there"),
        ("properties/weights/propertyNames", {"pattern": "^a"}, "weights", "propertyNames has changed"),
    ],
)
def test_a_breaking_change_is_reported_with_its_path(path: str, value: object, place: str, reason: str) -> None:
    found = breaks({"made.v1": BASE}, {"made.v1": changed(path, value)})

    assert any(reason in one.reason for one in found), found
    assert all(one.path.startswith(f"made.v1 {place}") for one in found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties/remark", {"type": "string", "default": ""}),
        ("$defs/Person/properties/status", {"type": "string", "default": "active"}),
        ("required", ["id"]),
        ("additionalProperties", True),
        ("properties/id/type", ["string", "null"]),
        ("properties/rating/type", "number"),
        ("properties/kind/enum", ["peer", "reverse", "group"]),
        ("properties/kind/enum", AWAY),
        ("properties/version", {"enum": ["1.0", "1.1"], "type": "string", "default": "1.0"}),
        ("properties/due/anyOf", [{"type": "null"}, {"type": "integer"}, {"type": "string", "format": "date"}]),
        ("properties/minutes", {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None}),
        ("properties/id/pattern", AWAY),
        ("properties/due/anyOf/0/format", AWAY),
        ("properties/id/minLength", 0),
        ("properties/id/maxLength", AWAY),
        ("properties/mentors/maxItems", 100),
        ("properties/minutes/exclusiveMinimum", -1),
        ("properties/minutes", {"type": "number", "minimum": 0, "maximum": 60}),
        ("properties/rating/maximum", 10),
        ("properties/rating/default", 3),
        ("properties/weights/additionalProperties", True),
        ("properties/id/description", "said otherwise"),
        ("title", "Made"),
    ],
)
def test_a_change_that_breaks_nobody_passes(path: str, value: object) -> None:
    assert breaks({"made.v1": BASE}, {"made.v1": changed(path, value)}) == []


@pytest.mark.parametrize(
    ("path", "value", "passes"),
    [
        ("$defs/Person/properties/id/maxLength", 9, True),
        ("properties/weights/maxProperties", 9, True),
        ("properties/anything/maxItems", 9, True),
        ("properties/id/maxLength", 8, False),
        ("properties/mentors/maxItems", 2, False),
        ("properties/minutes/maximum", 59, False),
        ("properties/mentors/minItems", 2, False),
        ("properties/anything/type", "string", False),
    ],
)
def test_only_the_first_bound_of_what_had_none_may_be_published_when_that_is_asked_for(
    path: str,
    value: object,
    passes: bool,  # noqa: FBT001 (of the table above)
) -> None:
    found = breaks({"made.v1": BASE}, {"made.v1": changed(path, value)})

    assert found
    assert all(map(is_first_bound, found)) == passes


def test_a_type_may_come_and_none_may_go() -> None:
    assert breaks({"made.v1": BASE}, {"made.v1": BASE, "made.v2": {}}) == []
    assert breaks({"made.v1": BASE, "gone.v1": BASE}, {"made.v1": BASE}) == [Break("gone.v1", "was removed")]


def test_a_change_of_a_reference_is_a_change_of_what_it_leads_to() -> None:
    inlined = changed("properties/mentors/items", BASE["$defs"]["Person"])

    assert breaks({"made.v1": BASE}, {"made.v1": inlined}) == breaks({"made.v1": inlined}, {"made.v1": BASE}) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_member_of_a_real_schema_may_go(name: str) -> None:
    whole = current_schemas()[name]

    for path in members(whole):
        copy = without(whole, path)

        assert breaks({name: whole}, {name: copy}), f"{'/'.join(path)} went unnoticed"


def test_no_schema_of_the_tree_breaks_readers_of_what_was_published() -> None:
    found = breaks(read_published(PUBLISHED), current_schemas())

    told = "\n".join(f"{place}: {reason}" for place, reason in found)
    assert not found, (
        f"make it a new version (schemas/README.md), for readers of events on the log would break:\n{told}"
    )


def test_every_schema_of_the_tree_was_published() -> None:
    missing = sorted(current_schemas().keys() - read_published(PUBLISHED).keys())

    assert missing == [], "run `python -m schemas.publish`"


def test_a_first_publication_and_a_wider_one_are_written_and_one_that_breaks_is_not(tmp_path: Path) -> None:
    file = tmp_path / "published.json"

    first = publish(file)
    narrower = dict(read_published(file))
    narrower["session.held.v1"] = {}
    file.write_text(json.dumps(narrower))
    refused = publish(file)

    assert first == []
    assert {found.path.split(" ")[0] for found in refused} == {"session.held.v1"}
    assert read_published(file) == narrower


def changed(path: str, value: object) -> Schema:
    """Return a copy of BASE with another value at the path."""
    copy = deepcopy(BASE)
    *steps, last = path.split("/")
    node: Any = copy
    for step in steps:
        node = node[int(step)] if isinstance(node, list) else node[step]
    if value is AWAY:
        del node[last]
    else:
        node[last] = value
    return copy


def members(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:  # noqa: ANN401 (JSON)
    """Yield the path of every member of every object that a schema describes."""
    if not isinstance(tree, dict):
        return []
    own = [(*path, name) for name in tree] if path[-1:] == ("properties",) else []
    return own + [found for step, below in tree.items() for found in members(below, (*path, step))]


def without(tree: Schema, path: tuple[str, ...]) -> Schema:
    step, *rest = path
    if not rest:
        return {name: below for name, below in tree.items() if name != step}
    return tree | {step: without(tree[step], tuple(rest))}
