"""That somebody did not come, where a tool says so itself."""

from services.ingest.domain.meetings.booked_sessions import NOT_BOOKED, Result
from services.ingest.domain.meetings.slots import Slot, booked_slots, slots_of_people
from services.ingest.domain.people.company import STRANGERS, company, subject
from services.ingest.domain.people.relationship import Relationship
from services.ingest.domain.tools.derived import event_id
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.raw_event import Content, RawEvent, origin, raw_event
from services.ingest.domain.tools.said import Missed
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.verdict import Ignored, Rejected


def missed(said: Missed, speaker: Speaker, knowledge: Knowledge) -> Result:
    """A side is absent when nobody of it came."""
    absent = company(said.absent, speaker, knowledge.roster)
    if isinstance(absent, Rejected):
        return absent
    session = knowledge.bookings.session(speaker.tenant, speaker.source, said.meeting)
    slots = booked_slots(session, speaker, knowledge) or slots_of_people(said, session, speaker, knowledge)
    if isinstance(slots, Ignored | Rejected):
        return slots if said.people else NOT_BOOKED
    sides = ((slot, _absent(slot.relationship, absent)) for slot in slots)
    return tuple(_event(said, speaker, slot, side) for slot, side in sides if side) or STRANGERS


def _absent(relationship: Relationship, absent: frozenset[str]) -> str | None:
    no_mentor, no_mentee = relationship.mentors <= absent, relationship.mentees <= absent
    if no_mentor and no_mentee:
        return "both"
    return "mentor" if no_mentor else "mentee" if no_mentee else None


def _event(said: Missed, speaker: Speaker, slot: Slot, absent: str) -> RawEvent:
    data = {
        "by": "system",
        "evidence": said.evidence,
        "origin": origin(speaker, said.native),
        "session_id": slot.session,
        "absent": absent,
    }
    content = Content("mentoring.session.missed.v1", event_id(said.key, slot.relationship.id), said.time, data)
    return raw_event(subject(speaker, slot.relationship), content)
