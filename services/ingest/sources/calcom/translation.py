"""Bookings of Cal.com, each under the uid of its time: a reschedule names the uid that it replaces."""

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import allow_list
from services.ingest.domain.tools.said import Booked, Cancelled, Native, Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.calcom import absence
from services.ingest.sources.calcom.booking import BookingEvent, NoShowEvent, Past, WrappedPast, meeting_of
from services.ingest.sources.native import native_id
from services.ingest.sources.reading import Foreign, Word, read
from services.ingest.sources.tool import ToolSettings

# A booking that its host has yet to confirm is none; once confirmed (or paid for) it is created.
NOT_CONFIRMED = frozenset({"BOOKING_REQUESTED", "BOOKING_REJECTED", "BOOKING_PAYMENT_INITIATED", "BOOKING_PAID"})


class _Trigger(Foreign):
    triggerEvent: Word  # noqa: N815 (Cal.com's name)


READ: dict[str, tuple[type[Foreign], ...]] = {
    **dict.fromkeys(
        ("BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_REASSIGNED", "BOOKING_CANCELLED"), (BookingEvent,)
    ),
    "BOOKING_NO_SHOW_UPDATED": (NoShowEvent,),
    "AFTER_HOSTS_CAL_VIDEO_NO_SHOW": (NoShowEvent,),
    "AFTER_GUESTS_CAL_VIDEO_NO_SHOW": (NoShowEvent,),
    "MEETING_ENDED": (_Trigger, Past, WrappedPast),
}
"""With which models each event is read; of any other nothing but its name is kept."""


def keep(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    trigger = read(_Trigger, value)
    models = (_Trigger,) if isinstance(trigger, Rejected) else READ.get(trigger.triggerEvent, (_Trigger,))
    return allow_list(*models).kept(value, pseudonym)


def translate(value: object, _settings: ToolSettings) -> Translation:
    trigger = read(_Trigger, value)
    return trigger if isinstance(trigger, Rejected) else _by_trigger(trigger.triggerEvent, value)


def _by_trigger(trigger: str, value: object) -> Translation:
    match trigger:
        case "BOOKING_CREATED" | "BOOKING_RESCHEDULED" | "BOOKING_REASSIGNED":
            return _booked(value)
        case "BOOKING_CANCELLED":
            return _cancelled(value)
        case "BOOKING_NO_SHOW_UPDATED":
            return absence.marked(value)
        case "AFTER_HOSTS_CAL_VIDEO_NO_SHOW" | "AFTER_GUESTS_CAL_VIDEO_NO_SHOW":
            return absence.detected(value)
        case "MEETING_ENDED":
            return absence.in_retrospect(value)
        case _ if trigger in NOT_CONFIRMED:
            return Ignored("not_confirmed")
        case _:
            return Ignored("ping" if trigger == "PING" else "event_not_used")


def _booked(value: object) -> Translation:
    told = read(BookingEvent, value)
    if isinstance(told, Rejected):
        return told
    booking = told.payload
    if booking.status.upper() == "PENDING":
        return Ignored("not_confirmed")
    booked = Booked(
        key=_key(told),
        time=told.createdAt,
        native=_native(told),
        meeting=meeting_of(booking.uid),
        starts_at=booking.startTime,
        ends_at=booking.endTime,
        people=booking.people,
        replaces=meeting_of(booking.rescheduleUid) if booking.rescheduleUid not in {"", booking.uid} else None,
        is_partial=bool(booking.seatsPerTimeSlot),
    )
    return (booked,)


def _cancelled(value: object) -> Translation:
    """With `requestReschedule` the host asks for another date: the booking that comes of it replaces this one."""
    told = read(BookingEvent, value)
    if isinstance(told, Rejected):
        return told
    booking = told.payload
    if booking.rescheduled or booking.requestReschedule:
        return Ignored("rescheduled")
    if booking.startTime <= told.createdAt:
        return Ignored("already_over")
    meeting = meeting_of(booking.uid)
    seats = bool(booking.seatsPerTimeSlot)
    return (Cancelled(_key(told), told.createdAt, _native(told), meeting, booking.people, booking.startTime, seats),)


def _key(told: BookingEvent) -> str:
    return f"{told.triggerEvent}:{told.payload.uid}:{told.createdAt.isoformat()}"


def _native(told: BookingEvent) -> Native:
    return Native(told.triggerEvent, native_id(told.payload.uid))
