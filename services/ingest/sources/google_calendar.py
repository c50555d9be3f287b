"""Google Calendar: push notifications authenticated by the channel token, and events posted with the same secret as
bearer token."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, WrapValidator

from services.ingest.domain.activity import Booked, Person, Pointer, Translation
from services.ingest.domain.ids import Pseudonym, is_plain
from services.ingest.domain.tools.allow_list import (
    CUT,
    ID,
    TIME,
    WORD,
    AllowList,
    Leaf,
    address_in,
    allow_list,
    in_any_case,
)
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.calendar import (
    ApiSettings,
    ApiUrl,
    CalendarEntry,
    CalendarSlot,
    CalendarTimes,
    EntryVerdict,
    Invited,
    as_translation,
    no_session,
    session,
    split_page,
    start_of,
)
from services.ingest.sources.tool import (
    RawPayloads,
    Received,
    Tool,
    ToolSettings,
    Unverified,
    Verification,
    Verified,
    constant_time_equal,
    verify_bearer,
)
from services.ingest.sources.vendor_model import (
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    MaybeText,
    VendorModel,
    Zoned,
    blank_if_invalid,
    native_id_or_digest,
    none_if_invalid,
    read,
)
from services.ingest.sources.vocabulary import combine

NATIVE_TYPE = "calendar#event"
# focusTime, outOfOffice, workingLocation, birthday and fromGmail (a flight, a table) are entries of one person.
MEETING_TYPES = frozenset({"", "default"})
RECURS = Leaf("that it recurs", lambda _, __: CUT)
# Rooms and shared calendars have addresses but are not people: a room is invited like a person, some copies omit that
# it is a resource, and a shared calendar is the organizer of its entries.
NON_PERSON_DOMAINS = ("@resource.calendar.google.com", "@group.calendar.google.com", "@import.calendar.google.com")
KINDS = in_any_case("", "default", "focusTime", "outOfOffice", "workingLocation", "birthday", "fromGmail")
SECRET = in_any_case("private", "confidential")
ANSWERS = in_any_case("needsAction", "declined", "tentative", "accepted")
CANCELLED_STATUSES = frozenset({"cancelled", "canceled"})
STATUS = in_any_case("confirmed", "tentative", *CANCELLED_STATUSES)

# Ids that Google generates, with the date of a series that was split; no address matches this.
_MADE = re.compile(r"([0-9a-v]{20,64}(?:_R[0-9T]{1,20})?)@google\.com")


def _without_domain(uid: str) -> str:
    made = _MADE.fullmatch(uid)
    return made[1] if made else uid


UID = Leaf("an id, or its digest where it may be text", lambda uid, pseudonym: pseudonym(_without_domain(uid)))


class _GoogleHead(VendorModel):
    id: Annotated[str, Field(min_length=1, max_length=1024), ID]
    status: Annotated[MaybeText, STATUS] = ""
    kind: Annotated[MaybeText, KINDS] = Field("", alias="eventType")
    etag: MaybeIdent = ""
    updated: Zoned
    recurrence: tuple[Annotated[str | None, RECURS], ...] | None = None
    are_omitted: bool | None = Field(None, alias="attendeesOmitted")
    uid: Annotated[str | None, WrapValidator(none_if_invalid), UID] = Field(None, alias="iCalUID")
    series: Annotated[MaybeIdent | None, WrapValidator(none_if_invalid)] = Field(None, alias="recurringEventId")
    first: Annotated[CalendarSlot | None, WrapValidator(none_if_invalid)] = Field(None, alias="originalStartTime")

    def entry_of(self, invited: Invited | None = None) -> CalendarEntry:
        """All copies of an event share one id, unless a calendar imported it. `invited`: None if unknown."""
        entry = CalendarEntry(native_id_or_digest(self.id), NATIVE_TYPE, self.etag, self.updated)
        if invited is None or self.are_omitted or self.recurrence or (self.series and not self.first):
            return entry
        return entry.with_shared_id(_without_domain(self.uid or ""), self.first.utc if self.first else None, invited)


class _Day(VendorModel):
    date: Annotated[MaybeText, TIME] = ""


class _Days(VendorModel):
    start: _Day


class _GooglePerson(VendorModel):
    id: MaybePersonId = ""
    email: MaybeAddress = ""
    answer: Annotated[MaybeText, ANSWERS] = Field("", alias="responseStatus")
    is_room: bool | None = Field(None, alias="resource")
    is_reader: bool | None = Field(None, alias="self")
    has_asked: bool | None = Field(None, alias="organizer")
    additional_guests: Annotated[int | None, WrapValidator(none_if_invalid)] = Field(None, alias="additionalGuests")

    @property
    def person(self) -> Person:
        return Person(id=self.id, address=self.email)

    @property
    def is_not_a_person(self) -> bool:
        return bool(self.is_room) or self.email.casefold().endswith(NON_PERSON_DOMAINS)


class _GooglePeople(VendorModel):
    organizer: _GooglePerson | None = None
    attendees: tuple[Annotated[_GooglePerson, blank_if_invalid(_GooglePerson)], ...] | None = None
    guests_visible: bool | None = Field(None, alias="guestsCanSeeOtherGuests")
    visibility: Annotated[MaybeText, SECRET] = ""

    @property
    def invited(self) -> Invited:
        asked = [one for one in (self.organizer, *(self.attendees or ())) if one and not one.is_not_a_person]
        is_partial = self.guests_visible is False and not self.is_organizers
        return Invited(self.taking_part(), [one.person for one in asked], is_partial)

    @property
    def is_organizers(self) -> bool:
        """Whether this is the organizer's own copy."""
        return bool(self.organizer and self.organizer.is_reader)

    def taking_part(self) -> list[Person]:
        """The organizer need not be listed among the attendees, which are missing if nobody else is invited. If no
        organizer is named, count one unknown person."""
        asked = self.attendees or ()
        declined = {one.email.casefold() for one in asked if one.answer == "declined" and one.email}
        organizers = [one for one in (self.organizer,) if one and one.email.casefold() not in declined]
        coming = [one for one in (*organizers, *asked) if one.answer != "declined" and not one.is_not_a_person]
        # Additional guests are given as a number only; a single unknown person suffices to make the attendance
        # uncertain.
        unnamed_guests = [Person() for one in coming if one.additional_guests][:1]
        is_asked_by_one = self.organizer is not None or any(one.has_asked for one in asked)
        unnamed = [] if is_asked_by_one else [Person()]
        return [*(one.person for one in coming), *unnamed_guests, *unnamed]


