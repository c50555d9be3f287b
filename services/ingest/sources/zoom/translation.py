"""Which of Zoom's events say something about mentoring."""

from services.ingest.domain.tools.said import Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.reading import Foreign, Ident, read
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.zoom import attendance, bookings


class _Event(Foreign):
    event: Ident


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
