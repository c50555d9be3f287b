"""The envelope (CloudEvents 1.0), and the catalogue of mentoring events as one discriminated union."""

from typing import Annotated, Any, Generic, Literal, TypeVar, final, get_args

from pydantic import ConfigDict, Field, TypeAdapter

from schemas import payloads as p
from schemas.primitives import EventId, Id, Instant, Message, SourceUri
from schemas.programs import ProfilesSet

Type = TypeVar("Type", bound=str)
Data = TypeVar("Data", bound=Message)


class CloudEvent(Message, Generic[Type, Data]):
    """`source` and `id` are the idempotency key within a tenant; `time` is when it happened, UTC with microseconds;
    `recordedtime` is when ingest recorded it."""

    specversion: Literal["1.0"] = "1.0"
    source: SourceUri
    id: EventId
    type: Type
    time: Instant
    recordedtime: Instant
    tenant: Id
    correlationid: EventId | None = None
    causationid: EventId | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(max_length=512)] | None = None
    traceparent: Annotated[str, Field(max_length=128)] | None = None
    tracestate: Annotated[str, Field(max_length=512)] | None = None
    data: Data


class RelationshipEvent(CloudEvent[Type, Data], Generic[Type, Data]):
    """An event of one relationship: `subject` is its id, `partitionkey` is tenant/relationship, also the Kafka key."""

    subject: Id
    program: Id
    partitionkey: Annotated[str, Field(max_length=257)]


def type_of(model: type[CloudEvent[Any, Any]]) -> str:
    """Return the type string of a member of one of the unions."""
    name: str = get_args(model.model_fields["type"].annotation)[0]
    return name


RelationshipStarted = RelationshipEvent[Literal["mentoring.relationship.started.v1"], p.RelationshipStarted]
ExpectationsAgreed = RelationshipEvent[Literal["mentoring.relationship.expectations_agreed.v1"], p.ExpectationsAgreed]
RelationshipPaused = RelationshipEvent[Literal["mentoring.relationship.paused.v1"], p.RelationshipPaused]
RelationshipResumed = RelationshipEvent[Literal["mentoring.relationship.resumed.v1"], p.RelationshipResumed]
RelationshipEnded = RelationshipEvent[Literal["mentoring.relationship.ended.v1"], p.RelationshipEnded]
PreparationCompleted = RelationshipEvent[Literal["mentoring.preparation.completed.v1"], p.PreparationCompleted]
SessionScheduled = RelationshipEvent[Literal["mentoring.session.scheduled.v1"], p.SessionScheduled]
SessionRescheduled = RelationshipEvent[Literal["mentoring.session.rescheduled.v1"], p.SessionRescheduled]
SessionCancelled = RelationshipEvent[Literal["mentoring.session.cancelled.v1"], p.SessionCancelled]
SessionHeld = RelationshipEvent[Literal["mentoring.session.held.v1"], p.SessionHeld]
SessionMissed = RelationshipEvent[Literal["mentoring.session.missed.v1"], p.SessionMissed]
SessionJoined = RelationshipEvent[Literal["mentoring.session.joined.v1"], p.SessionAttendance]
SessionLeft = RelationshipEvent[Literal["mentoring.session.left.v1"], p.SessionAttendance]
MessageSent = RelationshipEvent[Literal["mentoring.message.sent.v1"], p.MessageSent]
CheckinAnswered = RelationshipEvent[Literal["mentoring.checkin.answered.v1"], p.CheckinAnswered]
GoalSet = RelationshipEvent[Literal["mentoring.goal.set.v1"], p.GoalSet]
GoalRevised = RelationshipEvent[Literal["mentoring.goal.revised.v1"], p.GoalRevised]
GoalProgressed = RelationshipEvent[Literal["mentoring.goal.progressed.v1"], p.GoalProgressed]
GoalAchieved = RelationshipEvent[Literal["mentoring.goal.achieved.v1"], p.GoalChanged]
GoalMissed = RelationshipEvent[Literal["mentoring.goal.missed.v1"], p.GoalChanged]
GoalAbandoned = RelationshipEvent[Literal["mentoring.goal.abandoned.v1"], p.GoalChanged]
MilestoneCelebrated = RelationshipEvent[Literal["mentoring.milestone.celebrated.v1"], p.MilestoneCelebrated]
FeedbackGiven = RelationshipEvent[Literal["mentoring.feedback.given.v1"], p.FeedbackGiven]
FitRated = RelationshipEvent[Literal["mentoring.fit.rated.v1"], p.FitRated]
PulseAnswered = RelationshipEvent[Literal["mentoring.pulse.answered.v1"], p.PulseAnswered]
ReflectionRecorded = RelationshipEvent[Literal["mentoring.reflection.recorded.v1"], p.GrowthRecorded]
SkillAssessed = RelationshipEvent[Literal["mentoring.skill.assessed.v1"], p.SkillAssessed]
IntroductionMade = RelationshipEvent[Literal["mentoring.introduction.made.v1"], p.GrowthRecorded]
ResourceShared = RelationshipEvent[Literal["mentoring.resource.shared.v1"], p.GrowthRecorded]
SupportRequested = RelationshipEvent[Literal["mentoring.support.requested.v1"], p.SupportRequested]
SupportResolved = RelationshipEvent[Literal["mentoring.support.resolved.v1"], p.SupportResolved]
EventRetracted = RelationshipEvent[Literal["mentoring.event.retracted.v1"], p.EventRetracted]
RelationshipErased = RelationshipEvent[Literal["mentoring.relationship.erased.v1"], p.RelationshipErased]


