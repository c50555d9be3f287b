"""Which of Zoom's events say something about mentoring, and what of each is kept."""

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import allow_list
from services.ingest.domain.tools.said import Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.reading import Foreign, Word, read
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.zoom import attendance, bookings
from services.ingest.sources.zoom.attendance import EndEvent, ParticipantEvent
from services.ingest.sources.zoom.booking import BookingEvent


class _Event(Foreign):
    event: Word


READ: dict[str, type[Foreign]] = {
    "meeting.created": BookingEvent,
    "meeting.updated": BookingEvent,
    "meeting.recovered": BookingEvent,
    "meeting.deleted": BookingEvent,
    "meeting.participant_joined": ParticipantEvent,
    "meeting.participant_left": ParticipantEvent,
    "meeting.ended": EndEvent,
}
"""With which model each event is read; of any other nothing but its name is kept."""


def keep(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    envelope = read(_Event, value)
    model = _Event if isinstance(envelope, Rejected) else READ.get(envelope.event, _Event)
    return allow_list(model).kept(value, pseudonym)


def translate(value: object, _settings: ToolSettings) -> Translation:
    envelope = read(_Event, value)
    return envelope if isinstance(envelope, Rejected) else _by_event(envelope.event, value)


def _by_event(event: str, value: object) -> Translation:
    match event:
        case "meeting.created":
            return bookings.created(value)
        case "meeting.updated" | "meeting.recovered":
            return bookings.updated(value)
        case "meeting.deleted":
            return bookings.deleted(value)
        case "meeting.participant_joined":
            return attendance.joined(value)
        case "meeting.participant_left":
            return attendance.left(value)
        case "meeting.ended":
            return attendance.ended(value)
        case _:
            # Also meeting.started: the host who started it joins too. Who waits before the door has not come yet.
            return Ignored("webinar" if event.startswith("webinar.") else "event_not_used")
