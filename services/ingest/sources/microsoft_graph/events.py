"""Outlook events. Each mailbox has its own copy with its own id. The delta of a calendar view gives an occurrence only
its time and its series; the other members are the series master's."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, TypeGuard

from pydantic import Field, WrapValidator

from services.ingest.domain.activity import Person
from services.ingest.domain.tools.allow_list import ID, AllowList, Leaf, allow_list, in_any_case
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.calendar import (
    CalendarEntry,
    CalendarSlot,
    CalendarTimes,
    EntryVerdict,
    Invited,
    no_session,
    session,
    start_of,
)
from services.ingest.sources.vendor_model import (
    AnyMaybeTime,
    MaybeAddress,
    MaybeIdent,
    MaybeText,
    MaybeWord,
    VendorModel,
    ZonedOrUtc,
    blank_if_invalid,
    native_id_or_digest,
    none_if_invalid,
    read,
)

REMOVED = "@removed"
CHANGED = "lastModifiedDateTime"

MASTER, OCCURRENCE, ALONE = "seriesMaster", "occurrence", "singleInstance"
INHERITED = (
    "organizer",
    "attendees",
    "responseStatus",
    "isOrganizer",
    "isAllDay",
    "isCancelled",
    "lastModifiedDateTime",
    "iCalUId",
)


def with_master_data(events: Sequence[object]) -> list[object]:
    """Fill in the inherited members of every occurrence whose master is in the list."""
    series = [one for one in events if isinstance(one, dict) and _has_type(MASTER, one)]
    masters = {one["id"]: one for one in series if isinstance(one.get("id"), str)}
    inherited = {name: {key: one[key] for key in INHERITED if key in one} for name, one in masters.items()}
    return [{**inherited.get(one["seriesMasterId"], {}), **one} if _is_sparse(one) else one for one in events]


def without_master(events: Iterable[object]) -> list[str]:
    """Return the ids of series with occurrences that lack their participants."""
    return list(dict.fromkeys(str(one["seriesMasterId"]) for one in events if _is_sparse(one)))


def _is_sparse(one: object) -> TypeGuard[dict[str, object]]:
    if not isinstance(one, dict) or not _has_type(OCCURRENCE, one) or "organizer" in one:
        return False
    return isinstance(one.get("seriesMasterId"), str)


def _has_type(kind: str, one: dict[str, object]) -> bool:
    """Compares in any case, as the models do."""
    return str(one.get("type")).casefold() == kind.casefold()


NATIVE_TYPE = "event"
DECLINED, ROOM = "declined", "resource"
TYPES = in_any_case("", MASTER, OCCURRENCE, ALONE, "exception")
KINDS = in_any_case("required", "optional", ROOM)
ANSWERS = in_any_case("none", "organizer", "tentativelyAccepted", "accepted", DECLINED, "notResponded")


# Exchange ids contain the occurrence's date in four bytes, which are zero in the id of the series.
_DATED = re.compile("(040000008200E00074C5B7101A82E008)[0-9A-F]{8}", re.IGNORECASE)


def _of_series(uid: str) -> str:
    return _DATED.sub(r"\g<1>00000000", uid)


UID = Leaf(
    "an id, or its digest where it may be text, alike for all dates", lambda uid, pseudonym: pseudonym(_of_series(uid))
)


class _GraphHead(VendorModel):
    id: Annotated[str, Field(min_length=1, max_length=1024), ID]
    kind: Annotated[MaybeText, TYPES] = Field("", alias="type")
    etag: MaybeIdent = Field("", alias="@odata.etag")
    change_key: MaybeIdent = Field("", alias="changeKey")
    changed: ZonedOrUtc = Field(alias=CHANGED)
    is_cancelled: bool | None = Field(None, alias="isCancelled")
    is_all_day: bool | None = Field(None, alias="isAllDay")
    is_draft: bool | None = Field(None, alias="isDraft")
    uid: Annotated[str | None, WrapValidator(none_if_invalid), UID] = Field(None, alias="iCalUId")
    first: AnyMaybeTime = Field(None, alias="originalStart")

    def entry_of(self, invited: Invited | None, start: datetime | None) -> CalendarEntry:
        """`invited`: None if unknown. An occurrence that was not moved starts at its original start."""
        entry = CalendarEntry(native_id_or_digest(self.id), NATIVE_TYPE, self.change_key or self.etag, self.changed)
        first = self.first or (start if self.kind == OCCURRENCE else None)
        if invited is None or self.kind == MASTER or not (first or self.kind == ALONE):
            return entry
        return entry.with_shared_id(_of_series(self.uid or ""), first, invited)


class _Mailbox(VendorModel):
    address: MaybeAddress = ""


class _Answer(VendorModel):
    response: Annotated[MaybeText, ANSWERS] = ""


class _GraphPerson(VendorModel):
    mailbox: _Mailbox | None = Field(None, alias="emailAddress")
    status: Annotated[_Answer | None, WrapValidator(none_if_invalid)] = None
    kind: Annotated[MaybeText, KINDS] = Field("", alias="type")

    @property
    def person(self) -> Person:
        return Person(address=self.mailbox.address if self.mailbox else "")

    @property
    def has_declined(self) -> bool:
        return bool(self.status and self.status.response == DECLINED)


class _GraphPeople(VendorModel):
    organizer: _GraphPerson | None = None
    attendees: tuple[Annotated[_GraphPerson, blank_if_invalid(_GraphPerson)], ...] | None = None
    is_organizer: bool | None = Field(None, alias="isOrganizer")
    answer: Annotated[_Answer | None, WrapValidator(none_if_invalid)] = Field(None, alias="responseStatus")
    are_hidden: bool | None = Field(None, alias="hideAttendees")

    @property
    def is_stripped(self) -> bool:
        """Whether the event names nobody or, except in the organizer's own copy, nobody but the organizer: it is
        private to our reader."""
        asked = [one for one in self.attendees or () if one.person != Person()]
        organizers = [one for one in (self.organizer,) if one and one.person != Person()]
        return not asked and (not organizers or not self.is_organizer)

    @property
    def invited(self) -> Invited:
        asked = [one.person for one in self.attendees or () if one.kind != ROOM]
        organizers = [self.organizer.person] if self.organizer else []
        return Invited(self.taking_part(), [*organizers, *asked], bool(self.are_hidden) and not self.is_organizer)

    def taking_part(self) -> list[Person]:
        """The organizer is listed apart from the attendees; if missing, count one unknown person."""
        asked = [one for one in self.attendees or () if one.kind != ROOM]
        coming = [one.person for one in asked if not one.has_declined]
        declined = {one.person.address.casefold() for one in asked if one.has_declined} - {""}
        organizers = [self.organizer.person if self.organizer else Person()]
        has_owner_declined = not self.is_organizer and self.answer is not None and self.answer.response == DECLINED
        if has_owner_declined and len(coming) == 1 and coming[0] != Person():
            # Only the organizer's copy contains the answers; in an attendee's copy, the owner declined and is the only
            # attendee left.
            coming = []
        return [*(one for one in organizers if one.address.casefold() not in declined), *coming]


class _GraphMeeting(_GraphPeople):
    start: CalendarSlot
    end: CalendarSlot


class _Removed(VendorModel):
    reason: MaybeWord = ""


class _Change(VendorModel):
    """Members that `without_master` and `verdict` inspect."""

    master: MaybeIdent = Field("", alias="seriesMasterId")
    removed: _Removed | None = Field(None, alias=REMOVED)


EVENT: AllowList = allow_list(_GraphHead, _GraphMeeting, CalendarTimes, _Change)


def verdict_of(value: dict[str, object]) -> EntryVerdict:
    head = read(_GraphHead, value)
    if isinstance(head, Rejected):
        return head
    people, start = read(_GraphPeople, value), start_of(value)
    invited = None if isinstance(people, Rejected) else people.invited
    entry = head.entry_of(invited, start)
    if head.is_cancelled or REMOVED in value:
        # Each date of a series is sent separately; an earlier booking may exist under the series' id.
        is_series = head.kind == MASTER
        return no_session(entry, () if is_series or not invited else invited.coming, None if is_series else start)
    if head.is_draft or head.kind == MASTER:
        return Ignored("draft" if head.is_draft else "series")
    if head.is_all_day:
        return no_session(entry)
    meeting = read(_GraphMeeting, value)
    if isinstance(meeting, Rejected):
        return meeting
    if meeting.is_stripped:
        return rejected(
            "invalid", "organizer", "is required: without organizer and attendees the participants are unknown"
        )
    if meeting.attendees is None:
        return rejected("invalid", "attendees", "is required, be it empty: who takes part was not asked for")
    return session(entry, meeting.start.utc, meeting.end.utc, meeting.invited)
