"""Calendly bookings. A reschedule arrives as a cancel and a create, in either order: the create carries everything, so
the cancel is ignored. `Calendly-Webhook-Signature: t=<seconds>,v1=<hex>`, with several v1 during key rotation."""

import re
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, WrapValidator

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Booked, Cancelled, Meeting, Missed, Native, Person, Translation, Voided
from services.ingest.domain.tools.allow_list import Leaf, matching
from services.ingest.domain.verdict import Ignored, rejected
from services.ingest.sources.tool import LONGEST_AGE, Received, Tool, Unverified, Verification, signed_at, verify_body
from services.ingest.sources.vendor_model import (
    NONE_IF_EMPTY,
    Address,
    AnyMaybeTime,
    Ident,
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    MaybeWord,
    VendorModel,
    Word,
    Zoned,
    blank_if_invalid,
    native_id_or_digest,
    none_if_invalid,
)
from services.ingest.sources.webhook_events import EventTranslator, WebhookEvents

# https://api.calendly.com/scheduled_events/<event>/invitees/<invitee>
_URI = re.compile(r"/scheduled_events/([^/?#]+)/invitees/([^/?#]+)/?$")


def _is_uri(text: str) -> str:
    if text and not _URI.search(text):
        raise ValueError("must end in /scheduled_events/<event>/invitees/<invitee>")
    return text


# URIs as Calendly generates them; free text does not match between the slashes.
_MADE = re.compile(r"(https://[A-Za-z0-9.-]{1,253})?/scheduled_events/[\w.~-]{1,64}/invitees/[\w.~-]{1,64}/?", re.ASCII)
URI = Leaf("the URI of an invitee", matching(_MADE))
InviteeUri = Annotated[Ident, AfterValidator(_is_uri), URI]
MaybeInviteeUri = Annotated[MaybeIdent, AfterValidator(_is_uri), URI]


def meeting_at(uri: str) -> Meeting:
    """Each invitee of a group event has a meeting of their own: one may cancel while the others come. `uri` is an
    InviteeUri."""
    found = _URI.search(uri)
    assert found
    return Meeting(found[1], found[2])


class Membership(VendorModel):
    """A host. Older payloads contain no address."""

    user: MaybePersonId = ""
    user_email: MaybeAddress = ""

    @property
    def person(self) -> Person:
        return Person(self.user, self.user_email.strip())


class Guest(VendorModel):
    email: MaybeAddress = ""


Guests = tuple[Annotated[Guest, blank_if_invalid(Guest)], ...]


class ScheduledEvent(VendorModel):
    """Only a booking requires times."""

    status: MaybeWord = ""
    start_time: AnyMaybeTime = None
    end_time: AnyMaybeTime = None
    event_memberships: tuple[Annotated[Membership, blank_if_invalid(Membership)], ...] | None = None
    event_guests: Annotated[Guests | None, WrapValidator(none_if_invalid)] = None


class Marked(VendorModel):
    """A cancellation or a no-show, with its time."""

    created_at: AnyMaybeTime = None


class CalendlyInvitee(VendorModel):
    uri: InviteeUri
    email: MaybeAddress = ""
    created_at: AnyMaybeTime = None
    rescheduled: Annotated[bool | None, NONE_IF_EMPTY] = None
    status: MaybeWord = ""
    new_invitee: Annotated[MaybeIdent, URI] = ""
    old_invitee: MaybeInviteeUri = ""
    scheduled_event: Annotated[ScheduledEvent | None, WrapValidator(none_if_invalid)] = None
    cancellation: Annotated[Marked | None, WrapValidator(none_if_invalid)] = None
    no_show: Annotated[Marked | None, WrapValidator(none_if_invalid)] = None

    @property
    def meeting(self) -> Meeting:
        return meeting_at(self.uri)

    @property
    def person(self) -> Person:
        return Person(address=self.email.strip())

    @property
    def people(self) -> tuple[Person, ...]:
        """Hosts, the invitee and the invitee's guests; only the invitee if the event is missing. A host or guest
        without a name counts as an unknown person (empty)."""
        if self.scheduled_event is None:
            return (self.person,) if self.email else ()
        hosts = tuple(host.person for host in self.scheduled_event.event_memberships or ()) or (Person(),)
        guests = tuple(Person(address=guest.email.strip()) for guest in self.scheduled_event.event_guests or ())
        return (*hosts, *((self.person,) if self.email else ()), *guests)


