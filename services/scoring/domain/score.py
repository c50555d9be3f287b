"""The score as a closed form of time: between two facts only the active clock changes.

One implementation serves a single instant (`ONE`: floats) and columns of many relationships and instants (`MANY`:
arrays). Exponentials and logarithms use NumPy's ufuncs in both, the rest is IEEE arithmetic, so a value does not depend
on how many are computed at once, to the last bit. Also defines the levels at which a score is watched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.programs import WatchLevels
from services.scoring.domain.bounds import DAY, millionths

FACTORS = (
    "rhythm",
    "reliability",
    "goals",
    "feedback",
    "mutual",
    "responsiveness",
    "support",
    "growth",
    "expectations",
)
"""Of health, in display order; silence takes its share of their contributions."""
FEATURES = (
    "silence",
    "pace",
    "history",
    "elapsed",
    "activity",
    "missed",
    "cancelled_late",
    "goal_stalled",
    "rating_drop",
    "booked",
)
"""Of the disengagement model, in the order of its coefficients."""
BASE = "base"
"""The intercept, a term of every score."""
LOWERING = frozenset({"history", "activity", "booked"})
"""A long history, recent contacts and a booking ahead lower the risk; everything else raises it."""

RECENT_SHARE, GOALS_SHARE = 0.6, 0.4
"""Of the goals factor: how recent the last change is, and how far the goals are."""
SILENCE_CADENCES = 3.0
"""Silence costs nothing up to three usual intervals: one skipped meeting is no silence."""
GROWTH_REVIEWS = 2.0
"""Growth counts in full for this many review periods."""
EXPECTED_WITHIN_DAYS = 14.0
"""Time allowed to agree on expectations and to prepare."""
EXPECTED_THINGS = 3
"""Expectations agreed, the mentor prepared, the mentee prepared."""
MIN_SILENCE_DAYS = 0.5
GOALS_RATED = 8
"""A score rates this many of the newest goals."""
STALLED_REVIEWS = 2.0
"""A goal is stalled after this many review periods without a change."""
MILLIONTHS = 1e6

FEW = 4
"""Up to this many are computed one by one: setting up columns costs as much."""

Number = Any
"""A float, or an array of floats."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Operations:
    """Operations of the formulas beyond + - * /."""

    exp: Callable[[Number], Number]
    fresh: Callable[[Number], Number]
    """Of an age: 1 up to one interval, then halved by every further one."""
    log: Callable[[Number], Number]
    log1p: Callable[[Number], Number]
    floor: Callable[[Number], Number]
    """Of a number that is not negative."""
    max: Callable[[Number, Number], Number]
    rint: Callable[[Number], Number]
    where: Callable[[Number, Number, Number], Number]
    some: Callable[[Number], bool]
    """Whether any value differs from 0."""


ONE = Operations(
    exp=np.exp,
    fresh=lambda age: 1.0 if age <= 1.0 else float(np.exp2(1.0 - age)),
    log=np.log,
    log1p=np.log1p,
    floor=int,
    max=max,
    rint=round,
    where=lambda condition, a, b: a if condition else b,
    some=bool,
)
"""NumPy's functions return NumPy floats, which are Python floats too."""
MANY = Operations(
    exp=np.exp,
    fresh=lambda age: np.exp2(1.0 - np.maximum(age, 1.0)),
    log=np.log,
    log1p=np.log1p,
    floor=np.floor,
    max=np.maximum,
    rint=np.rint,
    where=np.where,
    some=np.any,
)


class OpenGoal(NamedTuple):
    """A goal that ages: its SMART share, its progress, and since when it ages on the active clock."""

    smart: Number
    done: Number
    since: Number


class Aging(NamedTuple):
    """The inputs of a relationship's score until its next fact: numbers, or columns of them. Instants are on the active
    clock, in microseconds; weights are the most points, 0 for a factor without data. `steady`: the points of the
    factors that time does not change; `ended_goals`: the sum over ended goals of SMART share times progress; `stalls`:
    when the open goals count as stalled; `horizon` in days; `others`: the predictor without the terms that time
    changes."""

    steady: Number
    rhythm_weight: Number
    goals_weight: Number
    growth_weight: Number
    expectations_weight: Number
    cadence: Number
    review: Number
    start: Number
    held: Number
    contact: Number
    mentor_growth: Number
    mentee_growth: Number
    goal_changed: Number
    stalls: Number
    done: Number
    rated_goals: Number
    ended_goals: Number
    median: Number
    shape: Number
    horizon: Number
    others: Number
    silence_weight: Number
    elapsed_weight: Number
    stalled_weight: Number
    booked_weight: Number
    goals: Sequence[OpenGoal]


