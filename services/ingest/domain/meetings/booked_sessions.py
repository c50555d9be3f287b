"""Meetings in calendars become sessions that are scheduled, rescheduled and cancelled."""

from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.meetings.bookings import matter_of
from services.ingest.domain.meetings.slots import Slot, booked_slots, slots_of_people
from services.ingest.domain.people.company import subject
from services.ingest.domain.tools.derived import event_id
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.raw_event import Content, RawEvent, origin, raw_event
from services.ingest.domain.tools.said import Booked, Cancelled, Moved
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.verdict import Ignored, Rejected, rejected

LONGEST_NOTICE_HOURS = 10_000.0
"""More than a year; the schema admits no more."""
HOUR = timedelta(hours=1)
UNCHANGED = Ignored("unchanged")
NOT_BOOKED = Ignored("not_booked")
# Calendars are tidied up afterwards: what is over cannot be called off any more.
OVER = Ignored("over")

Result = tuple[RawEvent, ...] | Ignored | Rejected


class _Times(NamedTuple):
    starts_at: datetime
    ends_at: datetime


def booked(said: Booked, speaker: Speaker, knowledge: Knowledge) -> Result:
    """A meeting that was moved keeps its session, also where the tool gives it another id. Whoever takes part no more
    has it cancelled."""
    bookings, times = knowledge.bookings, _Times(said.starts_at, said.ends_at)
    session = bookings.session(speaker.tenant, speaker.source, said.replaces or said.meeting)
    slots = slots_of_people(said, session, speaker, knowledge)
    if isinstance(slots, Rejected):
        return slots
    stay = () if isinstance(slots, Ignored) else slots
    # Else what is said next of the meeting, under its new id, would be of another session.
    follows = bookings.session(speaker.tenant, speaker.source, said.meeting) != session
    events = [_booking(said, speaker, slot, times) for slot in stay if follows or not _is_booked(slot, times)]
    staying = {slot.relationship.id for slot in stay}
    others = () if said.is_partial else booked_slots(session, speaker, knowledge)
    left = [slot for slot in others if slot.relationship.id not in staying]
    events += [_cancellation(said, speaker, slot) for slot in left if _lies_ahead(slot, said.time)]
    return tuple(events) or (slots if isinstance(slots, Ignored) else UNCHANGED)


def moved(said: Moved, speaker: Speaker, knowledge: Knowledge) -> Result:
    session = knowledge.bookings.session(speaker.tenant, speaker.source, said.meeting)
    slots = booked_slots(session, speaker, knowledge)
    if not slots:
        return NOT_BOOKED
    try:
        wanted = [(slot, _moved_times(said, slot)) for slot in slots]
    except OverflowError:
        return rejected("invalid", "starts_at", "ends beyond the end of time")
    events = (_booking(said, speaker, slot, times) for slot, times in wanted if not _is_booked(slot, times))
    return tuple(events) or UNCHANGED


def cancelled(said: Cancelled, speaker: Speaker, knowledge: Knowledge) -> Result:
    """Of those for whom it was booked; where that is not known, of the pairs among the people that the tool names."""
    session = knowledge.bookings.session(speaker.tenant, speaker.source, said.meeting)
    of_all = () if said.is_partial else booked_slots(session, speaker, knowledge)
    slots = of_all or slots_of_people(said, session, speaker, knowledge)
    if isinstance(slots, Ignored | Rejected):
        return slots if said.people else NOT_BOOKED
    ahead = [slot for slot in slots if not (slot.known and slot.known.ends_at <= said.time)]
    events = (_cancellation(said, speaker, slot) for slot in ahead if not (slot.known and slot.known.cancelled))
    return tuple(events) or (UNCHANGED if ahead else OVER)


def _is_booked(slot: Slot, times: _Times) -> bool:
    known = slot.known
    return bool(known and not known.cancelled and (known.starts_at, known.ends_at) == times)


def _lies_ahead(slot: Slot, moment: datetime) -> bool:
    return bool(slot.known and not slot.known.cancelled and slot.known.ends_at > moment)


def _moved_times(said: Moved, slot: Slot) -> _Times:
    assert slot.known is not None, "what is booked is known"
    starts_at = said.starts_at or slot.known.starts_at
    return _Times(starts_at, starts_at + (said.lasts or slot.known.ends_at - slot.known.starts_at))


def _booking(said: Booked | Moved, speaker: Speaker, slot: Slot, times: _Times) -> RawEvent:
    replaces = isinstance(said, Booked) and said.replaces is not None
    verb = "rescheduled" if replaces or (slot.known and not slot.known.cancelled) else "scheduled"
    data = _data(said, speaker, slot) | {name: to_rfc3339(time) for name, time in times._asdict().items()}
    return raw_event(
        subject(speaker, slot.relationship),
        Content(
            f"mentoring.session.{verb}.v1",
            event_id(said.key, slot.relationship.id),
            said.time,
            data,
            matter_of(speaker.source, said.meeting),
        ),
    )


def _cancellation(said: Booked | Cancelled, speaker: Speaker, slot: Slot) -> RawEvent:
    told = said.starts_at if isinstance(said, Cancelled) else None
    starts_at = told or (slot.known.starts_at if slot.known else None)
    data = _data(said, speaker, slot) | {"notice_hours": None if starts_at is None else _hours(starts_at - said.time)}
    content = Content("mentoring.session.cancelled.v1", event_id(said.key, slot.relationship.id), said.time, data)
    return raw_event(subject(speaker, slot.relationship), content)


def _data(said: Booked | Moved | Cancelled, speaker: Speaker, slot: Slot) -> dict[str, object]:
    native = origin(speaker, said.native)
    return {"by": "system", "evidence": "calendar", "origin": native, "session_id": slot.session}


def _hours(notice: timedelta) -> float:
    return min(max(0.0, notice / HOUR), LONGEST_NOTICE_HOURS)
