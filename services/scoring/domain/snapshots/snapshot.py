"""Everything that rows say of a relationship until its next fact, and the numbers that its score is computed from."""

import math
from dataclasses import dataclass
from functools import cached_property
from operator import mul

from services.scoring.domain.bounds import FOREVER
from services.scoring.domain.memory import LOOKED_AT, PER_GOAL
from services.scoring.domain.parameters import Parameters
from services.scoring.domain.score import FACTORS, Aging, OpenGoal
from services.scoring.domain.snapshots import frame as frames
from services.scoring.domain.snapshots import goals as goal_facts
from services.scoring.domain.snapshots import meetings as meeting_facts
from services.scoring.domain.snapshots import messages as message_facts
from services.scoring.domain.snapshots import pace as contact_facts
from services.scoring.domain.snapshots import voices as voice_facts
from services.scoring.domain.snapshots.frame import Frame
from services.scoring.domain.snapshots.goals import Goals
from services.scoring.domain.snapshots.index import View
from services.scoring.domain.snapshots.meetings import Meetings
from services.scoring.domain.snapshots.messages import Messages
from services.scoring.domain.snapshots.pace import Pace
from services.scoring.domain.snapshots.voices import Voices

CONFIDENT_AT = 3
"""Facts at which a factor is half trusted: n / (n + 3)."""
ALWAYS_KNOWN = frozenset({"rhythm", "reliability", "growth", "expectations"})
"""Time and attendance say something from the beginning on; the other factors need facts."""


@dataclass(eq=False)
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

    @property
    def ended(self) -> int | None:
        return self.frame.ended

    @property
    def cadence(self) -> float:
        """Days."""
        return self.frame.cadence

    @cached_property
    def last_contact(self) -> int | None:
        contacts = [entry for entry in (self.meetings.held, self.messages.newest) if entry is not None]
        return max(contacts).time if contacts else None

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
        return next((start for start in self.meetings.bookings if start > at), None)

    @cached_property
    def stalls(self) -> int | None:
        """When the open goals count as stalled, unless something changes."""
        reached = self.frame.pauses.reached(self.aging.stalls) if self.aging.stalls != FOREVER else FOREVER
        return None if reached == FOREVER else reached

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Whose facts the score rests on."""
        index = self.view.index
        if len(index.sources) == 1 and self.exists:
            return tuple(index.sources)
        selected = [entry for name in LOOKED_AT if name not in PER_GOAL for entry in self.view.selected(name)]
        entries = (*selected, *self.goals.selected, index.entries[0])
        return tuple(sorted({entry.source for entry in entries if entry.stands}))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many facts each factor rests on."""
        voices, messages, growth = self.voices, self.messages, (self.voices.mentor_growth, self.voices.mentee_growth)
        grown = sum(time is not None for time in growth)
        counts = (self.meetings.sessions, self.meetings.outcomes, self.goals.standing, voices.ratings)
        return (*counts, messages.rated, messages.replies, voices.pulses, grown, voices.done)

    @cached_property
    def points(self) -> tuple[float, ...]:
        """What each factor gives at the most, 0 for one without data; they sum to 100."""
        known = [
            weight if name in ALWAYS_KNOWN or count else 0.0
            for name, weight, count in zip(FACTORS, self.parameters.weights, self.counts, strict=True)
        ]
        total = math.fsum(known)
        return tuple(100.0 * weight / total if total else 0.0 for weight in known)

    @cached_property
    def steady(self) -> tuple[float, ...]:
        """The factors that time does not change, of 0 to 1; 0 for the others and for those without data."""
        voices, messages = self.voices, self.messages
        values = (0.0, self.meetings.reliability, 0.0, voices.feedback, messages.mutual, messages.responsiveness)
        found = (*values, voices.support, 0.0, 0.0)
        return tuple(value if points else 0.0 for value, points in zip(found, self.points, strict=True))

    @cached_property
    def features(self) -> tuple[float, ...]:
        """Of the disengagement model, 0 for those that time changes."""
        meetings, pace = self.meetings, self.pace
        of_pace = (math.log(pace.median / self.parameters.horizon), math.log1p(pace.contacts))
        return (0.0, *of_pace, float(meetings.missed), float(meetings.cancelled_late), 0.0, self.voices.drop, 0.0)

    @cached_property
    def confidence(self) -> float:
        """Sum over the factors with data of w n / (n + 3), over the sum of all weights; n: facts a factor rests on."""
        weighted = zip(self.parameters.weights, self.counts, self.points, strict=True)
        trusted = math.fsum(weight * count / (count + CONFIDENT_AT) for weight, count, points in weighted if points)
        everything = math.fsum(self.parameters.weights)
        return trusted / everything if everything else 0.0

    @cached_property
    def aging(self) -> Aging:
        """The numbers that the score is computed from."""
        rhythm, _, goals_points, _, _, _, _, growth, expectations = self.points
        silence, *_, stalled, _, booked = coefficients = self.parameters.coefficients
        start, goals, voices = self.active(self.started), self.goals.rated, self.voices
        changed = self._since(self.goals.changed, start)
        open_goals = tuple(OpenGoal(one.smart, one.done, self.active(one.since)) for one in goals if one.is_open)
        return Aging(
            steady=math.fsum(map(mul, self.points, self.steady)),
            rhythm_weight=rhythm,
            goals_weight=goals_points,
            growth_weight=growth,
            expectations_weight=expectations,
            cadence=self.cadence,
            review=self.parameters.review,
            start=start,
            held=self._since(None if self.meetings.held is None else self.meetings.held.time, start),
            contact=self._since(self.last_contact, start),
            mentor_growth=self._since(voices.mentor_growth, start),
            mentee_growth=self._since(voices.mentee_growth, start),
            goal_changed=changed,
            stalls=changed + self.parameters.stalled_after if open_goals else FOREVER,
            done=voices.done,
            rated_goals=len(goals),
            ended_goals=math.fsum(goal.smart * goal.done for goal in goals if not goal.is_open),
            median=self.pace.median,
            shape=self.pace.shape,
            # The features that time changes are 0 here.
            others=self.parameters.base + math.fsum(map(mul, coefficients, self.features)),
            silence_weight=silence,
            stalled_weight=stalled,
            booked_weight=-booked,
            goals=open_goals,
        )

    def _since(self, time: int | None, start: int) -> int:
        """What ages without a fact of its own ages since the start."""
        return start if time is None else self.active(time)


