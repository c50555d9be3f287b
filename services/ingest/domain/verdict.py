"""Verdicts on events and payloads: admitted, ignored, or rejected with a reason and the paths at fault."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.events import EVENT_TYPES, MentoringEvent
from schemas.models import PREFIX, models
from schemas.primitives import pattern_in_words

Reason = Literal[
    "malformed",
    "invalid",
    "unknown_type",
    "future",
    "forbidden",
    "conflict",
    "too_large",
    "unresolved",
    # The broker refuses this record alone.
    "refused",
    # Processing it met an error of ours.
    "failed",
]


@dataclass(frozen=True)
class Problem:
    """A fault at a path such as `data.minutes`; an empty path means the full event. `stored`: the reason to store, if
    `reason` quotes the sender."""

    path: str
    reason: str
    stored: str = ""


@dataclass(frozen=True)
class Rejected:
    reason: Reason
    errors: tuple[Problem, ...]


class Admitted(NamedTuple):
    """A complete and trusted event, as written to the log. `dropped`: how many of the sender's attributes it lacks."""

    event: MentoringEvent
    dropped: int = 0


@dataclass(frozen=True)
class Ignored:
    """Valid, but not needed."""

    reason: str


Verdict = Admitted | Rejected


def rejected(reason: Reason, path: str, words: str, stored: str = "") -> Rejected:
    return Rejected(reason, (Problem(path, words, stored),))


# An event with more faults is in another format; listing them all is of no use.
MAX_LISTED = 20
LONGEST_PATH = 200
# Longer text is no misspelling, and comparing it costs time.
LONGEST_COMPARED = 100
WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    # pydantic's message names an internal class.
    "model_type": "must be an object",
    # And this one a type of Python.
    "tuple_type": "must be a list",
    "bool_parsing": "must be true or false",
    "timezone_aware": "must have an offset, such as Z or +01:00",
}


def explain(invalid: ValidationError) -> tuple[Problem, ...]:
    listed = invalid.errors(include_url=False, include_context=False, include_input=False)[:MAX_LISTED]
    found = []
    for error in listed:
        # The first step into a union is the name of its member, which is no path of the sender's event.
        steps = error["loc"][1:] if error["loc"] and error["loc"][0] in EVENT_TYPES else error["loc"]
        words = WORDS.get(error["type"]) or pattern_in_words(error["msg"].removeprefix("Value error, "))
        found.append(Problem(".".join(map(str, steps))[:LONGEST_PATH], words + _hint(error)))
    return tuple(found)


def _hint(error: ErrorDetails) -> str:
    """For an unknown member of an event: the known member with the most similar name."""
    if error["type"] != "extra_forbidden":
        return ""
    event, *steps = error["loc"]
    if not isinstance(event, str) or event not in EVENT_TYPES or not steps:
        return ""
    close = get_close_matches(str(steps[-1])[:LONGEST_COMPARED], _members(event, tuple(steps[:-1])), n=1)
    return f"; did you mean {close[0]}?" if close else ""


@lru_cache(maxsize=512)
def _members(event: str, steps: tuple[int | str, ...]) -> tuple[str, ...]:
    """The members of the object at that path of an event of that type."""
    schema = models()[event.removeprefix(PREFIX)].model_json_schema(by_alias=True)
    found: Any = schema
    for step in steps:
        found = found.get("properties", {}).get(step, {})
        found = next((one for one in found.get("anyOf", ()) if "$ref" in one), found)
        found = schema["$defs"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found
    return tuple(found.get("properties", ()))
