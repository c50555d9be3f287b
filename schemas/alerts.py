"""What notify says: every change of an alert on `mentoring.alerts`, its state, and the deliveries to people."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.events import CloudEvent, RelationshipEvent
from schemas.primitives import Id, Instant, Message
from schemas.scores import Band, Probability, Trigger

Condition = Literal["ok", "pending", "firing", "recovering"]
Urgency = Literal["P1", "P2", "P3"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{32,64}$")]
DedupKey = Annotated[str, Field(pattern=r"^[0-9a-f]{32}-[0-9]+$")]


class Reason(Message):
    """One plain sentence of why, with the points of health (or of the risk predictor) it stands for."""

    name: str
    points: float
    words: Annotated[str, Field(max_length=200)]


class Reading(Message):
    """The score that an alert was decided on."""

    as_of: Instant
    health: Annotated[float, Field(ge=0, le=100)]
    band: Band
    risk: Probability
    calibrated: bool
    confidence: Probability
    last_contact: Instant | None


class Alert(Message):
    """One transition. `alert_key` names rule and subject, `dedup_key` the episode: both the same after any crash.
    `at` is event time, when the condition was met; `decided_at` is wall time, journaled. An instant that only a
    deadline brought about has no trigger."""

    alert_key: Hash
    dedup_key: DedupKey
    episode: Annotated[int, Field(ge=1)]
    rule: str
    rule_version: str
    urgency: Urgency
    transition: Literal["fired", "resolved"]
    condition: Condition
    why: Annotated[str, Field(max_length=64)]
    at: Instant
    since: Instant
    decided_at: Instant
    reading: Reading
    trigger: Trigger | None
    reasons: tuple[Reason, ...]
    summary: Annotated[str, Field(max_length=200)]
    next_step: Annotated[str, Field(max_length=200)]


class Delivery(Message):
    """One message to one recipient, complete: the record alone is enough to send it, or to send it again."""

    delivery_id: Hash
    dedup_key: DedupKey
    transition: Literal["fired", "resolved"]
    channel: Literal["log", "webhook"]
    recipient: Annotated[str, Field(max_length=512)]
    state: Literal["planned", "started", "delivered", "dead"]
    attempt: Annotated[int, Field(ge=0)]
    status: Annotated[str, Field(max_length=512)] = ""
    latency_seconds: Annotated[float, Field(ge=0)] | None = None
    planned_at: Instant
    changed_at: Instant
    alert: Alert
    tenant: Id
    program: Id
    relationship: Id


AlertChanged = RelationshipEvent[Literal["mentoring.alert.changed.v1"], Alert]
DeliveryChanged = CloudEvent[Literal["mentoring.delivery.changed.v1"], Delivery]
AlertEvent = AlertChanged | DeliveryChanged

ALERT_EVENT: TypeAdapter[AlertEvent] = TypeAdapter(Annotated[AlertEvent, Field(discriminator="type")])
