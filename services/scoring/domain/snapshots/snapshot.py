"""Everything that rows say of a relationship until its next fact, and the numbers that its score is computed from."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from services.scoring.domain.bounds import FOREVER
from services.scoring.domain.memory import LOOKED_AT, PER_GOAL
from services.scoring.domain.millionths import millionths
from services.scoring.domain.profiles import Parameters
from services.scoring.domain.score import FACTORS, FEATURES, Aging, OpenGoal
from services.scoring.domain.snapshots import contacts as contact_facts
from services.scoring.domain.snapshots import frame as frames
from services.scoring.domain.snapshots import goals as goal_facts
from services.scoring.domain.snapshots import meetings as meeting_facts
from services.scoring.domain.snapshots import voices as voice_facts
from services.scoring.domain.snapshots.contacts import Messages, Pace
from services.scoring.domain.snapshots.frame import Frame
from services.scoring.domain.snapshots.goals import Goals
from services.scoring.domain.snapshots.index import View
from services.scoring.domain.snapshots.meetings import Meetings
from services.scoring.domain.snapshots.numbers import KNOWN, STEADY, flat
from services.scoring.domain.snapshots.voices import Voices

CONFIDENT_AT = 3
"""Facts at which a factor is half trusted: n / (n + 3)."""
ALWAYS_KNOWN = frozenset({"rhythm", "reliability", "growth", "expectations"})
"""Time and attendance say something from the beginning on; the other factors need facts."""


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
    voices: Voices
    exists: bool
    """Whether anything stands."""
    started: int
    """When it was reported to start, else the first fact. Means nothing where nothing stands."""
    last_contact: int | None
    points: tuple[float, ...]
    """What each factor gives at the most, 0 for one without data; they sum to 100."""
    steady: tuple[float, ...]
    """The factors of numbers.STEADY, of 0 to 1; 0 for those without data."""
    features: tuple[float, ...]
    """Those of numbers.KNOWN."""
    confidence: int
    """In millionths: sum over the factors with data of w n / (n + 3), over the sum of all weights; n: facts a factor
    rests on."""
    aging: Aging
    """The numbers that the score is computed from."""
    _sources: tuple[str, ...] | None = None

    @property
    def ended(self) -> int | None:
        return self.frame.ended

    @property
    def cadence(self) -> float:
        """Days."""
        return self.frame.cadence

    def is_open(self, at: int) -> bool:
        """Whether rows may exist after this instant."""
        return self.exists and (self.frame.ended is None or self.frame.ended > at)

    def is_paused(self, at: int) -> bool:
        return self.frame.pauses.holds(at)

    def active(self, at: int) -> int:
        """An instant on the active clock."""
        return self.frame.pauses.active(at)

    def booked(self, at: int) -> float:
        """1.0 while a booking lies ahead, else 0.0."""
        bookings = self.meetings.bookings
        return 1.0 if bookings and bookings[-1] > at else 0.0

    def next_session(self, at: int) -> int | None:
        bookings = self.meetings.bookings
        return bookings[place] if (place := bisect_right(bookings, at)) < len(bookings) else None

    @property
    def stalls(self) -> int | None:
        """When the open goals count as stalled, unless something changes."""
        if self.aging.stalls == FOREVER:
            return None
        reached = self.frame.pauses.reached(self.aging.stalls)
        return None if reached == FOREVER else reached

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose facts the score rests on."""
        if self._sources is None:
            self._sources = self._read_sources()
        return self._sources

    def _read_sources(self) -> tuple[str, ...]:
        index = self.view.index
        if len(index.sources) == 1 and self.exists:
            return tuple(index.sources)
        selected = [entry for name in LOOKED_AT if name not in PER_GOAL for entry in self.view.selected(name)]
        entries = (*selected, *self.goals.selected, index.entries[0])
        return tuple(sorted({entry.source for entry in entries if entry.stands}))

    @property
    def numbers(self) -> tuple[float, ...]:
        """As a row of a table, see numbers.columns."""
        return flat(self.aging, self.points, self.steady, self.features, self.confidence)


