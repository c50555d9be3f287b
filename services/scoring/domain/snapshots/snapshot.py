"""The snapshot of a relationship, valid until its next fact: everything that rows contain, and the numbers from which
scores are computed, for one relationship or as columns of many."""

import math
import struct
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter, mul
from typing import NamedTuple

from services.scoring.domain.bounds import FOREVER, UNSET
from services.scoring.domain.bounds import ONE as MILLION
from services.scoring.domain.memory import PER_GOAL, SELECTED_PER_GROUP
from services.scoring.domain.profiles import Parameters
from services.scoring.domain.score import FACTORS, FEATURES, GOALS_RATED, ONE, Aging, Floats, OpenGoal, Scores, score
from services.scoring.domain.snapshots import contacts as contact_facts
from services.scoring.domain.snapshots import frame as frames
from services.scoring.domain.snapshots import reports as report_facts
from services.scoring.domain.snapshots.contacts import Meetings, Messages, Pace
from services.scoring.domain.snapshots.frame import Frame
from services.scoring.domain.snapshots.index import View
from services.scoring.domain.snapshots.reports import Goals, SelfReports

CONFIDENT_AT = 3
"""Facts at which a factor is half trusted: n / (n + 3)."""
ALWAYS_APPLICABLE = frozenset({"rhythm", "reliability", "growth", "expectations"})
"""Time and attendance are informative from the beginning; the other factors need facts."""


# The inputs of the score as a row of numbers, as a partition stores them, and as columns for many.
STEADY_FACTORS = ("reliability", "feedback", "mutual", "responsiveness", "support")
"""The factors that time does not change."""
STEADY_FEATURES = ("pace", "history", "activity", "missed", "cancelled_late", "rating_drop")
"""The features of the disengagement model that time does not change."""
_AGING_END = len(Aging._fields) - 1
_POINTS_END = _AGING_END + len(FACTORS)
_FACTORS_END = _POINTS_END + len(STEADY_FACTORS)
_FEATURES_END = _FACTORS_END + len(STEADY_FEATURES)
_GOAL = len(OpenGoal._fields)
WIDTH = _FEATURES_END + 1 + GOALS_RATED * _GOAL
"""Numbers of a snapshot."""
_COLUMN = struct.Struct(f"={WIDTH}d")
_NO_GOAL = (0.0,) * _GOAL


class Numbers(NamedTuple):
    """One column per snapshot; `points`, `steady` and `features` have one row per factor or feature."""

    aging: Aging
    points: Floats
    steady: Floats
    features: Floats
    confidence: Floats


def columns(numbers: Floats) -> Numbers:
    """Split a table with one row per number and one column per snapshot. Goals without weight in any column are
    dropped."""
    goals = [numbers[begin : begin + _GOAL] for begin in range(_FEATURES_END + 1, WIDTH, _GOAL)]
    return Numbers(
        aging=Aging._make((*numbers[:_AGING_END], [OpenGoal(*goal) for goal in goals if goal[0].any()])),
        points=numbers[_AGING_END:_POINTS_END],
        steady=numbers[_POINTS_END:_FACTORS_END],
        features=numbers[_FACTORS_END:_FEATURES_END],
        confidence=numbers[_FEATURES_END],
    )