class _GoogleMeeting(_GooglePeople):
    start: CalendarSlot
    end: CalendarSlot

    def session_of(self, entry: CalendarEntry) -> EntryVerdict:
        """A private entry, or one fetched with only some fields, has a time but lacks some or all people. Every copy
        but the organizer's has at least one invited person."""
        is_stripped = not self.is_organizers and not self.attendees
        asked = (*filter(None, [self.organizer]), *(self.attendees or ()))
        if is_stripped or not any(one.person != Person() for one in asked):
            return Ignored("nobody_named")
        return session(entry, self.start.utc, self.end.utc, self.invited)


EVENT = allow_list(_GoogleHead, _Days, _GoogleMeeting, CalendarTimes)


def verdict_of(value: object) -> EntryVerdict:
    head = read(_GoogleHead, value)
    if isinstance(head, Rejected):
        return head
    people = read(_GooglePeople, value)
    invited = None if isinstance(people, Rejected) else people.invited
    entry = head.entry_of(invited)
    if head.status in CANCELLED_STATUSES:
        # Each date of a series is sent separately; an earlier booking may exist under the series' id.
        is_series = bool(head.recurrence)
        return no_session(
            entry, () if is_series or not invited else invited.coming, None if is_series else start_of(value)
        )
    if head.status == CUT:
        return rejected("invalid", "status", "is none of confirmed, tentative and cancelled")
    if head.kind not in MEETING_TYPES:
        return Ignored("no_meeting")
    if head.recurrence:
        return Ignored("series")
    days = read(_Days, value)
    verdict: EntryVerdict = no_session(entry)
    if isinstance(days, Rejected) or not days.start.date:
        meeting = read(_GoogleMeeting, value)
        verdict = meeting if isinstance(meeting, Rejected) else meeting.session_of(entry)
    if not head.are_omitted or isinstance(verdict, Ignored | Rejected):
        return verdict
    # The named people take part; others may as well.
    if isinstance(verdict, Booked) and Person() not in verdict.people:
        return replace(verdict, is_partial=True)
    return rejected("invalid", "attendeesOmitted", "without all attendees the participants are unknown: request all")


