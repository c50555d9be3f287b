"""A reschedule arrives as a cancel and a create, in either order: the create says it all, and nothing was cancelled."""

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Booked, Cancelled, Missed, Native, Translation, Voided
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import allow_list
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.calendly.model import InviteeEvent, meeting_at
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import VendorModel, Word, native_id, read

USED = frozenset({"invitee.created", "invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted"})


class _CalendlyEvent(VendorModel):
    event: Word


def keep(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """Of an event that is not used nothing but its name."""
    envelope = read(_CalendlyEvent, value)
    is_used = isinstance(envelope, _CalendlyEvent) and envelope.event in USED
    return allow_list(InviteeEvent if is_used else _CalendlyEvent).kept(value, pseudonym)


def translate(value: object, _settings: ToolSettings) -> Translation:
    envelope = read(_CalendlyEvent, value)
    if isinstance(envelope, Rejected):
        return envelope
    if envelope.event not in USED:
        return Ignored("event_not_used")
    told = read(InviteeEvent, value)
    return told if isinstance(told, Rejected) else _by_event(told)


def _by_event(told: InviteeEvent) -> Translation:
    match told.event:
        case "invitee.created":
            return _created(told)
        case "invitee.canceled":
            return _cancelled(told)
        case "invitee_no_show.created":
            return _missed(told)
        case _:
            key = f"{told.event}:{told.payload.uri}:{to_rfc3339(told.created_at)}"
            return (Voided(key, told.created_at, _native(told), target=_no_show_key(told)),)


def _created(told: InviteeEvent) -> Translation:
    invitee, event = told.payload, told.payload.scheduled_event
    if event is None:
        return rejected("invalid", "payload.scheduled_event", "is required")
    booked = Booked(
        key=_key(told),
        time=invitee.created_at or told.created_at,
        native=_native(told),
        meeting=invitee.meeting,
        starts_at=event.start_time,
        ends_at=event.end_time,
        people=invitee.people,
        replaces=meeting_at(invitee.old_invitee) if invitee.old_invitee else None,
    )
    return (booked,)


def _cancelled(told: InviteeEvent) -> Translation:
    invitee = told.payload
    starts_at = invitee.scheduled_event.start_time if invitee.scheduled_event else None
    time = (invitee.cancellation and invitee.cancellation.created_at) or told.created_at
    if invitee.rescheduled:
        return Ignored("rescheduled")
    if starts_at and starts_at <= time:
        return Ignored("already_over")
    return (Cancelled(_key(told), time, _native(told), invitee.meeting, invitee.people, starts_at),)


def _missed(told: InviteeEvent) -> Translation:
    invitee = told.payload
    time = (invitee.no_show and invitee.no_show.created_at) or told.created_at
    missed = Missed(
        key=_no_show_key(told),
        time=time,
        native=_native(told),
        meeting=invitee.meeting,
        absent=(invitee.person,),
        people=invitee.people,
    )
    return (missed,)


def _key(told: InviteeEvent) -> str:
    return f"{told.event}:{told.payload.uri}"


def _no_show_key(told: InviteeEvent) -> str:
    return f"invitee_no_show:{told.payload.uri}"


def _native(told: InviteeEvent) -> Native:
    meeting = told.payload.meeting
    return Native(told.event, native_id(f"{meeting.id}/{meeting.instance}"))
