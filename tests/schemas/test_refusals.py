"""Values that no message may contain, tried at every field of every golden example."""

import json
import re
from collections.abc import Callable, Sequence

import pytest
from pydantic import ValidationError

from tests.schemas.golden import EVENTS, NAMES, Steps, example, json_schema, leaves, nodes, put, reader

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
IDS = frozenset({"tenant", "subject", "program", "relationship", "session_id", "goal_id", "request_id", "pause_id"})
PEOPLE = frozenset({"coordinator", "deputy", "manager", "mentors", "mentees"})
GROUPS = frozenset({"cohort", "version", "programs"})
MEMBERS = frozenset({"acknowledge"})
CODES = frozenset({"tool", "reason", "reason_code", "topic", "skill", "token_id"})


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_the_schema_does_not_name_is_refused_with_its_path(name: str) -> None:
    whole = example(name)

    for path in nodes(whole):
        refused(name, (*path, "remark"), "it went well")


@pytest.mark.parametrize("name", NAMES)
def test_a_number_as_text_is_refused_with_its_path(name: str) -> None:
    for path, number in leaves(example(name)):
        if isinstance(number, int | float) and not isinstance(number, bool):
            refused(name, path, str(number))


@pytest.mark.parametrize("name", NAMES)
def test_a_time_without_a_zone_is_refused_with_its_path(name: str) -> None:
    for path in paths(name, lambda _, held: TIME.fullmatch(str(held)) is not None):
        refused(name, path, "2026-03-02T09:30:00.000000")


@pytest.mark.parametrize("name", NAMES)
def test_an_address_or_free_text_is_no_id_and_is_refused_with_its_path(name: str) -> None:
    for path in paths(name, lambda path, _: not (IDS | PEOPLE | GROUPS).isdisjoint(path[-2:])):
        for given in ("p2077@acme.example", "The one who asked", "acme/rel-4F2", ""):
            refused(name, path, given)


@pytest.mark.parametrize("name", NAMES)
def test_free_text_is_no_code_and_is_refused_with_its_path(name: str) -> None:
    for path in paths(name, lambda path, _: path[-1] in CODES):
        refused(name, path, "They no longer get on")


@pytest.mark.parametrize("given", ["", "two\nlines", "a\x00b", "del\x7f", "c1\x85", "x" * 257])
def test_an_event_id_is_one_line_without_control_characters(given: str) -> None:
    refused("session.held.v1", ("id",), given)


@pytest.mark.parametrize("given", ["", "two words", "tab\t", "two\nlines", "a\x00b", "é", "x" * 513])
def test_a_source_has_no_blanks_and_no_control_characters(given: str) -> None:
    refused("session.held.v1", ("source",), given)


def located(name: str, found: Sequence[str | int]) -> Steps:
    """Remove the union members that pydantic adds to the path."""
    return tuple(step for step in (found[1:] if name in EVENTS else found) if step not in MEMBERS)


def paths(name: str, wanted: Callable[[Steps, object], bool]) -> list[Steps]:
    return [path for path, held in leaves(example(name)) if wanted(path, held)]


def refused(name: str, path: Steps, given: str) -> None:
    """Validate with the model, which must report this path, and with the JSON Schema."""
    changed = put(example(name), path, given)

    with pytest.raises(ValidationError) as invalid:
        reader(name).validate_json(json.dumps(changed))

    # Pydantic may also report that a list is too short without its invalid item.
    found = invalid.value.errors()[0]["loc"]
    assert located(name, found) == path
    assert not json_schema(name).is_valid(changed), f"the JSON Schema admits {given!r} as {path}"
