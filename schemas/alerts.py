"""What notify says: every transition of an alert on `mentoring.alerts`, and the deliveries to people."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.events import RelationshipEvent
from schemas.primitives import Count, Id, Instant, Message
from schemas.programs import CalibrationEvidence
from schemas.scores import Band, Name, Probability, Trigger

TransitionName = Literal["fired", "escalated", "resolved", "reminded", "unstable"]
SubjectKind = Literal["relationship", "programme", "source"]
StageName = Literal["inhibit", "silence", "route", "hold", "group", "plan"]
Condition = Literal["ok", "pending", "firing", "recovering"]
Urgency = Literal["P1", "P2", "P3"]
ChannelName = Literal["log", "webhook", "smtp", "slack", "teams", "pagerduty"]
GroupKind = Literal["digest", "batch", "storm", "late", "rescored", "handover"]
DeliveryState = Literal["planned", "held", "started", "unknown", "delivered", "dead", "superseded"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DedupKey = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{32}-[0-9]+$")]
Sentence = Annotated[str, Field(max_length=200)]
MOST_ITEMS = 9
"""Of a message beside its first alert: nobody reads a list of more than ten lines, the rest is counted."""
MOST_PEOPLE = 100
MOST_BODY = 60_000
"""Characters: more than any channel takes. With all items the record still fits into its topic."""


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
    evidence: CalibrationEvidence | None = None
    confidence: Probability
    last_contact: Instant | None = None


class StageDecision(Message):
    """What one stage on the way to people made of a transition, and why."""

    stage: StageName
    outcome: Literal["passed", "held", "stopped"]
    why: Sentence


class InputOffset(Message):
    """The record that a decision rests on."""

    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]{1,249}$")]
    partition: Annotated[int, Field(ge=0, le=2**31 - 1)]
    offset: Count


class Alert(Message):
    """One transition. `alert_key` names rule and subject, `dedup_key` the episode: both the same after any crash.
    `seq` counts the transitions of the alert over all its episodes; those of the time before they were counted have 0.
    `at` is event time, when it took effect; `since` when the values of the episode became bad; `decided_at` is wall
    time, journaled. A transition that only a deadline brought about has no trigger. An alert of a programme or of a
    source rests on no reading. `inputs`: the records it rests on. `decisions` say what each stage made of it, in their
    order; `not_sent` repeats the reason of the stage that stopped it. `after_silence`: the first notice since that
    silence."""

    alert_key: Hash
    dedup_key: DedupKey
    episode: Annotated[Count, Field(ge=1)]
    seq: Count = 0
    subject_kind: SubjectKind = "relationship"
    rule: Name
    rule_version: Name
    urgency: Urgency
    transition: TransitionName
    condition: Condition
    why: Annotated[str, Field(max_length=64)]
    at: Instant
    since: Instant
    decided_at: Instant
    reading: Reading | None = None
    trigger: Trigger | None = None
    reasons: Annotated[tuple[Reason, ...], Field(max_length=3)]
    summary: Sentence
    next_step: Sentence
    inputs: Annotated[tuple[InputOffset, ...], Field(max_length=4)] = ()
    decisions: Annotated[tuple[StageDecision, ...], Field(max_length=16)] = ()
    not_sent: Sentence | None = None
    after_silence: Id | None = None


class Handling(Message):
    """Who looks after an alert, until when. Handling never hides the condition. Notes are no part of it: they may hold
    what only lies where it can be erased."""

    state: Literal["open", "acknowledged", "snoozed"] = "open"
    by: Id | None = None
    until: Instant | None = None
    wakes_on: Literal["date", "change"] = "date"
    assignee: Id | None = None


class AlertAct(Message):
    """What a person did with an alert, and how it stands after that; or why it was refused. `verdict` is the vote on
    it, `closing` what became of it."""

    alert_key: Hash
    dedup_key: DedupKey
    rule: Name
    act: Annotated[str, Field(max_length=32)]
    by: Id
    at: Instant
    decided_at: Instant
    handling: Handling
    verdict: Literal["useful", "not_useful"] | None = None
    closing: Annotated[str, Field(max_length=32)] | None = None
    refused: Sentence | None = None


class DeliveryItem(Message):
    """A further alert that the same message tells of."""

    program: Id
    relationship: Id
    alert: Alert


class Delivery(Message):
    """One message to one destination, complete: the record alone is enough to send it, or to send it again.

    `recipient` is the name of the destination, never an address. `held`: it waits until it may be sent; `started`
    without an outcome, and `unknown`: nobody knows whether it arrived; `superseded`: what came later made it needless.
    `due_at`: not to be sent before; `started_at`: the first attempt; `latency_seconds`: of the last attempt;
    `provider_id`: what the receiver calls it. `items` and `more`: what else the message lists, and how many it only
    counts. `body`: as the channel renders it when it is first sent, with the names of `people`; it stands on
    `mentoring.deliveries` alone. `repeat`: it says that it may be a repeat. `fallback_of`: the delivery that it stands
    in for. `person`: to whom it goes, where the destination is whoever looks after a programme. `group`: with what it
    is folded into one message: the digest of the day, the batch of a programme and class, a storm, what came to light
    late, or what is handed over."""

    delivery_id: Hash
    dedup_key: DedupKey
    transition: TransitionName
    channel: ChannelName
    recipient: Annotated[str, Field(max_length=512)]
    state: DeliveryState
    attempt: Count
    status: Annotated[str, Field(max_length=512)] = ""
    provider_id: Annotated[str, Field(max_length=256)] = ""
    latency_seconds: Annotated[float, Field(ge=0)] | None = None
    planned_at: Instant
    due_at: Instant
    started_at: Instant | None = None
    changed_at: Instant
    alert: Alert
    items: Annotated[tuple[DeliveryItem, ...], Field(max_length=MOST_ITEMS)] = ()
    more: Count = 0
    body: Annotated[str, Field(max_length=MOST_BODY)] | None = None
    people: Annotated[tuple[Id, ...], Field(max_length=MOST_PEOPLE)] = ()
    repeat: bool = False
    fallback_of: Hash | None = None
    person: Id | None = None
    group: GroupKind | None = None
    tenant: Id
    program: Id
    relationship: Id


AlertChanged = RelationshipEvent[Literal["mentoring.alert.changed.v1"], Alert]
DeliveryChanged = RelationshipEvent[Literal["mentoring.delivery.changed.v1"], Delivery]
AlertHandled = RelationshipEvent[Literal["mentoring.alert.handled.v1"], AlertAct]
AlertEvent = AlertChanged | AlertHandled | DeliveryChanged

ALERT_EVENT: TypeAdapter[AlertEvent] = TypeAdapter(Annotated[AlertEvent, Field(discriminator="type")])
