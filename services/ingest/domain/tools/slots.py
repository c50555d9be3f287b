"""Slots: the sessions of relationships that a tool's meeting is, or would be, booked for."""

from datetime import datetime
from typing import NamedTuple

from services.ingest.domain.activity import Cancelled, Missed
from services.ingest.domain.meetings.bookings import Booking
from services.ingest.domain.people.relationship_history import Relationship
from services.ingest.domain.people.roster import identify_participants, pairs
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected


class Slot(NamedTuple):
    """A session of one relationship. `booking` is None if the log has none."""

    relationship: Relationship
    session: str
    booking: Booking | None


def booked_slots(session: str, scope: ConnectionScope, projection: Projection) -> list[Slot]:
    relationships = sorted(projection.bookings.relationships_of(scope.tenant, session))
    found = (projection.roster.relationship(scope.tenant, one) for one in relationships)
    return [_slot(one, session, projection) for one in found if one and scope.program in {None, one.program}]


def slots_of_people(
    activity: Cancelled | Missed, session: str, scope: ConnectionScope, projection: Projection
) -> list[Slot] | Ignored | Rejected:
    """Return the slots of the pairs among the people that the tool names."""
    present = identify_participants(activity.people, scope, projection.roster)
    if isinstance(present, Rejected):
        return present
    return slots_of(present, activity.time, session, scope, projection)


def slots_of(
    present: frozenset[str], at: datetime, session: str, scope: ConnectionScope, projection: Projection
) -> list[Slot] | Ignored | Rejected:
    found = pairs(present, scope, projection.roster, at)
    return found if isinstance(found, Ignored | Rejected) else [_slot(one, session, projection) for one in found]


def _slot(relationship: Relationship, session: str, projection: Projection) -> Slot:
    return Slot(relationship, session, projection.bookings.booking(relationship.tenant, relationship.id, session))
