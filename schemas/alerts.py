"""What notify writes: every transition of an alert on `mentoring.alerts`, and the deliveries to people."""

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
MAX_ITEMS = 9
"""Listed in a message beside its first alert: nobody reads a list of more than ten lines. Further alerts are
counted."""
MAX_PEOPLE = 100
MAX_BODY = 60_000
"""Characters: more than any channel accepts. With all items the record still fits into its topic."""


class Reason(Message):
    """One sentence that explains the score, with its points: for health the points missing from 100, as a negative
    number; for risk the addition to the log-odds."""

    name: Name
    points: float
    words: Sentence


class Reading(Message):
    """The score on which an alert was decided."""

    as_of: Instant
    health: Annotated[float, Field(ge=0, le=100)]
    band: Band
    risk: Probability
    calibrated: bool
    evidence: CalibrationEvidence | None = None
    confidence: Probability
    last_contact: Instant | None = None


class StageDecision(Message):
    """The decision of one stage of the notification pipeline about a transition, and its reason."""

    stage: StageName
    outcome: Literal["passed", "held", "stopped"]
    why: Sentence


MAX_ACT_INPUTS = 1_025
"""The command, and as many partitions as the scores may have."""


class InputOffset(Message):
    """A record on which a decision rests."""

    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]{1,249}$")]
    partition: Annotated[int, Field(ge=0, le=2**31 - 1)]
    offset: Count


class Alert(Message):
    """One transition. `alert_key` identifies rule and subject, `dedup_key` the episode; both are deterministic across
    crashes. `seq` counts the transitions of the alert over all its episodes; transitions from before this count have 0.
    `at` is the event time at which it took effect; `since` is when the values of the episode became bad; `decided_at`
    is wall time, journaled. A transition caused only by a deadline has no trigger. An alert of a programme or a source
    has no reading. `inputs`: the records on which it rests. `decisions`: the decision of each pipeline stage, in their
    order; `not_sent` repeats the reason of the stage that stopped it. `after_silence`: set on the first notification
    after that silence."""

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
    """Who looks after an alert, and until when. Handling never hides the condition. Notes are not included: they may
    hold personal data, which must stay where it can be erased."""

    state: Literal["open", "acknowledged", "snoozed"] = "open"
    by: Id | None = None
    until: Instant | None = None
    wakes_on: Literal["date", "change"] = "date"
    assignee: Id | None = None


class AlertAct(Message):
    """An action of a person on an alert and the resulting handling, or why it was refused. `verdict` is the vote on the
    alert, `closing` how it ended. `inputs`: the record of the command, and the last score before it: of the partition
    of the relationship, or of each partition where the alert is of a programme or a source."""

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
    inputs: Annotated[tuple[InputOffset, ...], Field(max_length=MAX_ACT_INPUTS)] = ()


class DeliveryItem(Message):
    """A further alert that the same message reports."""

    program: Id
    relationship: Id
    alert: Alert


class Delivery(Message):
    """One message to one destination, complete: the record alone suffices to send it, or to send it again.

    `recipient` is the name of the destination, never an address. `held`: it waits until it may be sent; `started`
    without an outcome, and `unknown`: it is unknown whether it arrived; `superseded`: a later delivery made it
    unnecessary. `due_at`: the earliest time to send it; `started_at`: the first attempt; `latency_seconds`: of the last
    attempt; `provider_id`: the receiver's id of it. `items` and `more`: the further alerts that the message lists, and
    the number that it only counts. `body`: as rendered for the channel at the first attempt, with the names of
    `people`; it is stored on `mentoring.deliveries` only. `repeat`: the message states that it may be a duplicate.
    `fallback_of`: the delivery that it replaces. `person`: the recipient if the destination is whoever looks after a
    programme. `group`: what it is folded into: the digest of the day, the batch of a programme and class, a storm, late
    findings, or a handover. `address`: a digest of the one address of the list that it still goes to, after the server
    has put that one off and taken the message for the others."""

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
    items: Annotated[tuple[DeliveryItem, ...], Field(max_length=MAX_ITEMS)] = ()
    more: Count = 0
    body: Annotated[str, Field(max_length=MAX_BODY)] | None = None
    people: Annotated[tuple[Id, ...], Field(max_length=MAX_PEOPLE)] = ()
    repeat: bool = False
    fallback_of: Hash | None = None
    person: Id | None = None
    group: GroupKind | None = None
    address: Hash | None = None
    tenant: Id
    program: Id
    relationship: Id


AlertChanged = RelationshipEvent[Literal["mentoring.alert.changed.v1"], Alert]
DeliveryChanged = RelationshipEvent[Literal["mentoring.delivery.changed.v1"], Delivery]
AlertHandled = RelationshipEvent[Literal["mentoring.alert.handled.v1"], AlertAct]
AlertEvent = AlertChanged | AlertHandled | DeliveryChanged

ALERT_EVENT: TypeAdapter[AlertEvent] = TypeAdapter(Annotated[AlertEvent, Field(discriminator="type")])
