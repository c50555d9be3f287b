"""Where what is: the groups of facts, and the numbers of a window and of a profile, by their places in flat arrays."""

from collections.abc import Sequence
from typing import NamedTuple

# Groups, in the order of memory.LOOKED_AT.
OUTCOMES, HELD, MISSED_BY_MENTOR, MISSED_BY_MENTEE, CANCELLED_LATE = 0, 1, 2, 3, 4
MESSAGES_BY_MENTOR, MESSAGES_BY_MENTEE, STARTED, STATUS, BOOKINGS = 5, 6, 7, 8, 9
GOALS_SET, GOALS_PROGRESSED, GOALS_REVISED, GOALS_ENDED = 10, 11, 12, 13
RATINGS_BY_MENTOR, RATINGS_BY_MENTEE, PULSES, GROWTH_OF_MENTOR, GROWTH_OF_MENTEE = 14, 15, 16, 17, 18
SUPPORT, FIT_BY_MENTOR, FIT_BY_MENTEE, PREPARED_MENTOR, PREPARED_MENTEE, AGREED, ERASED = 19, 20, 21, 22, 23, 24, 25
GROUPS = 26

# The ends of a number of a relationship's facts: of each group in `members`, then of `contact`, then of the facts.
CONTACTS_END, FACTS_END = 26, 27
ENDS = 28

# Bounds, behind the sizes of the groups in Columns.looked_at.
CONTACT_DAYS, CONTACT_WINDOW_DAYS = 26, 27

# Factors of health, in the order in which they are told; silence takes its share of what they give.
RHYTHM, RELIABILITY, GOALS, FEEDBACK, MUTUAL, RESPONSIVENESS, SUPPORTED, GROWTH, EXPECTATIONS = range(9)
FACTORS = 9
SILENCE = 9

# A profile: the weights of the factors at their places, then these.
CADENCE, REVIEW, HORIZON = 9, 10, 11
BASE, SILENT, PACE, HISTORY, MISSED, LATE, STALLED, DROP, BOOKED = range(12, 21)
PROFILE = 21

# Features of the disengagement model, in the order of the coefficients behind BASE.
OF_SILENCE, OF_PACE, OF_HISTORY, OF_MISSED, OF_LATE, OF_STALLED, OF_DROP, OF_BOOKED = range(8)
FEATURES = 8

# Numbers of a window: whole ones. START: TOLD_START, where there is none the first fact's.
EXISTS, ENDED, START, LAST_CONTACT, LAST_HELD, LAST_GOAL_CHANGE = 0, 1, 2, 3, 4, 5
GROWN_MENTOR, GROWN_MENTEE, EXPECTED, CAPS, GOALS_OPEN, GOALS_SEEN = 6, 7, 8, 9, 10, 11
PAUSES, STARTS, CONTACTS, MISSED_SINCE, LATE_SINCE, HELD_PLACE = 12, 13, 14, 15, 16, 17
TOLD_START, GOAL_FACTS = 18, 19
COUNTS = 20
"""From here on, by factor: how many facts it rests on; 0: it has no data."""
WHOLE = COUNTS + FACTORS

# Numbers of a window: real ones. The values of the factors that time does not change stand at their places.
E_DAYS, MEDIAN, SHAPE, RATING_DROP, STEADY, OTHERS = 9, 10, 11, 12, 13, 14
"""STEADY: the points of the factors that time does not change; OTHERS: the predictor without what time changes."""
REAL = 15

# Lengths of a window's sequences: pauses, bookings, places at work, goals of four groups, gaps.
LENGTHS = (WHOLE, REAL, 32, 32, 16, 8, 8, 8, 8, 9, 10, 10, 8, 48, 48, 48, 48, 48, 64, 60)

# Bits of CAPS.
SUPPORT_OPEN, FIT_NOT_GOOD = 1, 2

GOALS_RATED = 8
"""The newest goals that a score rates."""


class Columns(NamedTuple):
    """The facts of relationships, one after another, each in key order; fact i of all is at place i.
    `time`, `first`, `second` in microseconds (bounds.UNSET: left out). `twin`: the place of the fact before it that
    tells of the same meeting, -1: none. `members`: the places of each group's facts, ascending; those of group g of
    relationship r begin at `begin[r * GROUPS + g]`. Contacts: `contact` their places, `of_day` which of `day` each is
    on, `stands_so_far` whether its day counts by the contacts up to it, `day_stands` whether it does by all; those of
    relationship r begin at `contact_begin[r]`, its days at `day_begin[r]`, its facts at `fact_begin[r]`."""

    time: Sequence[int]
    kind: Sequence[int]
    slot: Sequence[int]
    stands: Sequence[int]
    first: Sequence[int]
    second: Sequence[int]
    ref: Sequence[int]
    value: Sequence[int]
    evidence: Sequence[int]
    twin: Sequence[int]
    members: Sequence[int]
    begin: Sequence[int]
    contact: Sequence[int]
    of_day: Sequence[int]
    stands_so_far: Sequence[int]
    contact_begin: Sequence[int]
    day: Sequence[int]
    day_stands: Sequence[int]
    day_begin: Sequence[int]
    fact_begin: Sequence[int]
    looked_at: Sequence[int]


class Window(NamedTuple):
    """What a score looks at, boiled down to the numbers it reads: written by `look`, read by `score`, which writes
    `value`, `share` and `feature`. `pause_*`: pauses by their begin (end bounds.FOREVER: open). `starts`: of booked
    meetings. `goal_*`: the rated goals: since when each ages, its SMART share, its progress, open 1 or ended 0.
    `weight`: points at the most by factor, 0 for one without data. `share`: points by factor, last those that silence
    takes. From `chosen` on: room to work in."""

    whole: list[int]
    real: list[float]
    pause_begin: list[int]
    pause_end: list[int]
    starts: list[int]
    goal_since: list[int]
    goal_smart: list[float]
    goal_done: list[float]
    goal_open: list[int]
    weight: list[float]
    value: list[float]
    share: list[float]
    feature: list[float]
    chosen: list[int]
    other: list[int]
    low: list[int]
    high: list[int]
    order: list[int]
    goal: list[int]
    work: list[float]
