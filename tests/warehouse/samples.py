"""Events, scores and alerts with every field, as the upstream services write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.alerts import (
    Alert,
    AlertAct,
    AlertChanged,
    AlertHandled,
    Delivery,
    DeliveryChanged,
    DeliveryItem,
    Handling,
    Reading,
    Reason,
)
from schemas.events import CloudEvent, EventRetracted, RelationshipStarted, SessionHeld, partition_key
from schemas.payloads import EventRetracted as Retraction
from schemas.payloads import Origin
from schemas.payloads import RelationshipStarted as Started
from schemas.payloads import SessionHeld as Held
from schemas.scores import (
    Band,
    Before,
    ClockAdvanced,
    Part,
    PartitionClock,
    RiskTerm,
    Score,
    ScoreChanged,
    ScoreCorrected,
    ScoreRow,
    Trigger,
)

NOON = datetime(2024, 3, 31, 12, 0, 0, 123456, tzinfo=UTC)
TRIGGER = Trigger(
    source="zoom", id="m-1", type="mentoring.session.held.v1", time=NOON, recordedtime=NOON + timedelta(seconds=2)
)


def envelope(kind: str, time: datetime, relationship: str, tenant: str = "acme") -> dict[str, Any]:
    return {
        "source": "zoom",
        "id": f"{kind}-{relationship}-{time.isoformat()}",
        "type": f"mentoring.{kind}.v1",
        "time": time,
        "recordedtime": time + timedelta(seconds=2),
        "tenant": tenant,
        "program": "spruce",
        "subject": relationship,
        "partitionkey": partition_key(tenant, relationship),
    }


def held(time: datetime = NOON, relationship: str = "r-1", tenant: str = "acme", **changes: object) -> SessionHeld:
    data = Held(session_id="s-1", started_at=time, minutes=45.5, by="mentor", evidence="observed")
    return SessionHeld(**envelope("session.held", time, relationship, tenant) | {"data": data} | changes)


def started(time: datetime = NOON, relationship: str = "r-1", tenant: str = "acme") -> RelationshipStarted:
    origin = Origin(tool="hris", native_type="match", native_id="77")
    data = Started(mentors=("p-1",), mentees=("p-2", "p-3"), origin=origin)
    return RelationshipStarted(**envelope("relationship.started", time, relationship, tenant), data=data)


def score(health: float = 62.5, risk: float = 0.25, **changes: object) -> Score:
    parts = (
        Part(name="rhythm", value=0.75, weight=25, contribution=health + 4.25, delta=-1.5),
        Part(name="silence", value=0.5, weight=0, contribution=-4.25, delta=0),
    )
    values: dict[str, Any] = {
        "causes": ("fact", "midnight"),
        "health": health,
        "band": band(health),
        "risk": risk,
        "parts": parts,
        "risk_terms": (RiskTerm(name="base", value=0.5), RiskTerm(name="silence", value=-1.25)),
        "before": Before(as_of=NOON - timedelta(days=1), health=64, band="steady", risk=0.2),
        "confidence": 0.4,
        "trend": -3.25,
        "status": "active",
        "started": NOON - timedelta(days=90),
        "cadence_days": 14.5,
        "last_contact": NOON - timedelta(days=3),
        "next_session": None,
        "open_requests": ("q-1",),
        "sources": ("zoom", "slack"),
        "calibrated": True,
        "profile": "default-1",
        "model": "2024-1",
        "calibration": "",
    }
    return Score(**values | changes)


def band(health: float) -> Band:
    if health >= 75:
        return "thriving"
    return "steady" if health >= 50 else "strained" if health >= 25 else "critical"


def row(as_of: datetime = NOON, position: int = 7, **changes: object) -> ScoreRow:
    values: dict[str, Any] = {"mode": "live", "deleted": False, "trigger": TRIGGER}
    if not changes.get("deleted") and "score" not in changes:
        values["score"] = score()
    return ScoreRow(as_of=as_of, position=position, **values | changes)


def changed(scored: ScoreRow, relationship: str = "r-1", tenant: str = "acme") -> ScoreChanged:
    about = envelope("score.changed", scored.as_of, relationship, tenant)
    return ScoreChanged(**about | {"id": f"{scored.as_of}-{scored.position}-{scored.deleted}"}, data=scored)


def corrected(scored: ScoreRow, relationship: str = "r-1", tenant: str = "acme") -> ScoreCorrected:
    about = envelope("score.corrected", scored.as_of, relationship, tenant)
    return ScoreCorrected(**about | {"id": f"{scored.as_of}-{scored.position}-{scored.deleted}"}, data=scored)


def clock_advanced(tenant: str = "acme") -> ClockAdvanced:
    return ClockAdvanced(
        source="rapport/scoring",
        id="clock-1",
        type="mentoring.clock.advanced.v1",
        time=NOON,
        recordedtime=NOON,
        tenant=tenant,
        data=PartitionClock(partition=0, clock=NOON),
    )


def alert(at: datetime = NOON, relationship: str = "r-1", tenant: str = "acme", **changes: object) -> AlertChanged:
    values: dict[str, Any] = {
        "alert_key": "a" * 64,
        "dedup_key": f"{'a' * 32}-1",
        "episode": 1,
        "rule": "health_low",
        "rule_version": "1",
        "urgency": "P3",
        "transition": "fired",
        "condition": "firing",
        "why": "for",
        "at": at,
        "since": at - timedelta(days=1),
        "decided_at": at + timedelta(seconds=5),
        "reading": Reading(
            as_of=at, health=38.5, band="strained", risk=0.5, calibrated=False, confidence=0.4, last_contact=None
        ),
        "trigger": TRIGGER,
        "reasons": (Reason(name="rhythm", points=-12.5, words="no meeting for 19 days (usual gap 7)"),),
        "summary": "Spruce: pair r-1 is down to 38",
        "next_step": "Call the mentor",
    }
    said = Alert(**values | changes)
    about = envelope("alert.changed", at, relationship, tenant)
    about["id"] = f"{said.dedup_key}-{said.transition}-{relationship}"
    if said.subject_kind != "relationship":
        about["partitionkey"] = partition_key(tenant, f"{said.subject_kind}/{relationship}")
    return AlertChanged(**about, data=said)


def handled(of: AlertChanged, act: str, at: datetime, **changes: object) -> AlertHandled:
    values: dict[str, Any] = {
        "alert_key": of.data.alert_key,
        "dedup_key": of.data.dedup_key,
        "rule": of.data.rule,
        "act": act,
        "by": "p-9",
        "at": at,
        "decided_at": at,
        "handling": Handling(),
    }
    about = envelope("alert.handled", at, of.subject, of.tenant) | {"partitionkey": of.partitionkey}
    about["id"] = f"{of.data.dedup_key}-{act}-{at.isoformat()}"
    return AlertHandled(**about, data=AlertAct(**values | changes))


def delivery(
    relationship: str = "r-1", tenant: str = "acme", status: str = "HTTP 200", items: tuple[DeliveryItem, ...] = ()
) -> DeliveryChanged:
    told = alert(NOON, relationship, tenant).data
    one = Delivery(
        delivery_id="b" * 64,
        dedup_key=told.dedup_key,
        transition="fired",
        channel="webhook",
        recipient="https://hooks.example/ann.example@example.org",
        state="delivered",
        attempt=1,
        status=status,
        latency_seconds=0.25,
        planned_at=NOON,
        due_at=NOON,
        changed_at=NOON,
        alert=told,
        items=items,
        tenant=tenant,
        program="spruce",
        relationship=relationship,
    )
    return DeliveryChanged(**envelope("delivery.changed", NOON, relationship, tenant), data=one)


def retracted(of: CloudEvent[Any, Any], relationship: str = "r-1", tenant: str = "acme") -> EventRetracted:
    data = Retraction(source=of.source, id=of.id, type=of.type, time=of.time)
    about = envelope("event.retracted", of.time + timedelta(days=2), relationship, tenant)
    return EventRetracted(**about | {"id": f"retracted-{of.id}"}, data=data)
