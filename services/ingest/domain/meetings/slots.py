"""Which relationships a meeting of a tool is booked for, and for when."""

from typing import NamedTuple

from services.ingest.domain.meetings.bookings import Booking
from services.ingest.domain.people.company import company, pairs
from services.ingest.domain.people.relationship import Relationship
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.said import Booked, Cancelled, Missed
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.verdict import Ignored, Rejected


class Slot(NamedTuple):
    """A session of one relationship. `known` None: as far as the log tells it is not booked."""

    relationship: Relationship
    session: str
    known: Booking | None


def booked_slots(session: str, speaker: Speaker, knowledge: Knowledge) -> list[Slot]:
    found = []
    for one in sorted(knowledge.bookings.whose(speaker.tenant, session)):
        relationship = knowledge.roster.relationship(speaker.tenant, one)
        if relationship and speaker.program in {None, relationship.program}:
            found.append(_slot(relationship, session, knowledge))
    return found


def slots_of_people(
    said: Booked | Cancelled | Missed, session: str, speaker: Speaker, knowledge: Knowledge
) -> list[Slot] | Ignored | Rejected:
    """Of the pairs among the people that the tool names."""
    present = company(said.people, speaker, knowledge.roster)
    found = present if isinstance(present, Rejected) else pairs(present, speaker, knowledge.roster, said.time)
    return found if isinstance(found, Ignored | Rejected) else [_slot(one, session, knowledge) for one in found]


def _slot(relationship: Relationship, session: str, knowledge: Knowledge) -> Slot:
    return Slot(relationship, session, knowledge.bookings.booking(relationship.tenant, relationship.id, session))
