"""Bookings of Cal.com as sessions, and who did not come. That a meeting's time is over says nothing of who came:
Cal.com tells it by the clock. `X-Cal-Signature-256` is the hexadecimal HMAC of the body. No time is signed: only the
keys stop a replay."""

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
    blank_if_unread,
    native_id,
    none_if_unread,
)
from services.ingest.sources.webhook_events import EventReading, WebhookEvents


class Seat(VendorModel):
    referenceUid: MaybeIdent = ""  # noqa: N815


class Attendee(VendorModel):
    email: MaybeAddress = ""
    noShow: bool | None = None  # noqa: N815 (Cal.com's name)
    bookingSeat: Annotated[Seat | None, WrapValidator(none_if_unread)] = None  # noqa: N815


Attendees = tuple[Annotated[Attendee, blank_if_unread(Attendee)], ...]


class Team(VendorModel):
    members: Attendees | None = None


class CalcomBooking(VendorModel):
    """`organizer` is one host; of a collective event the others are the team's members. Guests are attendees too. Where
    seats are booked, attendees are those whose seat it is, and others may have theirs. Only who books must say when."""

    uid: Ident
    startTime: AnyMaybeTime = None  # noqa: N815
    endTime: AnyMaybeTime = None  # noqa: N815
    status: MaybeWord = ""
    organizer: Attendee | None = None
    team: Team | None = None
    attendees: Attendees | None = None
    rescheduleUid: MaybeIdent = ""  # noqa: N815
    rescheduledToUid: MaybeIdent = ""  # noqa: N815
    rescheduled: Annotated[bool | None, NONE_IF_EMPTY] = None
    requestReschedule: Annotated[bool | None, NONE_IF_EMPTY] = None  # noqa: N815
    seatsPerTimeSlot: Annotated[int | None, NONE_IF_EMPTY] = None  # noqa: N815
    attendeeSeatId: MaybeIdent = ""  # noqa: N815

    @property
    def has_seats(self) -> bool:
        """The number of seats is of the kind of event, and not always told; whose seat it is says so, too."""
        return bool(self.seatsPerTimeSlot or self.attendeeSeatId) or any(
            one.bookingSeat for one in self.attendees or ()
        )

    @property
    def replaced(self) -> Meeting | None:
        return Meeting(self.rescheduleUid) if self.rescheduleUid not in {"", self.uid} else None

    @property
    def people(self) -> tuple[Person, ...]:
        """Each once. A host or an attendee (by phone) whose address is not told, or of whom nothing is, is somebody all
        the same (empty): nobody books with nobody."""
        hosts = (self.organizer or Attendee(), *((self.team and self.team.members) or ()))
        emails = [one.email.strip() for one in (*hosts, *(self.attendees or (Attendee(),)))]
        return (*persons(emails), *(Person() for email in emails if not email))


class BookedSlot(CalcomBooking):
    startTime: Zoned  # noqa: N815
    endTime: Zoned  # noqa: N815


class Unattended(VendorModel):
    """Who did not come: marked by hand, or seen by Cal Video, which names the booking and the host otherwise."""

    bookingUid: Ident  # noqa: N815
    hostEmail: MaybeAddress = ""  # noqa: N815
    attendees: Attendees | None = None


Payload = TypeVar("Payload", bound=CalcomBooking | Unattended)


class CalcomEvent(VendorModel, Generic[Payload]):
    triggerEvent: Word  # noqa: N815
    createdAt: Zoned  # noqa: N815
    payload: Payload

    def keyed(self, uid: str) -> tuple[str, datetime, Native]:
        """What every statement begins with."""
        key = f"{self.triggerEvent}:{uid}:{self.createdAt.isoformat()}"
        return key, self.createdAt, Native(self.triggerEvent, native_id(uid))


class CalcomPast(VendorModel):
    """A booking whose time is over, as the database has it."""

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


class WrappedPast(VendorModel):
    """Newer versions put it into a payload, like everything else; `createdAt` in the flat one is the booking's."""

    payload: CalcomPast


def persons(addresses: Iterable[str]) -> tuple[Person, ...]:
    """Each once, in the order given."""
    return tuple(Person(address=address) for address in dict.fromkeys(each.strip() for each in addresses) if address)


HEADER = "x-cal-signature-256"


def verify(received: Received, secret: str, _now: datetime) -> Verification:
    signature = received.headers.get(HEADER, "")
    if not signature:
        return Unverified(f"{HEADER} is required")
    # A webhook without a secret sends the words `no-secret-provided` instead, which fit no body either.
    return verify_body(received, secret, "", [signature], f"{HEADER} does not fit the body")


def marked(told: CalcomEvent[Unattended]) -> Translation:
    """By hand, and perhaps unmarked again: only those who changed are named."""
    known = [attendee for attendee in told.payload.attendees or () if attendee.email.strip()]
    absent = persons(attendee.email for attendee in known if attendee.noShow)
    present = persons(attendee.email for attendee in known if attendee.noShow is False)
    uid, (_, time, native) = told.payload.bookingUid, told.keyed(told.payload.bookingUid)
    keys = [_absence_key(uid, person) for person in present]
    voided = [Voided(f"{key}:unmarked:{time.isoformat()}", time, native, target=key) for key in keys]
    return (*_missed(uid, time, native, absent, "self_reported"), *voided) or Ignored("nobody_named")


