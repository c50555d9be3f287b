"""Which events are facts to a score, and the numbers under which states keep them."""

from collections.abc import Mapping
from enum import IntEnum


class Kind(IntEnum):
    """The number stands in stored states: it never changes."""

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


KIND_OF_TYPE: Mapping[str, Kind] = {
    f"mentoring.{name}.v1": kind
    for name, kind in (
        ("relationship.started", Kind.STARTED),
        ("relationship.expectations_agreed", Kind.AGREED),
        ("relationship.paused", Kind.PAUSED),
        ("relationship.resumed", Kind.RESUMED),
        ("relationship.ended", Kind.ENDED),
        ("relationship.erased", Kind.ERASED),
        ("preparation.completed", Kind.PREPARED),
        ("session.scheduled", Kind.SCHEDULED),
        ("session.rescheduled", Kind.RESCHEDULED),
        ("session.cancelled", Kind.CANCELLED),
        ("session.held", Kind.HELD),
        ("session.missed", Kind.MISSED),
        ("message.sent", Kind.MESSAGE),
        ("checkin.answered", Kind.CHECKIN),
        ("goal.set", Kind.GOAL_SET),
        ("goal.revised", Kind.GOAL_REVISED),
        ("goal.progressed", Kind.GOAL_PROGRESSED),
        ("goal.achieved", Kind.GOAL_ACHIEVED),
        ("goal.missed", Kind.GOAL_MISSED),
        ("goal.abandoned", Kind.GOAL_ABANDONED),
        ("milestone.celebrated", Kind.CELEBRATED),
        ("feedback.given", Kind.FEEDBACK),
        ("fit.rated", Kind.FIT),
        ("pulse.answered", Kind.PULSE),
        ("reflection.recorded", Kind.REFLECTION),
        ("skill.assessed", Kind.SKILL),
        ("introduction.made", Kind.INTRODUCTION),
        ("resource.shared", Kind.RESOURCE),
        ("support.requested", Kind.REQUESTED),
        ("support.resolved", Kind.RESOLVED),
    )
}
CAUSE_OF_KIND: Mapping[int, str] = {
    kind.value: type_.removeprefix("mentoring.").removesuffix(".v1") for type_, kind in KIND_OF_TYPE.items()
}
CONTACTS = frozenset({Kind.HELD.value, Kind.MESSAGE.value})
GOALS = frozenset(range(Kind.GOAL_SET.value, Kind.GOAL_ABANDONED.value + 1))

# Slots: what chooses a fact's group besides its kind. Facts of goals have the goal's number instead.
PLAIN = 0
MENTOR, MENTEE, BOTH = 1, 2, 3
LATE = 4
SLOTS: Mapping[str, int] = {"": PLAIN, "mentor": MENTOR, "mentee": MENTEE, "both": BOTH, "late": LATE}
_SIDES = frozenset({MENTOR, MENTEE})
_SLOTS_OF: Mapping[Kind, frozenset[int]] = {
    Kind.MESSAGE: _SIDES,
    Kind.FEEDBACK: _SIDES,
    Kind.CHECKIN: _SIDES,
    Kind.FIT: _SIDES,
    Kind.PREPARED: _SIDES,
    Kind.REFLECTION: _SIDES,
    Kind.SKILL: _SIDES,
    Kind.INTRODUCTION: _SIDES,
    Kind.RESOURCE: _SIDES,
    Kind.PULSE: frozenset({MENTEE}),
    Kind.CELEBRATED: _SIDES | {BOTH},
    Kind.MISSED: _SIDES | {BOTH},
    Kind.CANCELLED: frozenset({PLAIN, LATE}),
}


def slots_of(kind: Kind) -> frozenset[int]:
    """The slots that facts of a kind may have, those of goals apart."""
    return _SLOTS_OF.get(kind, frozenset({PLAIN}))


# The strongest evidence wins where several facts tell one meeting.
EVIDENCE: Mapping[str, int] = {"inferred": 0, "self_reported": 1, "calendar": 2, "admin": 3, "observed": 4}
