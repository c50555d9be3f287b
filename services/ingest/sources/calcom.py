"""Cal.com bookings and no-shows. The end of a meeting does not show who came: Cal.com sends it by the clock.
`X-Cal-Signature-256` is the hexadecimal HMAC of the body. The signature covers no timestamp, so only event keys stop a
replay."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Generic, TypeVar

from pydantic import WrapValidator

from schemas.payloads import Evidence
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Meeting,
    Missed,
    MoveRequested,
    Native,
    Person,
    Translation,
    Voided,
)
from services.ingest.domain.verdict import Ignored
from services.ingest.sources.tool import Received, Tool, Unverified, Verification, verify_body
from services.ingest.sources.vendor_model import (
    NONE_IF_EMPTY,
    AnyMaybeTime,
    Ident,
    MaybeAddress,
    MaybeIdent,
    MaybeWord,
    VendorModel,
    Word,
    Zoned,
    blank_if_invalid,
    native_id_or_digest,
    none_if_invalid,
)
from services.ingest.sources.webhook_events import EventTranslator, WebhookEvents


class Seat(VendorModel):
    referenceUid: MaybeIdent = ""  # noqa: N815


class Attendee(VendorModel):
    email: MaybeAddress = ""
    noShow: bool | None = None  # noqa: N815 (Cal.com's name)
    bookingSeat: Annotated[Seat | None, WrapValidator(none_if_invalid)] = None  # noqa: N815


Attendees = tuple[Annotated[Attendee, blank_if_invalid(Attendee)], ...]


class Team(VendorModel):
    members: Attendees | None = None


class CalcomBooking(VendorModel):
    """`organizer` is one host; for a collective event the other hosts are the team's members. Attendees include guests.
    For a booking with seats, `attendees` are the holders of this booking's seats; others may hold more. Only a booking
    requires times."""

    uid: Ident
    startTime: AnyMaybeTime = None  # noqa: N815
    endTime: AnyMaybeTime = None  # noqa: N815
    status: MaybeWord = ""
    organizer: Attendee | None = None
    team: Annotated[Team | None, WrapValidator(none_if_invalid)] = None
    attendees: Attendees | None = None
    rescheduleUid: MaybeIdent = ""  # noqa: N815
    rescheduledToUid: MaybeIdent = ""  # noqa: N815
    rescheduled: Annotated[bool | None, NONE_IF_EMPTY] = None
    requestReschedule: Annotated[bool | None, NONE_IF_EMPTY] = None  # noqa: N815
    seatsPerTimeSlot: Annotated[int | None, NONE_IF_EMPTY] = None  # noqa: N815
    attendeeSeatId: MaybeIdent = ""  # noqa: N815

    @property
    def has_seats(self) -> bool:
        """The number of seats belongs to the event type and is not always sent; a seat id shows it as well."""
        return bool(self.seatsPerTimeSlot or self.attendeeSeatId) or any(
            one.bookingSeat for one in self.attendees or ()
        )

    @property
    def replaced(self) -> Meeting | None:
        return Meeting(self.rescheduleUid) if self.rescheduleUid not in {"", self.uid} else None

    @property
    def people(self) -> tuple[Person, ...]:
        """Each person once. A host or attendee (by phone) without an address, or missing altogether, counts as an
        unknown person (empty): a booking always has two sides."""
        hosts = (self.organizer or Attendee(), *((self.team and self.team.members) or ()))
        emails = [one.email.strip() for one in (*hosts, *(self.attendees or (Attendee(),)))]
        return (*persons(emails), *(Person() for email in emails if not email))


class BookedSlot(CalcomBooking):
    startTime: Zoned  # noqa: N815
    endTime: Zoned  # noqa: N815


class Unattended(VendorModel):
    """A no-show: marked by hand, or detected by Cal Video, which uses other members for booking and host."""

    bookingUid: Ident  # noqa: N815
    hostEmail: MaybeAddress = ""  # noqa: N815
    attendees: Attendees | None = None


Payload = TypeVar("Payload", bound=CalcomBooking | Unattended)


class CalcomEvent(VendorModel, Generic[Payload]):
    triggerEvent: Word  # noqa: N815
    createdAt: Zoned  # noqa: N815
    payload: Payload

    def heading(self, uid: str) -> tuple[str, datetime, Native]:
        """The leading fields of every activity: key, time and native id."""
        key = f"{self.triggerEvent}:{uid}:{self.createdAt.isoformat()}"
        return key, self.createdAt, Native(self.triggerEvent, native_id_or_digest(uid))


class FinishedBooking(VendorModel):
    """A finished booking, as stored in Cal.com's database."""

    uid: Ident
    endTime: Zoned  # noqa: N815
    status: MaybeWord = ""
    userPrimaryEmail: MaybeAddress = ""  # noqa: N815
    user: Attendee | None = None
    noShowHost: bool | None = None  # noqa: N815
    attendees: Attendees | None = None

    @property
    def absent(self) -> tuple[Person, ...]:
        host = (self.user.email if self.user else "") or self.userPrimaryEmail
        guests = (guest.email for guest in self.attendees or () if guest.noShow)
        return persons([*([host] if self.noShowHost else []), *guests])


