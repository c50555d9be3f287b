"""What notify says: every transition of an alert on `mentoring.alerts`, and the deliveries to people."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.events import RelationshipEvent
from schemas.primitives import Count, Id, Instant, Message
from schemas.scores import Band, Name, Probability, Trigger

TransitionName = Literal["fired", "escalated", "resolved"]
Condition = Literal["ok", "pending", "firing", "recovering"]
Urgency = Literal["P1", "P2", "P3"]
ChannelName = Literal["log", "webhook"]
DeliveryState = Literal["planned", "started", "delivered", "dead"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DedupKey = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{32}-[0-9]+$")]
Sentence = Annotated[str, Field(max_length=200)]


class Reason(Message):
    """One plain sentence of why, with the points it stands for: of health what is missing from 100, as a negative
    number; of risk what it adds to the log-odds."""

    name: Name
    points: float
    words: Sentence


class Reading(Message):
    """The score that an alert was decided on."""

    as_of: Instant
    health: Annotated[float, Field(ge=0, le=100)]
    band: Band
    risk: Probability
    calibrated: bool
    confidence: Probability
    last_contact: Instant | None = None


class Alert(Message):
    """One transition. `alert_key` names rule and subject, `dedup_key` the episode: both the same after any crash.
    `at` is event time, when it took effect; `since` when the values of the episode became bad; `decided_at` is wall
    time, journaled. A transition that only a deadline brought about has no trigger. `not_sent` is the reason why
    nobody was told; without it, it was planned for every channel."""

    alert_key: Hash
    dedup_key: DedupKey
    episode: Annotated[Count, Field(ge=1)]
    rule: Name
    rule_version: Name
    urgency: Urgency
    transition: TransitionName
    condition: Condition
    why: Annotated[str, Field(max_length=64)]
    at: Instant
    since: Instant
    decided_at: Instant
    reading: Reading
    trigger: Trigger | None = None
    reasons: Annotated[tuple[Reason, ...], Field(max_length=3)]
    summary: Sentence
    next_step: Sentence
    not_sent: Annotated[str, Field(max_length=64)] | None = None


class Delivery(Message):
    """One message to one recipient, complete: the record alone is enough to send it, or to send it again. `started`
    without an outcome means that nobody knows whether it arrived. `due_at`: not to be sent before; `started_at`: the
    first attempt; `latency_seconds`: of the last attempt."""

    delivery_id: Hash
    dedup_key: DedupKey
    transition: TransitionName
    channel: ChannelName
    recipient: Annotated[str, Field(max_length=512)]
    state: DeliveryState
    attempt: Count
    status: Annotated[str, Field(max_length=512)] = ""
    latency_seconds: Annotated[float, Field(ge=0)] | None = None
    planned_at: Instant
    due_at: Instant
    started_at: Instant | None = None
    changed_at: Instant
    alert: Alert
    tenant: Id
    program: Id
    relationship: Id


AlertChanged = RelationshipEvent[Literal["mentoring.alert.changed.v1"], Alert]
DeliveryChanged = RelationshipEvent[Literal["mentoring.delivery.changed.v1"], Delivery]
AlertEvent = AlertChanged | DeliveryChanged

ALERT_EVENT: TypeAdapter[AlertEvent] = TypeAdapter(Annotated[AlertEvent, Field(discriminator="type")])
