"""The `data` of each mentoring event type: ids and codes only, no free text."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.primitives import Code, EventId, Id, Instant, Message, Rating, Side, SourceUri

Actor = Literal["mentor", "mentee", "admin", "system"]
Evidence = Literal["observed", "calendar", "self_reported", "inferred", "admin"]
Days = Annotated[float, Field(gt=0, le=366)]
People = Annotated[tuple[Id, ...], Field(min_length=1, max_length=100)]


class Origin(Message):
    """The original record in the tool."""

    tool: Code
    native_type: Annotated[str, Field(max_length=128)]
    native_id: Annotated[str, Field(max_length=256)]


class Payload(Message):
    by: Actor = "system"
    evidence: Evidence = "self_reported"
    origin: Origin | None = None


class OneSided(Payload):
    """Reported or done by one side of the relationship."""

    by: Side


class RelationshipStarted(Payload):
    mentors: People
    mentees: People
    kind: Literal["one_to_one", "group", "peer", "reverse"] = "one_to_one"
    cadence_days: Days | None = None
    planned_end: date | None = None
    coordinator: Id | None = None
    cohort: Id | None = None


class ExpectationsAgreed(Payload):
    pass


class RelationshipPaused(Payload):
    """`from` and `until` are effective dates and may be later than the event's time. Without `until` the pause is
    open-ended."""

    pause_id: Id
    from_: Annotated[Instant | None, Field(alias="from")] = None
    until: Instant | None = None
    reason: Code

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ and self.until and self.until <= self.from_:
            raise ValueError("until must be after from")
        return self


class RelationshipResumed(Payload):
    """Without `pause_id` it ends every open pause."""

    pause_id: Id | None = None


class RelationshipEnded(Payload):
    planned: bool
    reason_code: Code
    initiated_by: Actor


class PreparationCompleted(OneSided):
    kind: Literal["training", "briefing", "match_call"]


class SessionScheduled(Payload):
    session_id: Id
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be after starts_at")
        return self


class SessionRescheduled(SessionScheduled):
    pass


class SessionCancelled(Payload):
    session_id: Id
    notice_hours: Annotated[float, Field(ge=0, le=10_000)] | None = None


class SessionHeld(Payload):
    session_id: Id
    started_at: Instant
    minutes: Annotated[float, Field(gt=0, le=24 * 60)] | None = None


class SessionMissed(Payload):
    session_id: Id
    absent: Literal["mentor", "mentee", "both"]


class SessionAttendance(Payload):
    """`unidentified`: somebody attended who could not be identified; it may have been either side."""

    session_id: Id
    role: Side | Literal["unidentified"]


class MessageSent(OneSided):
    """That a message was sent, without its content. `reply_to` is the event id of the message that it answers."""

    channel: Code
    reply_to: EventId | None = None


class CheckinAnswered(OneSided):
    rating: Rating | None = None


class Smart(Message):
    specific: bool
    measurable: bool
    achievable: bool
    relevant: bool
    time_bound: bool


class GoalChanged(Payload):
    goal_id: Id


class GoalSet(GoalChanged):
    smart: Smart | None = None
    due: date | None = None


class GoalRevised(GoalSet):
    pass


class GoalProgressed(GoalChanged):
    percent: Annotated[float, Field(ge=0, le=100)]


class MilestoneCelebrated(Payload):
    goal_id: Id | None = None


class FeedbackGiven(OneSided):
    rating: float
    scale_min: float = 1
    scale_max: float = 5
    about: Literal["session", "relationship"]

    @model_validator(mode="after")
    def _on_the_scale(self) -> Self:
        if not self.scale_min < self.scale_max:
            raise ValueError("scale_min must be below scale_max")
        if not self.scale_min <= self.rating <= self.scale_max:
            raise ValueError("rating must lie on the scale")
        return self


class FitRated(OneSided):
    fit: Literal["good", "undecided", "not_good"]


class PulseAnswered(OneSided):
    """Self-reported well-being, given with consent."""

    rating: Rating


class GrowthRecorded(OneSided):
    pass


class SkillAssessed(OneSided):
    skill: Code
    before: Rating
    after: Rating


class SupportRequested(Payload):
    request_id: Id
    priority: Literal["immediate", "normal"]
    topic: Code


class SupportResolved(Payload):
    request_id: Id


class EventRetracted(Payload):
    """Identifies a fact that is no longer valid. `slot` selects the fact's group: a side, a goal id, `late`, or
    nothing."""

    source: SourceUri
    id: EventId
    type: Annotated[str, Field(max_length=128, pattern=r"^mentoring\.[a-z_]+\.[a-z_]+\.v[0-9]+$")]
    time: Instant
    slot: Annotated[str, Field(max_length=128)] = ""


class RelationshipErased(Payload):
    pass


class KnownUntil(Message):
    """The whole log is known up to this instant, so that silence until then can be scored (log mode only)."""

    time: Instant