class WrappedFinishedBooking(VendorModel):
    """Newer versions wrap it in a payload, as for all other events; `createdAt` of the flat form is the booking's."""

    payload: FinishedBooking


def persons(addresses: Iterable[str]) -> tuple[Person, ...]:
    """Deduplicate, in the order given."""
    return tuple(Person(address=address) for address in dict.fromkeys(each.strip() for each in addresses) if address)


HEADER = "x-cal-signature-256"


def verify(received: Received, secret: str, _now: datetime) -> Verification:
    signature = received.headers.get(HEADER, "")
    if not signature:
        return Unverified(f"{HEADER} is required")
    # A webhook without a secret sends the text `no-secret-provided` instead, which never matches.
    return verify_body(received, secret, "", [signature], f"{HEADER} does not fit the body")


def marked_no_show(event: CalcomEvent[Unattended]) -> Translation:
    """Marked by hand, and possibly unmarked again: the event names only attendees who changed."""
    named = [attendee for attendee in event.payload.attendees or () if attendee.email.strip()]
    absent = persons(attendee.email for attendee in named if attendee.noShow)
    present = persons(attendee.email for attendee in named if attendee.noShow is False)
    uid, (_, time, native) = event.payload.bookingUid, event.heading(event.payload.bookingUid)
    keys = [_absence_key(uid, person) for person in present]
    voided = [Voided(f"{key}:unmarked:{time.isoformat()}", time, native, target=key) for key in keys]
    return (*_missed(uid, time, native, absent, "self_reported"), *voided) or Ignored("nobody_named")


def detected_no_show(event: CalcomEvent[Unattended]) -> Translation:
    """Detected by Cal Video some minutes after the start. Older versions mark no attendee, which means that none of
    them came."""
    if event.triggerEvent == "AFTER_HOSTS_CAL_VIDEO_NO_SHOW":
        absent = persons([event.payload.hostEmail])
    else:
        guests = event.payload.attendees or ()
        # If an attendee has no address, the mark may be theirs.
        is_marked = any(each.noShow for each in guests) or not all(each.email.strip() for each in guests)
        absent = persons(guest.email for guest in guests if guest.noShow or not is_marked)
    _, time, native = event.heading(event.payload.bookingUid)
    return _missed(event.payload.bookingUid, time, native, absent, "observed") or Ignored("nobody_named")


def no_show_at_end(event: FinishedBooking | WrappedFinishedBooking) -> Translation:
    """Sent at the scheduled end."""
    booking = event if isinstance(event, FinishedBooking) else event.payload
    if booking.status.upper() in UNCONFIRMED_STATUSES:
        return Ignored("not_confirmed")
    native = Native("MEETING_ENDED", native_id_or_digest(booking.uid))
    return _missed(booking.uid, booking.endTime, native, booking.absent, "self_reported") or Ignored(
        "ended_by_the_clock"
    )


