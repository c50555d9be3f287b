"""An event of Outlook. Its times are a wall clock's with a named zone and seven decimals. Who declined does not take
part; an entry for whole days is no session. The master of a series is none either: its occurrences come themselves."""

from typing import Annotated

from pydantic import Field

from services.ingest.domain.tools.allow_list import AllowList, allow_list
from services.ingest.domain.tools.leaves import ID, one_of
from services.ingest.domain.tools.said import Booked, Cancelled, Person
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.calendar import Entry, Slot, no_session, session
from services.ingest.sources.microsoft_graph.series import MASTER
from services.ingest.sources.microsoft_graph.taking import CHANGED, REMOVED
from services.ingest.sources.native import native_id
from services.ingest.sources.reading import Foreign, MaybeAddress, MaybeIdent, MaybeText, MaybeWord, ZonedOrUtc, read

NATIVE_TYPE = "event"
DECLINED, ROOM = "declined", "resource"
ANSWERS = one_of("none", "organizer", "tentativelyAccepted", "accepted", DECLINED, "notResponded")


class _Head(Foreign):
    id: Annotated[str, Field(min_length=1, max_length=1024), ID]
    kind: MaybeWord = Field("", alias="type")
    etag: MaybeIdent = Field("", alias="@odata.etag")
    change_key: MaybeIdent = Field("", alias="changeKey")
    changed: ZonedOrUtc = Field(alias=CHANGED)
    is_cancelled: bool | None = Field(None, alias="isCancelled")
    is_all_day: bool | None = Field(None, alias="isAllDay")
    is_draft: bool | None = Field(None, alias="isDraft")

    @property
    def entry(self) -> Entry:
        return Entry(native_id(self.id), NATIVE_TYPE, self.change_key or self.etag, self.changed)


class _Mailbox(Foreign):
    address: MaybeAddress = ""


class _Answer(Foreign):
    response: Annotated[MaybeText, ANSWERS] = ""


class _Whom(Foreign):
    mailbox: _Mailbox | None = Field(None, alias="emailAddress")
    status: _Answer | None = None
    kind: MaybeWord = Field("", alias="type")

    @property
    def person(self) -> Person:
        return Person(address=self.mailbox.address if self.mailbox else "")

    @property
    def has_declined(self) -> bool:
        return self.status is not None and self.status.response == DECLINED


class _People(Foreign):
    organizer: _Whom | None = None
    attendees: tuple[_Whom, ...] | None = None
    is_organizer: bool | None = Field(None, alias="isOrganizer")
    answer: _Answer | None = Field(None, alias="responseStatus")

    def taking_part(self) -> list[Person]:
        """The organizer stands beside the attendees."""
        asked = [one for one in self.attendees or () if one.kind != ROOM]
        coming = [one.person for one in asked if not one.has_declined]
        declined = {one.person.address.casefold() for one in asked if one.has_declined}
        organizers = [self.organizer.person] if self.organizer else []
        if self._owner_declined and len(coming) == 1:
            # Only the organizer's copy knows the answers; here the calendar's owner is the only one whom it can mean.
            coming = []
        return [one for one in (*organizers, *coming) if one.address.casefold() not in declined]

    @property
    def _owner_declined(self) -> bool:
        return not self.is_organizer and self.answer is not None and self.answer.response == DECLINED


class _Meeting(_People):
    start: Slot
    end: Slot


class _Times(Foreign):
    start: Slot | None = None


class _Removed(Foreign):
    reason: MaybeWord = ""


class _Change(Foreign):
    """Of what a page holds; series.py and `_cancelled` ask for it."""

    master: MaybeIdent = Field("", alias="seriesMasterId")
    removed: _Removed | None = Field(None, alias=REMOVED)


EVENT: AllowList = allow_list(_Head, _Meeting, _Times, _Change)


def said_of(value: dict[str, object]) -> Booked | Cancelled | Ignored | Rejected:
    head = read(_Head, value)
    if isinstance(head, Rejected):
        return head
    if head.is_cancelled or REMOVED in value:
        return _cancelled(head.entry, value)
    if head.is_draft:
        return Ignored("draft")
    if head.kind == MASTER:
        return Ignored("series")
    if head.is_all_day:
        return no_session(head.entry)
    return _meeting(head.entry, value)


def _cancelled(entry: Entry, value: object) -> Cancelled:
    people, times = read(_People, value), read(_Times, value)
    takers = [] if isinstance(people, Rejected) else people.taking_part()
    slot = None if isinstance(times, Rejected) else times.start
    return no_session(entry, takers, slot.utc if slot else None)


def _meeting(entry: Entry, value: object) -> Booked | Cancelled | Rejected:
    meeting = read(_Meeting, value)
    if isinstance(meeting, Rejected):
        return meeting
    if not any(one.person != Person() for one in (*filter(None, [meeting.organizer]), *(meeting.attendees or ()))):
        return rejected("invalid", "organizer", "is required: without it and the attendees nobody is known to meet")
    return session(entry, meeting.start.utc, meeting.end.utc, meeting.taking_part())
