"""Meetings in Zoom's calendar: booked, moved and deleted."""

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.said import Booked, Cancelled, Meeting, Moved, Native, Said, Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.native import native_id
from services.ingest.sources.reading import read
from services.ingest.sources.zoom.booking import NO_FIXED_TIME, BookingEvent, Date


def created(value: object) -> Translation:
    told = read(BookingEvent, value)
    if isinstance(told, Rejected):
        return told
    if told.payload.object.type in NO_FIXED_TIME:
        return Ignored("no_fixed_time")
    return _whole([_booked(told, date) for date in told.payload.object.dates], "no_fixed_time")


def updated(value: object) -> Translation:
    """Zoom names what has changed and what it was before; of a meeting taken back out of the trash it names all but
    those who were invited, who are seldom named anyway."""
    told = read(BookingEvent, value)
    if isinstance(told, Rejected):
        return told
    meeting = told.payload.object
    if meeting.type in NO_FIXED_TIME:
        return Ignored("no_fixed_time")
    changed = [_changed(told, date) for date in meeting.dates]
    dropped = [_cancelled(told, date) for date in (*meeting.dropped, *_no_longer_there(told))]
    return _whole([*changed, *dropped], "nothing_used_has_changed")


def deleted(value: object) -> Translation:
    told = read(BookingEvent, value)
    if isinstance(told, Rejected):
        return told
    meeting = told.payload.object
    dates = (*meeting.dates, *meeting.dropped)
    return _whole([_cancelled(told, date) for date in dates], "already_over")


def _whole(said: list[Said | None], otherwise: str) -> Translation:
    return tuple(each for each in said if each) or Ignored(otherwise)


def _booked(told: BookingEvent, date: Date) -> Booked | None:
    if not date.starts_at or not date.lasts:
        return None
    return Booked(
        key=_key(told, date.meeting),
        time=told.event_ts,
        native=_native(told),
        meeting=date.meeting,
        starts_at=date.starts_at,
        ends_at=date.starts_at + date.lasts,
        people=told.payload.people,
    )


def _changed(told: BookingEvent, date: Date) -> Booked | Moved | None:
    if told.payload.object.invitees and date.starts_at and date.lasts:
        return _booked(told, date)
    if not date.starts_at and not date.lasts:
        return None
    return Moved(_key(told, date.meeting), told.event_ts, _native(told), date.meeting, date.starts_at, date.lasts)


def _no_longer_there(told: BookingEvent) -> tuple[Date, ...]:
    """Dates that a new rhythm has replaced. Only where Zoom says that all were updated is the list of them complete."""
    payload = told.payload
    if payload.scope != "all" or not payload.object.occurrences or not payload.old_object:
        return ()
    kept = {occurrence.occurrence_id for occurrence in payload.object.occurrences}
    former = payload.old_object.occurrences or ()
    return tuple(
        Date(Meeting(payload.object.id, each.occurrence_id), each.start_time, None)
        for each in former
        if each.occurrence_id not in kept
    )


def _cancelled(told: BookingEvent, date: Date) -> Cancelled | None:
    # People tidy up: a meeting that has begun is no longer called off when it is deleted.
    if date.starts_at and date.starts_at <= told.event_ts:
        return None
    key = _key(told, date.meeting)
    return Cancelled(key, told.event_ts, _native(told), date.meeting, starts_at=date.starts_at)


def _key(told: BookingEvent, meeting: Meeting) -> str:
    return f"{told.event}:{meeting.id}:{meeting.instance}:{to_rfc3339(told.event_ts)}"


def _native(told: BookingEvent) -> Native:
    return Native(told.event, native_id(told.payload.object.id))
