"""What can become of what is handed in: it is admitted, ignored, or rejected with a reason and the paths at fault."""

from dataclasses import dataclass
from typing import Literal

from schemas.events import MentoringEvent

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
