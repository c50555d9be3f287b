"""Short ways to say events of one relationship, in days since the beginning."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from schemas import events as e
from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import Side, to_micros
from services.scoring.domain.facts import Facts, facts_of, merged
from services.scoring.domain.history import History, Row
from services.scoring.domain.profiles import DEFAULT

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
KEY = "t/r"
Absent = Literal["mentor", "mentee", "both"]
SIDES: tuple[Side, ...] = ("mentor", "mentee")
ABSENT: tuple[Absent, ...] = ("mentor", "mentee", "both")


def at(days: float) -> datetime:
    return BEGIN + timedelta(days=days)


def micros(days: float) -> int:
    return to_micros(at(days))


def _envelope(days: float, identity: str) -> dict[str, Any]:
    when = at(days)
    return {
        "source": "/s",
        "id": identity,
        "time": when,
        "recordedtime": when,
        "tenant": "t",
        "subject": "r",
        "program": "p",
        "partitionkey": KEY,
    }


def started(days: float, cadence: float | None = None, identity: str = "start") -> OfRelationship:
    data = p.RelationshipStarted(mentors=("a",), mentees=("b",), cadence_days=cadence)
    return e.RelationshipStarted(type="mentoring.relationship.started.v1", data=data, **_envelope(days, identity))


def held(days: float, session: str = "", minutes: float | None = 60, **more: Any) -> OfRelationship:  # noqa: ANN401
    name = session or f"h{days}"
    data = p.SessionHeld(session_id=name, started_at=at(days), minutes=minutes, **more)
    return e.SessionHeld(type="mentoring.session.held.v1", data=data, **_envelope(days, f"{name}-{days}-held"))


def missed(days: float, absent: Absent = "mentor", session: str = "", **more: Any) -> OfRelationship:  # noqa: ANN401
    name = session or f"m{days}"
    data = p.SessionMissed(session_id=name, absent=absent, **more)
    return e.SessionMissed(type="mentoring.session.missed.v1", data=data, **_envelope(days, f"{name}-missed"))


def cancelled(days: float, session: str, notice: float | None = None) -> OfRelationship:
    data = p.SessionCancelled(session_id=session, notice_hours=notice)
    return e.SessionCancelled(type="mentoring.session.cancelled.v1", data=data, **_envelope(days, f"{session}-off"))


def booked(days: float, session: str, starts: float, hours: float = 1) -> OfRelationship:
    data = p.SessionScheduled(session_id=session, starts_at=at(starts), ends_at=at(starts + hours / 24))
    return e.SessionScheduled(type="mentoring.session.scheduled.v1", data=data, **_envelope(days, f"{session}-{days}"))


def moved(days: float, session: str, starts: float) -> OfRelationship:
    data = p.SessionRescheduled(session_id=session, starts_at=at(starts), ends_at=at(starts + 0.1))
    envelope = _envelope(days, f"{session}-{days}-moved")
    return e.SessionRescheduled(type="mentoring.session.rescheduled.v1", data=data, **envelope)


def message(days: float, by: Side) -> OfRelationship:
    data = p.MessageSent(channel="chat", by=by)
    return e.MessageSent(type="mentoring.message.sent.v1", data=data, **_envelope(days, f"{by}-{days}"))


def paused(days: float, begin: float | None = None, until: float | None = None, name: str = "p") -> OfRelationship:
    data = p.RelationshipPaused(
        pause_id=name,
        from_=None if begin is None else at(begin),
        until=None if until is None else at(until),
        reason="leave",
    )
    return e.RelationshipPaused(type="mentoring.relationship.paused.v1", data=data, **_envelope(days, f"{name}-{days}"))


def resumed(days: float, name: str | None = None) -> OfRelationship:
    data = p.RelationshipResumed(pause_id=name)
    return e.RelationshipResumed(type="mentoring.relationship.resumed.v1", data=data, **_envelope(days, f"on-{days}"))


def ended(days: float) -> OfRelationship:
    data = p.RelationshipEnded(planned=True, reason_code="done", initiated_by="admin")
    return e.RelationshipEnded(type="mentoring.relationship.ended.v1", data=data, **_envelope(days, "end"))


def retraction(days: float, target: OfRelationship, slot: str = "") -> e.EventRetracted:
    data = p.EventRetracted(source=target.source, id=target.id, type=target.type, time=target.time, slot=slot)
    envelope = _envelope(days, f"no-{target.id}")
    return e.EventRetracted(type="mentoring.event.retracted.v1", data=data, **envelope)


def reflection(days: float) -> OfRelationship:
    """Of a type that is not scored yet."""
    data = p.GrowthRecorded(by="mentee")
    return e.ReflectionRecorded(type="mentoring.reflection.recorded.v1", data=data, **_envelope(days, f"think-{days}"))


def facts(*events: OfRelationship) -> Facts:
    known: Facts = {}
    for offset, event in enumerate(events):
        known = merged(known, facts_of(event, offset))
    return known


def row(days: float, *events: OfRelationship) -> Row:
    """The newest row up to that day."""
    history = History(facts(*events), DEFAULT)
    newest = history.newest(micros(days))
    assert newest is not None
    return history.rows(newest - 1, newest)[newest]


def instants(days: float, *events: OfRelationship) -> dict[float, tuple[str, ...]]:
    """{days since the beginning: causes} up to that day."""
    rows = History(facts(*events), DEFAULT).rows(-1, micros(days))
    return {(as_of - micros(0)) / 86_400_000_000: found.causes for as_of, found in rows.items()}


def part(found: Row, name: str) -> float:
    """The value of a factor."""
    return {p.name: p.value for p in found.evaluation.parts}[name] / 1e6