PREFIX = "x-goog-"
CHANNEL_TOKEN = "x-goog-channel-token"  # noqa: S105 (the name of the header)
URI = "x-goog-resource-uri"
# The first push of a channel (`sync`) is fetched too: it brings existing bookings, and after a channel was renewed,
# changes from the gap. Fetching a calendar that is gone (`not_exists`) reports it as gone.
STATE = "x-goog-resource-state"
STATES = ("sync", "exists", "not_exists")
_CALENDAR = re.compile(r"/calendars/(?P<id>[^/]{1,512})/events/?$")
_ID = re.compile(r"[!-.0-~]{1,320}", re.ASCII)
# Placeholders for redacted URIs that parse as no URI and as no calendar.
NO_URI, NO_CALENDAR = "http://[", "/calendars/%20/events"


def is_push(value: Mapping[str, object]) -> bool:
    return any(name.lower() == STATE for name in value)


def pointer_of(push: Mapping[str, object]) -> Pointer | Ignored | Rejected:
    headers = {name.lower(): text for name, text in push.items()}
    if headers[STATE] not in STATES:
        return Ignored("unknown_state")
    uri = headers.get(URI)
    if not isinstance(uri, str):
        return rejected("invalid", URI, "is required: it says which calendar changed")
    calendar = _calendar_of(uri)
    if not isinstance(calendar, str):
        return calendar
    if not _ID.fullmatch(calendar) or calendar in {".", ".."}:
        return rejected("invalid", URI, "names no calendar")
    return Pointer(f"calendars/{quote(calendar, safe='')}/events")


def _calendar_of(uri: str) -> str | Ignored | Rejected:
    """Take only the calendar id from the URI; the API's address comes from the settings."""
    try:
        found = _CALENDAR.search(urlsplit(uri).path)
    except ValueError:
        return rejected("invalid", URI, "is no URI")
    return unquote(found["id"]) if found else Ignored("no_events")


def _calendar_uri(uri: str, _: Pseudonym) -> str:
    """The calendar's id is an address or an id that Google generated."""
    calendar = _calendar_of(uri)
    if not isinstance(calendar, str):
        return CUT if isinstance(calendar, Ignored) else NO_URI
    is_id = is_plain(calendar) or address_in(calendar) == calendar
    return f"/calendars/{quote(calendar, safe='')}/events" if is_id else NO_CALENDAR


_PUSH = AllowList(members={STATE: AllowList(WORD), URI: AllowList(Leaf("the URI of a calendar", _calendar_uri))})


def verify(received: Received, secret: str, now: datetime) -> Verification:
    if not {STATE, CHANNEL_TOKEN} & received.headers.keys():
        return verify_bearer(received, secret, now)
    if secret and constant_time_equal(received.headers.get(CHANNEL_TOKEN, ""), secret):
        return Verified()
    return Unverified("the header X-Goog-Channel-Token must be the token with which the channel was opened")


class GoogleCalendarSettings(ApiSettings):
    api_url: ApiUrl = "https://www.googleapis.com/calendar/v3"


def split(received: Received, _settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """A push has no body: record its headers. A cancelled instance may lack the time of its change."""
    if STATE in received.headers:
        headers = received.headers.items()
        kept = {name: text for name, text in headers if name.startswith(PREFIX) and name != CHANNEL_TOKEN}
        return RawPayloads((json.dumps(kept, sort_keys=True).encode(),))
    return split_page(received, "items", ("updated", now), lambda one: "id" in one and "items" not in one)


# A page holds up to 2,500 events, each of which becomes its own record.
MAX_BYTES = 16 * 2**20
PAGE = AllowList(members={"items": AllowList(items=EVENT)})


def redact(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    match value:
        case dict() if is_push(value):
            return _PUSH.redact({name.lower(): text for name, text in value.items()}, pseudonym)
        case {"items": list()}:
            return PAGE.redact(value, pseudonym)
        case _:
            return EVENT.redact(value, pseudonym)


def translate(value: object, _settings: ToolSettings) -> Translation:
    match value:
        case dict() if is_push(value):
            return pointer_of(value)
        case {"items": list(items)}:
            return combine((f"items.{index}", as_translation(verdict_of(item))) for index, item in enumerate(items))
        case dict():
            return as_translation(verdict_of(value))
        case _:
            return rejected("invalid", "", "must be an event, a page of events or the headers of a push")


TOOL = Tool("google_calendar", verify, translate, redact, GoogleCalendarSettings, split=split, most_bytes=MAX_BYTES)
