"""What Calendly sends of an invitee: every one of its events is about one person at one scheduled event."""

import re
from typing import Annotated

from pydantic import AfterValidator

from services.ingest.domain.activity import Meeting, Person
from services.ingest.domain.tools.allow_list import Leaf, matching
from services.ingest.sources.vendor_model import (
    Address,
    Ident,
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    MaybeTime,
    VendorModel,
    Word,
    Zoned,
)

# https://api.calendly.com/scheduled_events/<event>/invitees/<invitee>
_URI = re.compile(r"/scheduled_events/([^/?#]+)/invitees/([^/?#]+)/?$")


def _is_uri(text: str) -> str:
    if text and not _URI.search(text):
        raise ValueError("must end in /scheduled_events/<event>/invitees/<invitee>")
    return text


# Such as Calendly makes; nobody's words fit between its slashes.
_MADE = re.compile(r"(https://[A-Za-z0-9.-]{1,253})?/scheduled_events/[\w.~-]{1,64}/invitees/[\w.~-]{1,64}/?", re.ASCII)
URI = Leaf("the URI of an invitee", matching(_MADE))
InviteeUri = Annotated[Ident, AfterValidator(_is_uri), URI]
MaybeInviteeUri = Annotated[MaybeIdent, AfterValidator(_is_uri), URI]


def meeting_at(uri: str) -> Meeting:
    """Of a group event each invitee has a meeting: one may cancel while the others come. `uri` is an InviteeUri."""
    found = _URI.search(uri)
    assert found
    return Meeting(found[1], found[2])


class Membership(VendorModel):
    """A host. Older payloads give no address."""

    user: MaybePersonId = ""
    user_email: MaybeAddress = ""

    @property
    def person(self) -> Person:
        return Person(self.user, self.user_email.strip())


class Guest(VendorModel):
    email: MaybeAddress = ""


class ScheduledEvent(VendorModel):
    start_time: Zoned
    end_time: Zoned
    event_memberships: tuple[Membership, ...] | None = None
    event_guests: tuple[Guest, ...] | None = None


class Marked(VendorModel):
    """That something happened, and when: a cancellation or a no-show."""

    created_at: MaybeTime = None


class CalendlyInvitee(VendorModel):
    uri: InviteeUri
    email: Address
    created_at: MaybeTime = None
    rescheduled: bool | None = None
    old_invitee: MaybeInviteeUri = ""
    scheduled_event: ScheduledEvent | None = None
    cancellation: Marked | None = None
    no_show: Marked | None = None

    @property
    def meeting(self) -> Meeting:
        return meeting_at(self.uri)

    @property
    def person(self) -> Person:
        return Person(address=self.email.strip())

    @property
    def people(self) -> tuple[Person, ...]:
        """The hosts, the invitee, and the guests that the invitee brings; the invitee where nothing is said of the
        event."""
        if self.scheduled_event is None:
            return (self.person,)
        hosts = tuple(host.person for host in self.scheduled_event.event_memberships or ())
        guests = tuple(Person(address=guest.email.strip()) for guest in self.scheduled_event.event_guests or ())
        return tuple(person for person in (*hosts, self.person, *guests) if person != Person())


class InviteeEvent(VendorModel):
    event: Word
    created_at: Zoned
    payload: CalendlyInvitee