def _missed(
    uid: str, time: datetime, native: Native, absent: tuple[Person, ...], evidence: Evidence
) -> tuple[Activity, ...]:
    keys = {one: _absence_key(uid, one) for one in absent}
    return tuple(Missed(keys[one], time, native, Meeting(uid), (one,), evidence=evidence) for one in absent)


def _absence_key(uid: str, person: Person) -> str:
    """A digest instead of the address: keys may be shown."""
    return f"no_show:{uid}:{sha256(person.address.lower().encode()).hexdigest()}"


# Statuses of a booking that is not, or no longer, confirmed, whatever the trigger.
UNCONFIRMED_STATUSES = frozenset({"PENDING", "AWAITING_HOST", "CANCELLED", "CANCELED", "REJECTED"})
REASSIGNED = "BOOKING_REASSIGNED"
"""Another host took over the booking."""
# A booking that awaits its host's confirmation is ignored; once confirmed or paid for, Cal.com sends a create.
NOT_CONFIRMED = frozenset({"BOOKING_REJECTED", "BOOKING_PAYMENT_INITIATED", "BOOKING_PAID"})


def _booked(event: CalcomEvent[BookedSlot]) -> Translation:
    booking = event.payload
    if booking.status.upper() in UNCONFIRMED_STATUSES:
        return Ignored("not_confirmed")
    booked = Booked(
        *event.heading(booking.uid),
        meeting=Meeting(booking.uid),
        starts_at=booking.startTime,
        ends_at=booking.endTime,
        people=booking.people,
        replaces=booking.replaced,
        is_partial=booking.has_seats,
        new=persons([booking.organizer.email]) if booking.organizer and event.triggerEvent == REASSIGNED else (),
    )
    return (booked,)


def _requested(event: CalcomEvent[CalcomBooking]) -> Translation:
    """Cal.com drops the previous booking with the request, and the later confirmation does not name it."""
    booking = event.payload
    if booking.replaced is None:
        return Ignored("not_confirmed")
    return (MoveRequested(*event.heading(booking.uid), Meeting(booking.uid), booking.replaced),)


def _cancelled(event: CalcomEvent[CalcomBooking]) -> Translation:
    """With `requestReschedule` the host asks for another date: the new booking will replace this one."""
    booking = event.payload
    if booking.rescheduled or booking.requestReschedule or booking.rescheduledToUid:
        return Ignored("rescheduled")
    if booking.startTime and booking.startTime <= event.createdAt:
        return Ignored("already_over")
    meeting, people, seats = Meeting(booking.uid), booking.people, booking.has_seats
    return (Cancelled(*event.heading(booking.uid), meeting, people, booking.startTime, seats),)


EVENTS = WebhookEvents(
    "triggerEvent",
    {
        **dict.fromkeys(
            ("BOOKING_CREATED", "BOOKING_RESCHEDULED", REASSIGNED), EventTranslator(CalcomEvent[BookedSlot], _booked)
        ),
        "BOOKING_REQUESTED": EventTranslator(CalcomEvent[CalcomBooking], _requested),
        "BOOKING_CANCELLED": EventTranslator(CalcomEvent[CalcomBooking], _cancelled),
        "BOOKING_NO_SHOW_UPDATED": EventTranslator(CalcomEvent[Unattended], marked_no_show),
        "AFTER_HOSTS_CAL_VIDEO_NO_SHOW": EventTranslator(CalcomEvent[Unattended], detected_no_show),
        "AFTER_GUESTS_CAL_VIDEO_NO_SHOW": EventTranslator(CalcomEvent[Unattended], detected_no_show),
        "MEETING_ENDED": EventTranslator[FinishedBooking | WrappedFinishedBooking](
            WrappedFinishedBooking, no_show_at_end, flat=FinishedBooking
        ),
    },
    lambda name: Ignored("not_confirmed" if name in NOT_CONFIRMED else "ping" if name == "PING" else "event_not_used"),
)
TOOL = Tool(name="calcom", verify=verify, translate=EVENTS.translate, redact=EVENTS.redact)
