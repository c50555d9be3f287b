"""What scoring writes on `mentoring.scores`: `score.changed`, `score.corrected` and `clock.advanced`."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.events import CloudEvent, RelationshipEvent
from schemas.primitives import Code, Count, EventId, Id, Instant, Message, Side, SourceUri
from schemas.programs import CalibrationEvidence

Band = Literal["thriving", "steady", "strained", "critical"]
Cause = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=128)]
Points = Annotated[float, Field(ge=-100, le=100)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Part(Message):
    """One factor of the health score. `value` is 0..1, `contribution` and `delta` are points.
    The contributions of a score sum to its health, exactly in millionths."""

    name: Name
    value: Probability
    weight: Annotated[float, Field(ge=0)]
    contribution: Points
    delta: Points


class RiskTerm(Message):
    """One term of the linear predictor L; the terms sum to L, and risk = 1 / (1 + exp(-L))."""

    name: Name
    value: float


class Before(Message):
    """The baseline of the deltas: the preceding row, or the score 28 days earlier if that is later."""

    as_of: Instant
    health: Annotated[float, Field(ge=0, le=100)]
    band: Band
    risk: Probability


class Trigger(Message):
    """The event that caused a row; a row caused only by time has none."""

    source: SourceUri
    id: EventId
    type: Name
    time: Instant
    recordedtime: Instant


class SupportCall(Message):
    """The request for support that the triggering event opens or resolves: its id and, if one side of the pair made it,
    which side. Never its content."""

    request_id: Id
    by: Side | None = None


class Score(Message):
    """Health and risk of one relationship at one instant, with all terms that explain them. Numbers are multiples of a
    millionth. `caps`: conditions that limit the band to strained at best, whatever the health: support_open (an open
    immediate request) or fit_not_good (either side rates it so). `evidence`: the data behind a calibrated risk."""

    causes: Annotated[tuple[Cause, ...], Field(max_length=256)]
    health: Annotated[float, Field(ge=0, le=100)]
    band: Band
    caps: Annotated[tuple[Code, ...], Field(max_length=16)] = ()
    risk: Probability
    parts: Annotated[tuple[Part, ...], Field(max_length=64)]
    risk_terms: Annotated[tuple[RiskTerm, ...], Field(max_length=64)]
    before: Before | None = None
    confidence: Probability
    trend: float
    status: Literal["active", "paused", "ended"]
    started: Instant
    cadence_days: float
    last_contact: Instant | None = None
    next_session: Instant | None = None
    open_requests: Annotated[tuple[Id, ...], Field(max_length=64)]
    sources: Annotated[tuple[SourceUri, ...], Field(max_length=512)]
    calibrated: bool
    profile: Name
    model: Name
    calibration: Name
    evidence: CalibrationEvidence | None = None


class ScoreRow(Message):
    """One row of a relationship's history. `position` is the version of the row: the greatest position is valid; at
    equal positions the row of mode heal. `deleted`: the instant no longer exists; `score` is null then. `call`: set if
    a request for support, or its end, caused the newest row."""

    as_of: Instant
    position: Count
    mode: Literal["live", "heal", "replay"]
    deleted: bool
    trigger: Trigger | None = None
    call: SupportCall | None = None
    score: Score | None = None


class PartitionClock(Message):
    """All rows of this partition up to `clock` have been emitted."""

    partition: Annotated[int, Field(ge=0, le=2**31 - 1)]
    clock: Instant


ScoreChanged = RelationshipEvent[Literal["mentoring.score.changed.v1"], ScoreRow]
ScoreCorrected = RelationshipEvent[Literal["mentoring.score.corrected.v1"], ScoreRow]


class ClockAdvanced(CloudEvent[Literal["mentoring.clock.advanced.v1"], PartitionClock]):
    """Belongs to a partition, not to a relationship: it has no subject."""


ScoreEvent = ScoreChanged | ScoreCorrected | ClockAdvanced

SCORE_EVENT: TypeAdapter[ScoreEvent] = TypeAdapter(Annotated[ScoreEvent, Field(discriminator="type")])
