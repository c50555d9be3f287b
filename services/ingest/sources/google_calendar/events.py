"""An event of Google Calendar. Instances of a series have ids of their own; when cancelled they hold little more.
Who declined does not take part; an entry for whole days, or of another kind than a meeting, is no session."""

from typing import Annotated

from pydantic import Field

from services.ingest.domain.tools.allow_list import allow_list
from services.ingest.domain.tools.leaves import CUT, ID, TIME, Leaf, one_of
from services.ingest.domain.tools.said import Booked, Cancelled, Person
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.calendar import Entry, Slot, no_session, session
from services.ingest.sources.native import native_id
from services.ingest.sources.reading import (
    Foreign,
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    MaybeText,
    MaybeWord,
    Zoned,
    read,
)

NATIVE_TYPE = "calendar#event"
# focusTime, outOfOffice, workingLocation, birthday and fromGmail (a flight, a table) are entries of one person.
MEETINGS = frozenset({"", "default"})
# By which rule a series recurs is not read.
RECURS = Leaf("that it recurs", lambda _, __: CUT)
ANSWERS = one_of("needsAction", "declined", "tentative", "accepted")


class _Head(Foreign):
    id: Annotated[str, Field(min_length=1, max_length=1024), ID]
    status: MaybeWord = ""
    kind: MaybeWord = Field("", alias="eventType")
    etag: MaybeIdent = ""
    updated: Zoned
    recurrence: tuple[Annotated[str, RECURS], ...] | None = None
    are_omitted: bool | None = Field(None, alias="attendeesOmitted")

    @property
    def entry(self) -> Entry:
        return Entry(native_id(self.id), NATIVE_TYPE, self.etag, self.updated)


class _Day(Foreign):
    date: Annotated[MaybeText, TIME] = ""


class _Days(Foreign):
    start: _Day | None = None


class _Whom(Foreign):
    id: MaybePersonId = ""
    email: MaybeAddress = ""
    answer: Annotated[MaybeText, ANSWERS] = Field("", alias="responseStatus")
    is_room: bool | None = Field(None, alias="resource")

    @property
    def person(self) -> Person:
        return Person(id=self.id, address=self.email)


class _People(Foreign):
    organizer: _Whom | None = None
    attendees: tuple[_Whom, ...] | None = None

    @property
    def is_hidden(self) -> bool:
        """Of an entry that is private to our reader Google tells when it is, and not of whom."""
        return not any(one.person != Person() for one in (*filter(None, [self.organizer]), *(self.attendees or ())))

    def taking_part(self) -> list[Person]:
        """The organizer need not be among the attendees; without anybody else there are none."""
        asked = self.attendees or ()
        declined = {one.email.casefold() for one in asked if one.answer == "declined" and one.email}
        organizers = [self.organizer] if self.organizer and self.organizer.email.casefold() not in declined else []
        coming = [one for one in asked if one.answer != "declined" and not one.is_room]
        return [one.person for one in (*organizers, *coming)]


class _Meeting(_People):
    start: Slot
    end: Slot


class _Times(Foreign):
    """`originalStartTime`, where an instance of a series once stood, is not read: it may have been moved since."""

    start: Slot | None = None


EVENT = allow_list(_Head, _Days, _Meeting, _Times)


def said_of(value: object) -> Booked | Cancelled | Ignored | Rejected:
    head = read(_Head, value)
    if isinstance(head, Rejected):
        return head
    if head.status == "cancelled":
        return _cancelled(head.entry, value)
    if head.kind not in MEETINGS:
        return Ignored("no_meeting")
    if head.recurrence:
        return Ignored("series")
    if head.are_omitted:
        return rejected("invalid", "attendeesOmitted", "ask for all attendees: who takes part cannot be told")
    return _meeting(head.entry, value)


def _cancelled(entry: Entry, value: object) -> Cancelled:
    people, times = read(_People, value), read(_Times, value)
    takers = [] if isinstance(people, Rejected) else people.taking_part()
    slot = None if isinstance(times, Rejected) else times.start
    return no_session(entry, takers, slot.utc if slot else None)


def _meeting(entry: Entry, value: object) -> Booked | Cancelled | Ignored | Rejected:
    days = read(_Days, value)
    if not isinstance(days, Rejected) and days.start and days.start.date:
        return no_session(entry)
    meeting = read(_Meeting, value)
    if isinstance(meeting, Rejected):
        return meeting
    if meeting.is_hidden:
        return Ignored("nobody_named")
    return session(entry, meeting.start.utc, meeting.end.utc, meeting.taking_part())