@dataclass(eq=False, slots=True)
class Snapshot:
    """Of the facts in `view`, under one version of the profile. Times in microseconds."""

    view: View
    parameters: Parameters
    frame: Frame
    meetings: Meetings
    messages: Messages
    pace: Pace
    goals: Goals
    reports: SelfReports
    exists: bool
    """Whether any fact stands."""
    started: int
    """The reported start, else the first fact. Meaningless where no fact stands."""
    last_contact: int | None
    points: tuple[float, ...]
    """The most that each factor can contribute, 0 for one without data; they sum to 100."""
    steady: tuple[float, ...]
    """The factors STEADY_FACTORS, of 0 to 1; 0 for those without data."""
    features: tuple[float, ...]
    """The features STEADY_FEATURES."""
    confidence: int
    """In millionths: the sum over the factors with data of w n / (n + 3), over the sum of all weights; n: the facts
    that a factor rests on."""
    aging: Aging
    """The numbers from which the score is computed."""
    stalls: int | None
    """When the open goals count as stalled if nothing changes."""
    _sources: tuple[str, ...] | None = None
    _column: bytes | None = None

    def status(self, at: int) -> str:
        """At the time of the view or later."""
        if self.frame.ended is not None:
            return "ended"
        return "paused" if self.frame.pauses.spans and self.frame.pauses.holds(at) else "active"

    def is_running(self, at: int) -> bool:
        """Whether rows may come by time alone after this instant."""
        return self.exists and self.status(at) == "active"

    def is_open(self, at: int) -> bool:
        """Whether rows may exist after this instant."""
        return self.exists and (self.frame.ended is None or self.frame.ended > at)

    def active(self, at: int) -> int:
        """An instant on the active clock."""
        pauses = self.frame.pauses
        return pauses.active(at) if pauses.union else at

    def next_session(self, at: int) -> int:
        """The next booked session after an instant; UNSET if there is none."""
        bookings = self.meetings.bookings
        return bookings[bisect_right(bookings, at)] if bookings and bookings[-1] > at else UNSET

    def scores(self, at: int) -> Scores:
        """At the time of the view or later."""
        pauses, bookings = self.frame.pauses, self.meetings.bookings
        now = pauses.active(at) if pauses.union else at
        return score(self.aging, now, 1.0 if bookings and bookings[-1] > at else 0.0, ONE)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of the facts that the score uses."""
        if self._sources is None:
            index = self.view.index
            if len(index.sources) == 1 and self.exists:
                self._sources = tuple(index.sources)
            else:
                selected = [
                    entry for name in SELECTED_PER_GROUP if name not in PER_GOAL for entry in self.view.selected(name)
                ]
                entries = (*selected, *self.goals.selected, index.entries[0])
                self._sources = tuple(sorted({entry.source for entry in entries if entry.stands}))
        return self._sources

    @property
    def numbers(self) -> tuple[float, ...]:
        """WIDTH numbers, one row of a table (see `columns`), padded with goals of no weight."""
        *plain, goals = self.aging
        filled = [number for goal in goals for number in goal] + [*_NO_GOAL] * (GOALS_RATED - len(goals))
        return (*plain, *self.points, *self.steady, *self.features, self.confidence, *filled)

    @property
    def column(self) -> bytes:
        """`numbers` as 64 bit floats, for a column of many. Cached: a history uses each several times."""
        if self._column is None:
            self._column = _COLUMN.pack(*self.numbers)
        return self._column


def snapshot(
    view: View, parameters: Parameters, before: Snapshot | None = None, changed_groups: tuple[str, ...] | None = None
) -> Snapshot:
    """The snapshot of a view. Parts whose facts are unchanged are taken from the snapshot `before`, which is of the
    same index and parameters. `changed_groups`: the groups that differ, computed if not given."""
    if before is not None and changed_groups is None:
        changed_groups = tuple([name for name, end in view.ends.items() if before.view.ends[name] != end])
    of_frame, of_messages, of_pace, of_meetings, of_goals, of_voices = _parts_to_recompute(changed_groups or ())

    # 1. The frame: if it changed, recompute everything that ages.
    frame = before.frame if before and not of_frame else frames.frame(view, parameters.cadence)
    messages = before.messages if before and not of_messages else contact_facts.messages(view, frame.pauses)
    paced = before.pace if before and not of_frame else None
    pace = before.pace if before and not of_pace else contact_facts.pace(view, frame, paced)
    # 2. What does not depend on the frame.
    meetings = before.meetings if before and not of_meetings else contact_facts.meetings(view)
    goals = before.goals if before and not of_goals else report_facts.goals(view)
    reports = before.reports if before and not of_voices else report_facts.reports(view)
    # 3. The start, the last contact, and the weights.
    first = view.index.entries[0] if view.count else None
    beginning = first.time if first is not None and first.stands else None
    if beginning is None:
        # The time of the oldest selected one that stands.
        standing = [entry for name in SELECTED_PER_GROUP if name not in PER_GOAL for entry in view.standing(name)[:1]]
        standing += [entry for entry in goals.selected if entry.stands]
        beginning = min(standing).time if standing else None
    started = beginning or 0 if frame.started is None or beginning is None else frame.started
    held, message = meetings.held, messages.newest
    last = message if held is None or (message is not None and message.ordinal > held.ordinal) else held
    last_contact = None if last is None else last.time
    grown = (reports.mentor_growth is not None) + (reports.mentee_growth is not None)
    counts = (
        *(meetings.sessions, meetings.outcomes, goals.standing, reports.ratings, messages.rated),
        *(messages.replies, reports.pulses, grown, reports.done),
    )
    points, of_steady, everything = _weigh_factors(parameters.weights, tuple(map(bool, counts)))
    # Without facts a factor is not trusted, whatever it weighs.
    trusted = math.fsum([w * n / (n + CONFIDENT_AT) for w, n in zip(parameters.weights, counts, strict=True) if n])
    confidence = round(trusted / everything * MILLION) if everything else 0
    values = (meetings.reliability, reports.feedback, messages.mutual, messages.responsiveness, reports.support)
    steady = tuple([value if most else 0.0 for value, most in zip(values, of_steady, strict=True)])
    missed = (float(meetings.missed), float(meetings.cancelled_late), reports.drop)
    features = (math.log(pace.median / parameters.horizon), pace.history, pace.activity, *missed)
    parts = (frame, meetings, messages, pace, goals, reports)
    weighed = (points, steady, features, confidence)
    aging = _aging(parameters, parts, (points, of_steady, steady, features), (started, last_contact))
    stalls = frame.pauses.reached(aging.stalls) if aging.goals and frame.pauses.union else aging.stalls
    stalls_at = None if stalls == FOREVER else stalls
    return Snapshot(view, parameters, *parts, beginning is not None, started, last_contact, *weighed, aging, stalls_at)


@lru_cache(1 << 10)
def _parts_to_recompute(changed: tuple[str, ...]) -> tuple[bool, bool, bool, bool, bool, bool]:
    """Which parts of a snapshot the changed groups affect: frame, messages, pace, meetings, goals and reports. Parts
    that age depend on the frame too."""
    parts = (
        *(frames.GROUPS, contact_facts.MESSAGE_GROUPS, contact_facts.PACE_GROUPS, contact_facts.MEETING_GROUPS),
        *(report_facts.GOAL_GROUPS, report_facts.GROUPS),
    )
    frame, messages, pace, *others = (not set(groups).isdisjoint(changed) for groups in parts)
    meetings, goals, reports = others
    return frame, frame or messages, frame or pace, meetings, goals, reports


_Parts = tuple[Frame, Meetings, Messages, Pace, Goals, SelfReports]
_STEADY_FACTOR_INDEXES = tuple(map(FACTORS.index, STEADY_FACTORS))
_steady_coefficients = itemgetter(*map(FEATURES.index, STEADY_FEATURES))
_RHYTHM, _GOALS = FACTORS.index("rhythm"), FACTORS.index("goals")
_GROWTH, _EXPECTATIONS = FACTORS.index("growth"), FACTORS.index("expectations")
_SILENCE, _ELAPSED = FEATURES.index("silence"), FEATURES.index("elapsed")
_STALLED, _BOOKED = FEATURES.index("goal_stalled"), FEATURES.index("booked")


@lru_cache(1 << 10)
def _weigh_factors(
    weights: tuple[float, ...], has_facts: tuple[bool, ...]
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Points, those of the steady factors, and the sum of all weights; `has_facts`: which factors have any. Cached:
    most relationships have facts for the same factors."""
    applicable = [
        weight if name in ALWAYS_APPLICABLE or some else 0.0
        for name, weight, some in zip(FACTORS, weights, has_facts, strict=True)
    ]
    total = math.fsum(applicable)
    points = tuple([100.0 * weight / total if total else 0.0 for weight in applicable])
    return points, tuple([points[ordinal] for ordinal in _STEADY_FACTOR_INDEXES]), math.fsum(weights)


