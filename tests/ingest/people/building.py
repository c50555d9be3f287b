"""Builders of people, pairs and activities."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from schemas.directory import Participant, ToolIdentity
from schemas.events import MENTORING_EVENT, OfPartition, OfRelationship
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Employed,
    Ended,
    GenericActivity,
    Joined,
    Left,
    Meeting,
    Native,
    Person,
)
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.ids import RawEvent
from services.ingest.domain.scope import ConnectionScope, Scope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Admitted, Ignored, Rejected

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""When every pair begins, unless said otherwise."""
NOON = START.replace(hour=12)
NATIVE = Native("meeting", "84512")
MEETING = Meeting("84512", "run-1")
ZOOM = ConnectionScope("acme", None, "zoom", "zoom_europe")
CALENDAR = ConnectionScope("acme", None, "google_calendar", "calendar")
HR = ConnectionScope("acme", None, "hr", "hr_feed")
ADA = Person(address="Ada@example.com")
BEN = Person(address="ben@example.com")
CAT = Person(address="cat@example.com")
STRANGER = Person(address="stranger@example.org")
_numbers = count()


def minute(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


def participant(name: str, **changes: Any) -> Participant:  # noqa: ANN401 (any field)
    fields = {
        "id": f"p-{name}",
        "tenant": "acme",
        "name": name,
        "addresses": (f"{name}@example.com",),
        "identities": (ToolIdentity(tool="slack", id=f"U{name.upper()}"),),
        "time_zone": "Europe/Berlin",
        "consent": True,
        "recordedtime": START,
    }
    return Participant.model_validate(fields | changes)


def event(kind: str, data: Mapping[str, object], **changes: object) -> OfRelationship:
    """`kind` such as `session.scheduled`."""
    tenant, subject = changes.get("tenant", "acme"), changes.get("subject", "rel-1")
    fields = {
        "specversion": "1.0",
        "source": "urn:test:hr",
        "id": f"e{next(_numbers)}",
        "type": f"mentoring.{kind}.v1",
        "time": START,
        "program": "leaders",
        "subject": subject,
        "tenant": tenant,
        "data": data,
    } | changes
    admitted = MENTORING_EVENT.validate_python(
        {"partitionkey": f"{tenant}/{subject}", "recordedtime": fields["time"], **fields}, strict=False
    )
    assert not isinstance(admitted, OfPartition)
    return admitted


def pair(mentor: str = "ada", mentee: str = "ben", **changes: object) -> OfRelationship:
    people = {"mentors": [f"p-{mentor}"], "mentees": [f"p-{mentee}"]}
    return event("relationship.started", people, **changes)


def known(*told: OfRelationship | Participant) -> Projection:
    """Ada mentors Ben in rel-1, and Cat is in the directory, unless told otherwise."""
    projection = Projection()
    for one in told or (pair(), participant("ada"), participant("ben"), participant("cat")):
        tell(projection, one)
    return projection


def tell(projection: Projection, *told: OfRelationship | Participant) -> None:
    for one in told:
        if isinstance(one, Participant):
            projection.upsert(one)
        else:
            projection.apply(one)


def say(
    projection: Projection, said: Activity, connection_scope: ConnectionScope = ZOOM
) -> list[OfRelationship] | Ignored | Rejected:
    """Do what the worker does: resolve, track and admit the activity, and apply its events at once."""
    resolved = resolve(said, connection_scope, projection)
    projection.track(said, connection_scope, resolved.events if isinstance(resolved, Resolved) else ())
    if not isinstance(resolved, Resolved):
        return resolved
    events = [admitted(raw, connection_scope.scope) for raw in resolved.events]
    for one in events:
        projection.apply(one)
    for person in resolved.participants:
        projection.upsert(person)
    if resolved.rejected:
        return resolved.rejected
    return events if resolved.events or resolved.participants else Ignored("unchanged")


def events(projection: Projection, said: Activity, connection_scope: ConnectionScope = ZOOM) -> list[OfRelationship]:
    found = say(projection, said, connection_scope)
    assert isinstance(found, list), found
    return found


def admitted(raw: RawEvent, scope: Scope) -> OfRelationship:
    verdict = admit(dict(raw), scope, Clock(datetime(2026, 12, 1, tzinfo=UTC), "log"))
    assert isinstance(verdict, Admitted), verdict
    assert not isinstance(verdict.event, OfPartition)
    return verdict.event


def kinds(found: list[OfRelationship]) -> list[str]:
    return [one.type.removeprefix("mentoring.").removesuffix(".v1") for one in found]


def joined(person: Person, at: float, meeting: Meeting = MEETING, key: str = "") -> Joined:
    return Joined(key or f"joined-{person.address}-{at}", minute(at), NATIVE, meeting, person)


def left(person: Person, at: float, meeting: Meeting = MEETING, key: str = "") -> Left:
    return Left(key or f"left-{person.address}-{at}", minute(at), NATIVE, meeting, person)


def ended(at: float, meeting: Meeting = MEETING) -> Ended:
    return Ended(f"ended-{at}", minute(at), NATIVE, meeting)


def booked(begin: float, end: float, *people: Person, **changes: Any) -> Booked:  # noqa: ANN401 (any field)
    fields: dict[str, Any] = {
        "key": f"booked-{begin}-{end}",
        "time": START,
        "native": NATIVE,
        "meeting": MEETING,
        "starts_at": minute(begin),
        "ends_at": minute(end),
        "people": people or (ADA, BEN),
    }
    return Booked(**(fields | changes))


def cancelled(at: float, *people: Person, meeting: Meeting = MEETING) -> Cancelled:
    return Cancelled(f"cancelled-{at}", minute(at), NATIVE, meeting, people)


def told(kind: str, data: Mapping[str, object], **changes: Any) -> GenericActivity:  # noqa: ANN401 (any field)
    fields: dict[str, Any] = {"key": "told-1", "time": NOON, "native": NATIVE, "type": f"mentoring.{kind}.v1"}
    return GenericActivity(**(fields | {"data": data} | changes))


def employed(person: str, status: str, **changes: Any) -> Employed:  # noqa: ANN401 (any field)
    fields: dict[str, Any] = {
        "key": f"hr-{person}-{status}",
        "time": NOON,
        "native": Native("employee", person),
        "participant": f"p-{person}",
        "name": person,
        "status": status,
        "addresses": (f"{person}@example.com",),
        "time_zone": "Europe/Berlin",
        "consent": True,
    }
    return Employed(**(fields | changes))