def snapshot(view: View, parameters: Parameters, before: Snapshot | None = None) -> Snapshot:
    """Of all that is known in the view. What depends on facts that are the same in the snapshot `before`, of the same
    index, is taken from there."""
    if before is not None and before.parameters is parameters:
        changed = {name for name, end in view.ends.items() if before.view.ends[name] != end}
    else:
        before, changed = None, set()

    # 1. The frame: where it is another one, all that ages is read anew.
    same = None if before is None or changed.intersection(frames.GROUPS) else before
    frame = frames.frame(view, parameters.cadence) if same is None else same.frame
    known = None if same is None or changed.intersection(message_facts.GROUPS) else same
    messages = message_facts.messages(view, frame.pauses) if known is None else known.messages
    known = None if same is None or changed.intersection(contact_facts.GROUPS) else same
    pace = contact_facts.pace(view, frame) if known is None else known.pace
    # 2. What does not depend on the frame.
    known = None if before is None or changed.intersection(meeting_facts.GROUPS) else before
    meetings = meeting_facts.meetings(view) if known is None else known.meetings
    known = None if before is None or changed.intersection(goal_facts.GROUPS) else before
    goals = goal_facts.goals(view) if known is None else known.goals
    known = None if before is None or changed.intersection(voice_facts.GROUPS) else before
    voices = voice_facts.voices(view) if known is None else known.voices
    # 3. The start.
    beginning = _beginning(view, goals)
    started = beginning or 0 if frame.started is None or beginning is None else frame.started
    parts = (frame, meetings, messages, pace, goals, voices)
    return Snapshot(view, parameters, *parts, exists=beginning is not None, started=started)


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
