"""Validation errors in plain words, each with the path at fault."""

from pydantic import ValidationError

from schemas.events import EVENT_TYPES
from services.ingest.domain.verdict import Problem

# An event with more faults than this is another format; listing them all helps nobody.
MOST_LISTED = 20
LONGEST_PATH = 200
WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    # pydantic would name a class of ours.
    "model_type": "must be an object",
}


def explain(invalid: ValidationError) -> tuple[Problem, ...]:
    listed = invalid.errors(include_url=False, include_context=False, include_input=False)[:MOST_LISTED]
    return tuple(Problem(_path(error["loc"]), _words(error["type"], error["msg"])) for error in listed)


def _path(location: tuple[int | str, ...]) -> str:
    # The first step into a union is the name of the member chosen, which the sender has never written as a path.
    steps = location[1:] if location and location[0] in EVENT_TYPES else location
    return ".".join(map(str, steps))[:LONGEST_PATH]


def _words(kind: str, message: str) -> str:
    return WORDS.get(kind, message.removeprefix("Value error, "))