class Scores(NamedTuple):
    """`health` and `risk` in whole millionths. The factors of 0 to 1 that time changes; `core`: the points of all
    factors; `silence`: the share of them that silence takes; `quiet`, `elapsed`, `stalled` and `booked`: features of
    the model."""

    health: Number
    risk: Number
    rhythm: Number
    goals: Number
    growth: Number
    expectations: Number
    core: Number
    silence: Number
    quiet: Number
    elapsed: Number
    stalled: Number
    booked: Number


def score(s: Aging, now: Number, booked: Number, ops: Operations) -> Scores:
    """At the instant `now` of the active clock; `booked`: 1.0 while a booking lies ahead, else 0.0. Ages may be
    negative: all formulas start at one interval, or at half a day. A factor without weight in any column, as most have,
    is not computed."""
    fresh, some = ops.fresh, ops.some
    since_contact = (now - s.contact) / DAY
    rhythm = fresh((now - s.held) / DAY / s.cadence)
    goals = _goals(s, now, ops) * (s.goals_weight > 0.0) if some(s.goals_weight) else 0.0 * s.goals_weight
    growth, expectations = 0.0 * s.growth_weight, 0.0 * s.expectations_weight
    if some(s.growth_weight):
        span = GROWTH_REVIEWS * s.review
        by_mentor, by_mentee = fresh((now - s.mentor_growth) / DAY / span), fresh((now - s.mentee_growth) / DAY / span)
        growth = (0.5 * by_mentor + 0.5 * by_mentee) * (s.growth_weight > 0.0)
    if some(s.expectations_weight):
        missed = fresh((now - s.start) / DAY / EXPECTED_WITHIN_DAYS)
        open_ = (s.done + (EXPECTED_THINGS - s.done) * missed) / EXPECTED_THINGS
        expectations = open_ * (s.expectations_weight > 0.0)
    core = s.steady + (
        s.rhythm_weight * rhythm
        + s.goals_weight * goals
        + s.growth_weight * growth
        + s.expectations_weight * expectations
    )
    silence = 1.0 - fresh(since_contact / (SILENCE_CADENCES * s.cadence))
    silent = ops.max(since_contact, MIN_SILENCE_DAYS)
    quiet = ops.log1p(ops.exp(s.shape * ops.log(silent / s.median)))
    elapsed = ops.log1p(silent / s.horizon)
    stalled = (now >= s.stalls) * 1.0
    of_time = s.silence_weight * quiet + s.elapsed_weight * elapsed + s.stalled_weight * stalled
    predictor = s.others + of_time - s.booked_weight * booked
    # Positional: naming the fields takes twice as long, and an event is scored three times.
    return Scores(
        ops.floor((core - silence * core) * MILLIONTHS + 0.5),
        ops.floor(probability(predictor, ops) * MILLIONTHS + 0.5),
        rhythm,
        goals,
        growth,
        expectations,
        core,
        silence,
        quiet,
        elapsed,
        stalled,
        booked,
    )


def probability(predictor: Number, ops: Operations) -> Number:
    """1 / (1 + exp(-L)), without overflow at either end."""
    small = ops.exp(-abs(predictor))
    return ops.where(predictor >= 0.0, 1.0, small) / (1.0 + small)


def _goals(s: Aging, now: Number, ops: Operations) -> Number:
    total = s.ended_goals
    for goal in s.goals:
        total = total + goal.smart * ops.max(goal.done, ops.fresh((now - goal.since) / DAY / s.review))
    recent = RECENT_SHARE * ops.fresh((now - s.goal_changed) / DAY / s.review)
    return recent + GOALS_SHARE * total / ops.max(s.rated_goals, 1)


class Level(NamedTuple):
    """A level that health falls to, or that risk rises to."""

    cause: str
    is_health: bool
    bound: int

    def is_passed(self, health: Number, risk: Number) -> Any:  # noqa: ANN401 (a bool, or an array of them)
        return health <= self.bound if self.is_health else risk >= self.bound


def levels(watch: WatchLevels) -> tuple[Level, ...]:
    health = (Level(f"crossing.health.{level:g}", True, millionths(level)) for level in watch.health)  # noqa: FBT003
    risk = (Level(f"crossing.risk.{level:g}", False, millionths(level)) for level in watch.risk)  # noqa: FBT003
    return (*health, *risk)


def passed(watched: Sequence[Level], begin: Scores, end: Scores) -> list[Level]:
    """The levels that are passed at the end and were not at the begin. Between facts health never rises and risk never
    falls, so each was crossed once."""
    return [
        level
        for level in watched
        if (end.health <= level.bound < begin.health if level.is_health else begin.risk < level.bound <= end.risk)
    ]
