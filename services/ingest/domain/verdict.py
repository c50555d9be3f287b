"""What can become of what is handed in: it is admitted, ignored, or rejected with a reason and the paths at fault."""

from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from schemas.events import EVENT_TYPES, MentoringEvent

Reason = Literal[
    "malformed",
    "invalid",
    "unknown_type",
    "future",
    "forbidden",
    "conflict",
    "too_large",
    "unresolved",
    # The broker takes everything but this record.
    "refused",
    # We met an error of ours over it.
    "failed",
]


@dataclass(frozen=True)
class Problem:
    """What is wrong at a path such as `data.minutes`; an empty path means the whole event. `stored`: what is written
    down instead, where `reason` quotes the sender."""

    path: str
    reason: str
    stored: str = ""


@dataclass(frozen=True)
class Rejected:
    reason: Reason
    errors: tuple[Problem, ...]


@dataclass(frozen=True)
class Admitted:
    """Complete and trusted, as it goes to the log. `dropped`: how many attributes of the sender's are not in it."""

    event: MentoringEvent
    dropped: int = 0


@dataclass(frozen=True)
class Ignored:
    """Rightly sent, and nothing that we need."""

    reason: str


Verdict = Admitted | Rejected


def rejected(reason: Reason, path: str, words: str, stored: str = "") -> Rejected:
    return Rejected(reason, (Problem(path, words, stored),))


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
