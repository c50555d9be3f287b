"""What Cal.com sends of a booking."""

from collections.abc import Iterable

from services.ingest.domain.activity import Meeting, Person
from services.ingest.sources.vendor_model import Ident, MaybeAddress, MaybeIdent, MaybeWord, VendorModel, Word, Zoned


class Attendee(VendorModel):
    email: MaybeAddress = ""
    noShow: bool | None = None  # noqa: N815 (Cal.com's name)


class Team(VendorModel):
    members: tuple[Attendee, ...] | None = None


class CalcomBooking(VendorModel):
    """`organizer` is one host; of a collective event the others are the team's members. Guests are attendees too. Where
    seats are booked, attendees are those whose seat it is, and others may have theirs."""

    uid: Ident
    startTime: Zoned  # noqa: N815
    endTime: Zoned  # noqa: N815
    status: MaybeWord = ""
    organizer: Attendee | None = None
    team: Team | None = None
    attendees: tuple[Attendee, ...] | None = None
    rescheduleUid: MaybeIdent = ""  # noqa: N815
    rescheduled: bool | None = None
    requestReschedule: bool | None = None  # noqa: N815
    seatsPerTimeSlot: int | None = None  # noqa: N815

    @property
    def people(self) -> tuple[Person, ...]:
        hosts = (self.organizer, *((self.team and self.team.members) or ()))
        return persons(host.email for host in (*hosts, *(self.attendees or ())) if host)


class CalcomBookingEvent(VendorModel):
    triggerEvent: Word  # noqa: N815
    createdAt: Zoned  # noqa: N815
    payload: CalcomBooking


class Unattended(VendorModel):
    """Who did not come: marked by hand, or seen by Cal Video, which names the booking and the host otherwise."""

    bookingUid: Ident  # noqa: N815
    hostEmail: MaybeAddress = ""  # noqa: N815
    attendees: tuple[Attendee, ...] | None = None


class NoShowEvent(VendorModel):
    triggerEvent: Word  # noqa: N815
    createdAt: Zoned  # noqa: N815
    payload: Unattended


class CalcomPast(VendorModel):
    """A booking whose time is over, as the database has it."""

    uid: Ident
    endTime: Zoned  # noqa: N815
    userPrimaryEmail: MaybeAddress = ""  # noqa: N815
    user: Attendee | None = None
    noShowHost: bool | None = None  # noqa: N815
    attendees: tuple[Attendee, ...] | None = None

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


def meeting_of(uid: str) -> Meeting:
    return Meeting(uid)