def _aging(
    parameters: Parameters, parts: _Parts, weighed: tuple[tuple[float, ...], ...], times: tuple[int, int | None]
) -> Aging:
    """`weighed`: points, those of the steady factors, these factors, and the steady features; `times`: of the start and
    of the last contact. What has no fact of its own ages from the start."""
    frame, meetings, _, pace, goals, reports = parts
    points, of_steady, steady, features = weighed
    started, last_contact = times
    instants = (
        started,
        started if meetings.held is None else meetings.held.time,
        started if last_contact is None else last_contact,
        started if reports.mentor_growth is None else reports.mentor_growth,
        started if reports.mentee_growth is None else reports.mentee_growth,
        started if goals.changed is None else goals.changed,
    )
    # Without a pause the active clock is the clock.
    active = frame.pauses.active if frame.pauses.union else None
    start, held, contact, mentor_growth, mentee_growth, changed = map(active, instants) if active else instants
    ended_goals, open_goals = 0.0, tuple[OpenGoal, ...]()
    if goals.rated:
        ended_goals = math.fsum([goal.smart * goal.done for goal in goals.rated if not goal.is_open])
        open_goals = tuple(
            [OpenGoal(g.smart, g.done, active(g.since) if active else g.since) for g in goals.rated if g.is_open]
        )
    coefficients = parameters.coefficients
    # Positional: naming the fields takes twice as long, and every event makes one.
    return Aging(
        math.fsum(map(mul, of_steady, steady)),
        points[_RHYTHM],
        points[_GOALS],
        points[_GROWTH],
        points[_EXPECTATIONS],
        frame.cadence,
        parameters.review,
        start,
        held,
        contact,
        mentor_growth,
        mentee_growth,
        changed,
        changed + parameters.stalled_after if open_goals else FOREVER,
        reports.done,
        len(goals.rated),
        ended_goals,
        pace.median,
        pace.shape,
        parameters.horizon,
        parameters.base + math.fsum(map(mul, _steady_coefficients(coefficients), features)),
        coefficients[_SILENCE],
        coefficients[_ELAPSED],
        coefficients[_STALLED],
        -coefficients[_BOOKED],
        open_goals,
    )
