"""What can become of an event that is handed in: it is admitted, or rejected with a reason and the paths at fault."""

from dataclasses import dataclass
from typing import Literal

from schemas.events import MentoringEvent

Reason = Literal["malformed", "invalid", "unknown_type", "future", "forbidden", "conflict", "too_large"]


@dataclass(frozen=True)
class Problem:
    """What is wrong at a path such as `data.minutes`; an empty path means the whole event."""

    path: str
    reason: str


@dataclass(frozen=True)
class Rejected:
    reason: Reason
    errors: tuple[Problem, ...]


@dataclass(frozen=True)
class Admitted:
    """Complete and trusted, as it goes to the log."""

    event: MentoringEvent


Verdict = Admitted | Rejected


def rejected(reason: Reason, path: str, words: str) -> Rejected:
    return Rejected(reason, (Problem(path, words),))
