"""Builders of events of one relationship, one per type, in days since the beginning."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, cast, get_args

from schemas import payloads as p
from schemas.events import ClockReached, EventRetracted, OfRelationship, ProfileSet, type_of
from schemas.primitives import Side, to_micros
from schemas.programs import Profile, ProfilesSet
from services.scoring.domain.bounds import FOREVER
from services.scoring.domain.evaluation import evaluation_of
from services.scoring.domain.evaluation import features as features_of
from services.scoring.domain.facts import Facts, facts_of, merged
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.row import Evaluation, HistoryRow
from services.scoring.domain.score import FEATURES, Scores
from services.scoring.domain.snapshots.snapshot import Snapshot
from services.scoring.domain.timeline import Timeline

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
KEY = "t/r"
Absent = Literal["mentor", "mentee", "both"]
SIDES: tuple[Side, ...] = ("mentor", "mentee")
ABSENT: tuple[Absent, ...] = ("mentor", "mentee", "both")
_MODELS: Mapping[str, Any] = {type_of(model): model for model in get_args(OfRelationship)}


def at(days: float) -> datetime:
    return BEGIN + timedelta(days=days)


def micros(days: float) -> int:
    return to_micros(at(days))


def _event(kind: str, days: float, identity: str, data: p.Payload) -> OfRelationship:
    type_, when = f"mentoring.{kind}.v1", at(days)
    event: OfRelationship = _MODELS[type_](
        source="/s",
        id=identity,
        type=type_,
        time=when,
        recordedtime=when,
        tenant="t",
        subject="r",
        program="p",
        partitionkey=KEY,
        data=data,
    )
    return event


# --- The relationship itself ---


def started(days: float, cadence: float | None = None, identity: str = "start") -> OfRelationship:
    data = p.RelationshipStarted(mentors=("a",), mentees=("b",), cadence_days=cadence)
    return _event("relationship.started", days, identity, data)


def agreed(days: float) -> OfRelationship:
    return _event("relationship.expectations_agreed", days, f"agreed-{days}", p.ExpectationsAgreed())


def prepared(days: float, by: Side) -> OfRelationship:
    data = p.PreparationCompleted(by=by, kind="briefing")
    return _event("preparation.completed", days, f"ready-{by}-{days}", data)


def paused(days: float, begin: float | None = None, until: float | None = None, name: str = "p") -> OfRelationship:
    first, last = (None if day is None else at(day) for day in (begin, until))
    data = p.RelationshipPaused(pause_id=name, from_=first, until=last, reason="leave")
    return _event("relationship.paused", days, f"{name}-{days}", data)


def resumed(days: float, name: str | None = None) -> OfRelationship:
    return _event("relationship.resumed", days, f"on-{days}", p.RelationshipResumed(pause_id=name))


def ended(days: float) -> OfRelationship:
    data = p.RelationshipEnded(planned=True, reason_code="done", initiated_by="admin")
    return _event("relationship.ended", days, "end", data)


def erased(days: float) -> OfRelationship:
    return _event("relationship.erased", days, f"erased-{days}", p.RelationshipErased())


def retraction(days: float, target: OfRelationship, slot: str = "") -> EventRetracted:
    data = p.EventRetracted(source=target.source, id=target.id, type=target.type, time=target.time, slot=slot)
    return cast("EventRetracted", _event("event.retracted", days, f"no-{target.id}", data))


# --- Sessions and messages ---


def booked(days: float, session: str, starts: float, hours: float = 1) -> OfRelationship:
    data = p.SessionScheduled(session_id=session, starts_at=at(starts), ends_at=at(starts + hours / 24))
    return _event("session.scheduled", days, f"{session}-{days}", data)


def moved(days: float, session: str, starts: float) -> OfRelationship:
    data = p.SessionRescheduled(session_id=session, starts_at=at(starts), ends_at=at(starts + 0.1))
    return _event("session.rescheduled", days, f"{session}-{days}-moved", data)


def cancelled(days: float, session: str, notice: float | None = None) -> OfRelationship:
    data = p.SessionCancelled(session_id=session, notice_hours=notice)
    return _event("session.cancelled", days, f"{session}-off", data)


def held(days: float, session: str = "", minutes: float | None = 60, **more: Any) -> OfRelationship:  # noqa: ANN401
    name = session or f"h{days}"
    data = p.SessionHeld(session_id=name, started_at=at(days), minutes=minutes, **more)
    return _event("session.held", days, f"{name}-{days}-held", data)


def missed(days: float, absent: Absent = "mentor", session: str = "", **more: Any) -> OfRelationship:  # noqa: ANN401
    name = session or f"m{days}"
    return _event("session.missed", days, f"{name}-missed", p.SessionMissed(session_id=name, absent=absent, **more))


def joined(days: float, role: Side, session: str = "j") -> OfRelationship:
    return _event("session.joined", days, f"{session}-{role}", p.SessionAttendance(session_id=session, role=role))


def left(days: float, role: Side, session: str = "j") -> OfRelationship:
    return _event("session.left", days, f"{session}-{role}-left", p.SessionAttendance(session_id=session, role=role))


def message(days: float, by: Side, reply_to: str | None = None) -> OfRelationship:
    return _event("message.sent", days, f"{by}-{days}", p.MessageSent(channel="chat", by=by, reply_to=reply_to))


# --- Goals ---


def goal_set(days: float, goal: str = "g", smart: int | None = None) -> OfRelationship:
    """`smart`: how many of the five flags are true."""
    return _event("goal.set", days, f"{goal}-set-{days}", p.GoalSet(goal_id=goal, smart=_smart(smart)))


def goal_revised(days: float, goal: str = "g", smart: int | None = None) -> OfRelationship:
    return _event("goal.revised", days, f"{goal}-revised-{days}", p.GoalRevised(goal_id=goal, smart=_smart(smart)))


def goal_progressed(days: float, percent: float, goal: str = "g") -> OfRelationship:
    return _event("goal.progressed", days, f"{goal}-on-{days}", p.GoalProgressed(goal_id=goal, percent=percent))


def goal_achieved(days: float, goal: str = "g") -> OfRelationship:
    return _event("goal.achieved", days, f"{goal}-done-{days}", p.GoalChanged(goal_id=goal))


def goal_missed(days: float, goal: str = "g") -> OfRelationship:
    return _event("goal.missed", days, f"{goal}-missed-{days}", p.GoalChanged(goal_id=goal))


def goal_abandoned(days: float, goal: str = "g") -> OfRelationship:
    return _event("goal.abandoned", days, f"{goal}-off-{days}", p.GoalChanged(goal_id=goal))


def celebrated(days: float, goal: str | None = None, by: p.Actor = "system") -> OfRelationship:
    return _event("milestone.celebrated", days, f"party-{days}", p.MilestoneCelebrated(goal_id=goal, by=by))


# --- What people say of it, and what they need ---


def feedback(days: float, by: Side, rating: float, best: float = 5) -> OfRelationship:
    data = p.FeedbackGiven(by=by, rating=rating, scale_max=best, about="session")
    return _event("feedback.given", days, f"rated-{by}-{days}", data)


def checkin(days: float, by: Side, rating: int | None = None) -> OfRelationship:
    return _event("checkin.answered", days, f"asked-{by}-{days}", p.CheckinAnswered(by=by, rating=rating))


def fit(days: float, by: Side, how: Literal["good", "undecided", "not_good"]) -> OfRelationship:
    return _event("fit.rated", days, f"fit-{by}-{days}", p.FitRated(by=by, fit=how))


def pulse(days: float, rating: int, by: Side = "mentee") -> OfRelationship:
    return _event("pulse.answered", days, f"pulse-{by}-{days}", p.PulseAnswered(by=by, rating=rating))


def requested(
    days: float, request: str = "q", priority: Literal["immediate", "normal"] = "immediate"
) -> OfRelationship:
    data = p.SupportRequested(request_id=request, priority=priority, topic="conflict")
    return _event("support.requested", days, f"{request}-{days}", data)


def resolved(days: float, request: str = "q") -> OfRelationship:
    return _event("support.resolved", days, f"{request}-{days}-resolved", p.SupportResolved(request_id=request))


# --- Growth ---


def reflection(days: float, by: Side = "mentee") -> OfRelationship:
    return _event("reflection.recorded", days, f"think-{by}-{days}", p.GrowthRecorded(by=by))


def skill(days: float, by: Side = "mentee", before: int = 2, after: int = 3) -> OfRelationship:
    data = p.SkillAssessed(by=by, skill="planning", before=before, after=after)
    return _event("skill.assessed", days, f"skill-{by}-{days}", data)


def introduction(days: float, by: Side = "mentor") -> OfRelationship:
    return _event("introduction.made", days, f"met-{by}-{days}", p.GrowthRecorded(by=by))


def resource(days: float, by: Side = "mentor") -> OfRelationship:
    return _event("resource.shared", days, f"shared-{by}-{days}", p.GrowthRecorded(by=by))


def _smart(count: int | None) -> p.Smart | None:
    if count is None:
        return None
    flags = {name: number < count for number, name in enumerate(p.Smart.model_fields)}
    return p.Smart(**flags)


# --- What is known of them ---


def facts(*events: OfRelationship) -> Facts:
    found: Facts = {}
    for offset, event in enumerate(events):
        found = merged(found, facts_of(event, offset))
    return found


def apply(
    partition: ScoredPartition, event: OfRelationship | ClockReached, key: str, offset: int, ceiling: int = FOREVER
) -> list[Emission]:
    """Apply a record of the log, which moves the clock up to `ceiling` at most: first the rows that became due before
    it, oldest first, then those it changes."""
    due = [emission for step in partition.advance(min(to_micros(event.recordedtime), ceiling)) for emission in step]
    return [*due, *partition.apply(event, key, offset)]


def row(days: float, *events: OfRelationship) -> HistoryRow:
    """The newest row up to that day."""
    history = ScoreHistory(facts(*events), DEFAULT)
    newest = history.newest(micros(days))
    assert newest is not None
    return history.rows(newest - 1, newest)[newest]


def instants(days: float, *events: OfRelationship) -> dict[float, tuple[str, ...]]:
    """{days since the beginning: causes} up to that day."""
    rows = ScoreHistory(facts(*events), DEFAULT).rows(-1, micros(days))
    return {(as_of - micros(0)) / 86_400_000_000: found.causes for as_of, found in rows.items()}


def part(found: HistoryRow, name: str) -> float:
    """The value of a factor."""
    return {p.name: p.value for p in found.evaluation.parts}[name] / 1e6


class Scorer(NamedTuple):
    """Scores a snapshot at any instant until the next fact."""

    snapshot: Snapshot

    def scores(self, at: int) -> Scores:
        return self.snapshot.scores(at)

    def numbers(self, at: int) -> tuple[int, int]:
        """Health and risk in millionths."""
        return self.scores(at).health, self.scores(at).risk

    def features(self, at: int) -> tuple[float, ...]:
        return features_of(self.snapshot.features, self.scores(at))

    def evaluate(self, at: int) -> Evaluation:
        return evaluation_of(self.snapshot, self.scores(at))


def scorer(days: float, *events: OfRelationship, profiles: Profiles = DEFAULT) -> Scorer:
    return Scorer(Timeline(facts(*events), profiles).at(micros(days)))


def scored(days: float, *events: OfRelationship, profiles: Profiles = DEFAULT) -> Evaluation:
    """The score as of that day, whether or not there is a row."""
    return scorer(days, *events, profiles=profiles).evaluate(micros(days))


def values(days: float, *events: OfRelationship, profiles: Profiles = DEFAULT) -> dict[str, float]:
    """{factor: value} as of that day."""
    return {p.name: p.value / 1e6 for p in scored(days, *events, profiles=profiles).parts}


def features(days: float, *events: OfRelationship, profiles: Profiles = DEFAULT) -> dict[str, float]:
    """{feature of the disengagement model: value} as of that day."""
    found = scorer(days, *events, profiles=profiles).features(micros(days))
    return dict(zip(FEATURES, found, strict=True))


def profile_set(recorded: datetime, *profiles: Profile) -> ProfileSet:
    """Of the programme of all events here."""
    return ProfileSet(
        type="mentoring.program.profile_set.v1",
        source="urn:rapport:programs",
        id=f"profile-set-{len(profiles)}-{profiles[-1].version}",
        time=recorded,
        recordedtime=recorded,
        tenant="t",
        program="p",
        data=ProfilesSet(profiles=profiles),
    )