class BookedEvent(ScheduledEvent):
    start_time: Zoned
    end_time: Zoned


class BookedInvitee(CalendlyInvitee):
    email: Address
    scheduled_event: BookedEvent | None = None


Invitee = TypeVar("Invitee", bound=CalendlyInvitee)


class InviteeEvent(VendorModel, Generic[Invitee]):
    event: Word
    created_at: Zoned
    payload: Invitee

    @property
    def key(self) -> str:
        return f"{self.event}:{self.payload.uri}"

    @property
    def no_show_key(self) -> str:
        return f"invitee_no_show:{self.payload.uri}"

    @property
    def native(self) -> Native:
        meeting = self.payload.meeting
        return Native(self.event, native_id_or_digest(f"{meeting.id}/{meeting.instance}"))


HEADER = "calendly-webhook-signature"


def verify(received: Received, secret: str, now: datetime) -> Verification:
    parts = [part.strip().partition("=") for part in received.headers.get(HEADER, "").split(",")]
    stamps = [text for name, _, text in parts if name == "t"]
    signatures = [text for name, _, text in parts if name == "v1"]
    moment = signed_at(stamps[0]) if len(stamps) == 1 else None
    if moment is None or not signatures:
        return Unverified(f"{HEADER} with one t and at least one v1 is required")
    if abs(now - moment) > LONGEST_AGE:
        return Unverified("t is more than 5 minutes away from now")
    return verify_body(received, secret, f"{stamps[0]}.", signatures, "no v1 fits the body")


CANCELED = frozenset({"canceled", "cancelled"})


def _created(event: InviteeEvent[BookedInvitee]) -> Translation:
    invitee, scheduled = event.payload, event.payload.scheduled_event
    if scheduled is None:
        return rejected("invalid", "payload.scheduled_event", "is required")
    if {invitee.status.casefold(), scheduled.status.casefold()} & CANCELED:
        # Calendly built the payload after the invitee, or the host for all, had cancelled.
        return Ignored("already_canceled")
    booked = Booked(
        key=event.key,
        time=invitee.created_at or event.created_at,
        native=event.native,
        meeting=invitee.meeting,
        starts_at=scheduled.start_time,
        ends_at=scheduled.end_time,
        people=invitee.people,
        replaces=meeting_at(invitee.old_invitee) if invitee.old_invitee else None,
    )
    return (booked,)


def _cancelled(event: InviteeEvent[CalendlyInvitee]) -> Translation:
    invitee = event.payload
    starts_at = invitee.scheduled_event.start_time if invitee.scheduled_event else None
    time = (invitee.cancellation and invitee.cancellation.created_at) or event.created_at
    if invitee.rescheduled or invitee.new_invitee:
        return Ignored("rescheduled")
    if starts_at and starts_at <= time:
        return Ignored("already_over")
    return (Cancelled(event.key, time, event.native, invitee.meeting, invitee.people, starts_at),)


def _missed(event: InviteeEvent[CalendlyInvitee]) -> Translation:
    invitee = event.payload
    time = (invitee.no_show and invitee.no_show.created_at) or event.created_at
    return (Missed(event.no_show_key, time, event.native, invitee.meeting, (invitee.person,), invitee.people),)


def _unmarked(event: InviteeEvent[CalendlyInvitee]) -> Translation:
    key = f"{event.key}:{to_rfc3339(event.created_at)}"
    return (Voided(key, event.created_at, event.native, target=event.no_show_key),)


EVENTS = WebhookEvents(
    "event",
    {
        "invitee.created": EventTranslator(InviteeEvent[BookedInvitee], _created),
        "invitee.canceled": EventTranslator(InviteeEvent[CalendlyInvitee], _cancelled),
        "invitee_no_show.created": EventTranslator(InviteeEvent[CalendlyInvitee], _missed),
        "invitee_no_show.deleted": EventTranslator(InviteeEvent[CalendlyInvitee], _unmarked),
    },
)
TOOL = Tool(name="calendly", verify=verify, translate=EVENTS.translate, redact=EVENTS.redact)