def snapshot(
    view: View, parameters: Parameters, before: Snapshot | None = None, known_changes: tuple[str, ...] | None = None
) -> Snapshot:
    """Of all that is known in the view. What depends on facts that are the same in the snapshot `before`, of the same
    index and parameters, is taken from there. `known_changes`: the groups with other facts, where that is known."""
    if before is not None and known_changes is None:
        known_changes = tuple([name for name, end in view.ends.items() if before.view.ends[name] != end])
    read = _to_read(known_changes or ())

    # 1. The frame: where it is another one, all that ages is read anew.
    frame = before.frame if before and not read.frame else frames.frame(view, parameters.cadence)
    messages = before.messages if before and not read.messages else contact_facts.messages(view, frame.pauses)
    pace = before.pace if before and not read.pace else contact_facts.pace(view, frame)
    # 2. What does not depend on the frame.
    meetings = before.meetings if before and not read.meetings else meeting_facts.meetings(view)
    goals = before.goals if before and not read.goals else goal_facts.goals(view)
    voices = before.voices if before and not read.voices else voice_facts.voices(view)
    # 3. The start, and what all of it weighs.
    beginning = _beginning(view, goals)
    started = beginning or 0 if frame.started is None or beginning is None else frame.started
    counts = _counts(meetings, messages, goals, voices)
    points, confidence = _weighed(parameters.weights, counts)
    of_steady = (meetings.reliability, voices.feedback, messages.mutual, messages.responsiveness, voices.support)
    steady = tuple([value if points[at] else 0.0 for at, value in zip(_STEADY_PLACES, of_steady, strict=True)])
    missed = (float(meetings.missed), float(meetings.cancelled_late), voices.drop)
    of_contacts = (math.log(pace.median / parameters.horizon), math.log1p(pace.contacts), math.log1p(pace.recent))
    features = (*of_contacts, *missed)
    contacts = [entry for entry in (meetings.held, messages.newest) if entry is not None]
    last_contact = max(contacts).time if contacts else None
    parts = (frame, meetings, messages, pace, goals, voices)
    weighed = (points, steady, features, confidence)
    aging = _aging(parameters, parts, weighed, (started, last_contact))
    return Snapshot(view, parameters, *parts, beginning is not None, started, last_contact, *weighed, aging)


class _ToRead(NamedTuple):
    """Which parts of a snapshot depend on facts that are others."""

    frame: bool
    messages: bool
    pace: bool
    meetings: bool
    goals: bool
    voices: bool


@lru_cache(1 << 10)
def _to_read(changed: tuple[str, ...]) -> _ToRead:
    """By the groups with other facts; what ages depends on the frame too."""
    frame, messages, pace, meetings, goals, voices = (
        any(name in groups for name in changed)
        for groups in (
            frames.GROUPS,
            contact_facts.MESSAGE_GROUPS,
            contact_facts.GROUPS,
            meeting_facts.GROUPS,
            goal_facts.GROUPS,
            voice_facts.GROUPS,
        )
    )
    return _ToRead(frame, frame or messages, frame or pace, meetings, goals, voices)


_STEADY_PLACES = tuple(map(FACTORS.index, STEADY))
_KNOWN_PLACES = tuple(map(FEATURES.index, KNOWN))
_Parts = tuple[Frame, Meetings, Messages, Pace, Goals, Voices]
_Weighed = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], int]


def _counts(meetings: Meetings, messages: Messages, goals: Goals, voices: Voices) -> tuple[int, ...]:
    """How many facts each factor rests on."""
    grown = (voices.mentor_growth is not None) + (voices.mentee_growth is not None)
    counts = (meetings.sessions, meetings.outcomes, goals.standing, voices.ratings)
    return (*counts, messages.rated, messages.replies, voices.pulses, grown, voices.done)