@final
class ClockReached(CloudEvent[Literal["mentoring.clock.reached.v1"], p.KnownUntil]):
    """Belongs to a partition, not to a relationship: it has no subject."""


@final
class ProfileSet(CloudEvent[Literal["mentoring.program.profile_set.v1"], ProfilesSet]):
    """How a programme is scored. Every partition of the log has a copy, so that its position among the events
    decides."""

    program: Id


OfRelationship = (
    RelationshipStarted
    | ExpectationsAgreed
    | RelationshipPaused
    | RelationshipResumed
    | RelationshipEnded
    | PreparationCompleted
    | SessionScheduled
    | SessionRescheduled
    | SessionCancelled
    | SessionHeld
    | SessionMissed
    | SessionJoined
    | SessionLeft
    | MessageSent
    | CheckinAnswered
    | GoalSet
    | GoalRevised
    | GoalProgressed
    | GoalAchieved
    | GoalMissed
    | GoalAbandoned
    | MilestoneCelebrated
    | FeedbackGiven
    | FitRated
    | PulseAnswered
    | ReflectionRecorded
    | SkillAssessed
    | IntroductionMade
    | ResourceShared
    | SupportRequested
    | SupportResolved
    | EventRetracted
    | RelationshipErased
)
OfPartition = ClockReached | ProfileSet
"""These have no key: every partition of the log has a copy."""
MentoringEvent = OfRelationship | OfPartition

# One validator for every record of `mentoring.events`; it raises pydantic.ValidationError with the path.
# Only field names are cached as strings: most values occur once.
MENTORING_EVENT: TypeAdapter[MentoringEvent] = TypeAdapter(
    Annotated[MentoringEvent, Field(discriminator="type")], config=ConfigDict(cache_strings="keys")
)
# The types that senders may send; types that only Rapport writes are excluded.
EVENT_TYPES: tuple[str, ...] = tuple(type_of(model) for model in get_args(OfRelationship | ClockReached))
ADMIN_TYPES = frozenset({"mentoring.relationship.erased.v1", "mentoring.clock.reached.v1"})


def partition_key(tenant: str, relationship: str) -> str:
    return f"{tenant}/{relationship}"


def to_json(event: CloudEvent[Any, Any]) -> bytes:
    """Serialise the event in structured mode, without unset attributes: the value of a Kafka record."""
    return event.__pydantic_serializer__.to_json(event, by_alias=True, exclude_none=True)
