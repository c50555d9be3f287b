"""Which events are facts to a score, and the numbers by which states store them."""

from collections.abc import Mapping
from enum import IntEnum


class FactKind(IntEnum):
    """The number is part of stored states: it never changes."""

    STARTED = 1
    PAUSED = 2
    RESUMED = 3
    ENDED = 4
    SCHEDULED = 5
    RESCHEDULED = 6
    CANCELLED = 7
    HELD = 8
    MISSED = 9
    MESSAGE = 10
    ERASED = 11
    GOAL_SET = 12
    GOAL_REVISED = 13
    GOAL_PROGRESSED = 14
    GOAL_ACHIEVED = 15
    GOAL_MISSED = 16
    GOAL_ABANDONED = 17
    CELEBRATED = 18
    FEEDBACK = 19
    CHECKIN = 20
    FIT = 21
    PULSE = 22
    REFLECTION = 23
    SKILL = 24
    INTRODUCTION = 25
    RESOURCE = 26
    REQUESTED = 27
    RESOLVED = 28
    AGREED = 29
    PREPARED = 30


CONTACTS = frozenset({FactKind.HELD.value, FactKind.MESSAGE.value})
GOALS = frozenset(range(FactKind.GOAL_SET.value, FactKind.GOAL_ABANDONED.value + 1))

# Slots select a fact's group besides its kind. Facts of goals have the goal's number instead.
PLAIN = 0
MENTOR, MENTEE, BOTH = 1, 2, 3
LATE = 4
SLOTS: Mapping[str, int] = {"": PLAIN, "mentor": MENTOR, "mentee": MENTEE, "both": BOTH, "late": LATE}
_SIDES = frozenset({MENTOR, MENTEE})
_BY_SIDE = ("MESSAGE", "FEEDBACK", "CHECKIN", "FIT", "PREPARED", "REFLECTION", "SKILL", "INTRODUCTION", "RESOURCE")
_SLOTS_OF: Mapping[FactKind, frozenset[int]] = {
    **{FactKind[name]: _SIDES for name in _BY_SIDE},
    FactKind.PULSE: frozenset({MENTEE}),
    FactKind.CELEBRATED: _SIDES | {BOTH},
    FactKind.MISSED: _SIDES | {BOTH},
    FactKind.CANCELLED: frozenset({PLAIN, LATE}),
}


def slots_of(kind: FactKind) -> frozenset[int]:
    """The slots that facts of a kind may have, goals excepted."""
    return _SLOTS_OF.get(kind, frozenset({PLAIN}))


# The strongest evidence wins where several facts report one meeting.
EVIDENCE: Mapping[str, int] = {"inferred": 0, "self_reported": 1, "calendar": 2, "admin": 3, "observed": 4}