@lru_cache(1 << 16)
def _weighed(weights: tuple[float, ...], counts: tuple[int, ...]) -> tuple[tuple[float, ...], int]:
    """Points and confidence. Remembered: many relationships rest on as many facts."""
    known = [
        weight if name in ALWAYS_KNOWN or count else 0.0
        for name, weight, count in zip(FACTORS, weights, counts, strict=True)
    ]
    total, everything = math.fsum(known), math.fsum(weights)
    points = tuple([100.0 * weight / total if total else 0.0 for weight in known])
    trusted = math.fsum([weight * count / (count + CONFIDENT_AT) for weight, count in zip(known, counts, strict=True)])
    return points, millionths(trusted / everything if everything else 0.0)


def _aging(parameters: Parameters, parts: _Parts, weighed: _Weighed, times: tuple[int, int | None]) -> Aging:
    """`times`: of the start and of the last contact. What ages without a fact of its own ages since the start."""
    frame, meetings, _, pace, goals, voices = parts
    points, steady, features, _ = weighed
    started, last_contact = times
    active = frame.pauses.active if frame.pauses.union else _as_it_is
    start = active(started)
    held, growth = meetings.held, (voices.mentor_growth, voices.mentee_growth)
    changed = start if goals.changed is None else active(goals.changed)
    open_goals = tuple([OpenGoal(one.smart, one.done, active(one.since)) for one in goals.rated if one.is_open])
    coefficients = parameters.coefficients
    return Aging(
        steady=math.fsum([points[place] * value for place, value in zip(_STEADY_PLACES, steady, strict=True)]),
        rhythm_weight=points[_RHYTHM],
        goals_weight=points[_GOALS],
        growth_weight=points[_GROWTH],
        expectations_weight=points[_EXPECTATIONS],
        cadence=frame.cadence,
        review=parameters.review,
        start=start,
        held=start if held is None else active(held.time),
        contact=start if last_contact is None else active(last_contact),
        mentor_growth=start if growth[0] is None else active(growth[0]),
        mentee_growth=start if growth[1] is None else active(growth[1]),
        goal_changed=changed,
        stalls=changed + parameters.stalled_after if open_goals else FOREVER,
        done=voices.done,
        rated_goals=len(goals.rated),
        ended_goals=math.fsum([goal.smart * goal.done for goal in goals.rated if not goal.is_open]),
        median=pace.median,
        shape=pace.shape,
        horizon=parameters.horizon,
        others=parameters.base
        + math.fsum([coefficients[place] * value for place, value in zip(_KNOWN_PLACES, features, strict=True)]),
        silence_weight=coefficients[_SILENCE],
        elapsed_weight=coefficients[_ELAPSED],
        stalled_weight=coefficients[_STALLED],
        booked_weight=-coefficients[_BOOKED],
        goals=open_goals,
    )


def _as_it_is(at: int) -> int:
    """Without pauses the active clock is the clock."""
    return at


_RHYTHM, _GOALS = FACTORS.index("rhythm"), FACTORS.index("goals")
_GROWTH, _EXPECTATIONS = FACTORS.index("growth"), FACTORS.index("expectations")
_SILENCE, _ELAPSED = FEATURES.index("silence"), FEATURES.index("elapsed")
_STALLED, _BOOKED = FEATURES.index("goal_stalled"), FEATURES.index("booked")


def _beginning(view: View, goals: Goals) -> int | None:
    """The time of the first fact; where it does not stand, of the oldest selected one that does."""
    if not view.count:
        return None
    first = view.index.entries[0]
    if first.stands:
        return first.time
    standing = [entry for name in LOOKED_AT if name not in PER_GOAL for entry in view.standing(name)[:1]]
    standing += [entry for entry in goals.selected if entry.stands]
    return min(standing).time if standing else None