def detected(told: CalcomEvent[Unattended]) -> Translation:
    """By Cal Video, so many minutes after the start. Older versions mark no attendee: then none of them has come."""
    if told.triggerEvent == "AFTER_HOSTS_CAL_VIDEO_NO_SHOW":
        absent = persons([told.payload.hostEmail])
    else:
        guests = told.payload.attendees or ()
        # Where somebody is not named, it may be they who are marked.
        is_known = any(each.noShow for each in guests) or not all(each.email.strip() for each in guests)
        absent = persons(guest.email for guest in guests if guest.noShow or not is_known)
    _, time, native = told.keyed(told.payload.bookingUid)
    return _missed(told.payload.bookingUid, time, native, absent, "observed") or Ignored("nobody_named")


def in_retrospect(told: CalcomPast | WrappedPast) -> Translation:
    """At the scheduled end."""
    past = told if isinstance(told, CalcomPast) else told.payload
    if past.status.upper() in NO_BOOKING:
        return Ignored("not_confirmed")
    native = Native("MEETING_ENDED", native_id(past.uid))
    return _missed(past.uid, past.endTime, native, past.absent, "self_reported") or Ignored("ended_by_the_clock")


def _missed(
    uid: str, time: datetime, native: Native, absent: tuple[Person, ...], evidence: Evidence
) -> tuple[Activity, ...]:
    keys = {one: _absence_key(uid, one) for one in absent}
    return tuple(Missed(keys[one], time, native, Meeting(uid), (one,), evidence=evidence) for one in absent)


def _absence_key(uid: str, person: Person) -> str:
    """Without the address: keys may be shown."""
    return f"no_show:{uid}:{sha256(person.address.lower().encode()).hexdigest()}"


# Of a booking that is none, or none any more, whatever the trigger says.
NO_BOOKING = frozenset({"PENDING", "AWAITING_HOST", "CANCELLED", "CANCELED", "REJECTED"})
REASSIGNED = "BOOKING_REASSIGNED"
"""Another host has taken it over."""
# A booking that its host has yet to confirm is none; once confirmed (or paid for) it is created.
NOT_CONFIRMED = frozenset({"BOOKING_REJECTED", "BOOKING_PAYMENT_INITIATED", "BOOKING_PAID"})


def _booked(told: CalcomEvent[BookedSlot]) -> Translation:
    booking = told.payload
    if booking.status.upper() in NO_BOOKING:
        return Ignored("not_confirmed")
    booked = Booked(
        *told.keyed(booking.uid),
        meeting=Meeting(booking.uid),
        starts_at=booking.startTime,
        ends_at=booking.endTime,
        people=booking.people,
        replaces=booking.replaced,
        is_partial=booking.has_seats,
        new=persons([booking.organizer.email]) if booking.organizer and told.triggerEvent == REASSIGNED else (),
    )
    return (booked,)


def _requested(told: CalcomEvent[CalcomBooking]) -> Translation:
    """Cal.com gives up the former booking with the request, and its confirmation does not name it any more."""
    booking = told.payload
    if booking.replaced is None:
        return Ignored("not_confirmed")
    return (MoveRequested(*told.keyed(booking.uid), Meeting(booking.uid), booking.replaced),)


def _cancelled(told: CalcomEvent[CalcomBooking]) -> Translation:
    """With `requestReschedule` the host asks for another date: the booking that comes of it replaces this one."""
    booking = told.payload
    if booking.rescheduled or booking.requestReschedule or booking.rescheduledToUid:
        return Ignored("rescheduled")
    if booking.startTime and booking.startTime <= told.createdAt:
        return Ignored("already_over")
    meeting, people, seats = Meeting(booking.uid), booking.people, booking.has_seats
    return (Cancelled(*told.keyed(booking.uid), meeting, people, booking.startTime, seats),)


EVENTS = WebhookEvents(
    "triggerEvent",
    {
        **dict.fromkeys(
            ("BOOKING_CREATED", "BOOKING_RESCHEDULED", REASSIGNED), EventReading(CalcomEvent[BookedSlot], _booked)
        ),
        "BOOKING_REQUESTED": EventReading(CalcomEvent[CalcomBooking], _requested),
        "BOOKING_CANCELLED": EventReading(CalcomEvent[CalcomBooking], _cancelled),
        "BOOKING_NO_SHOW_UPDATED": EventReading(CalcomEvent[Unattended], marked),
        "AFTER_HOSTS_CAL_VIDEO_NO_SHOW": EventReading(CalcomEvent[Unattended], detected),
        "AFTER_GUESTS_CAL_VIDEO_NO_SHOW": EventReading(CalcomEvent[Unattended], detected),
        "MEETING_ENDED": EventReading[CalcomPast | WrappedPast](WrappedPast, in_retrospect, flat=CalcomPast),
    },
    lambda name: Ignored("not_confirmed" if name in NOT_CONFIRMED else "ping" if name == "PING" else "event_not_used"),
)
TOOL = Tool(name="calcom", verify=verify, translate=EVENTS.translate, keep=EVENTS.keep)
