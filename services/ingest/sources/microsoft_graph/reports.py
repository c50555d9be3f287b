"""Teams attendance reports: merge a participant's intervals, which overlap if two devices were used, into stays."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, WrapValidator

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Activity, Ended, Joined, Left, Meeting, Native, Person
from services.ingest.domain.meetings.attendance import Span, merge_spans
from services.ingest.domain.tools.allow_list import CUT, ID, Leaf, allow_list
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.vendor_model import (
    AnyMaybeTime,
    MaybeAddress,
    MaybePersonId,
    VendorModel,
    ZonedOrUtc,
    blank_if_invalid,
    native_id_or_digest,
    none_if_invalid,
    read,
)


def stays(intervals: Iterable[Span]) -> list[Span]:
    """Merge intervals in order, without overlaps and without empty ones."""
    return [one for one in merge_spans(intervals) if one.begin < one.end]


NATIVE_TYPE = "meetingAttendanceReport"


# .NET writes its first calendar day for a missing time.
UNSET = BeforeValidator(lambda value: None if isinstance(value, str) and value.startswith("0001-01-01") else value)
MaybeMoment = Annotated[ZonedOrUtc | None, UNSET]


# A week: no meeting lasts longer.
Seconds = Annotated[int, Field(ge=0, le=7 * 86_400)]


class _Interval(VendorModel):
    joined: MaybeMoment = Field(None, alias="joinDateTime")
    left: MaybeMoment = Field(None, alias="leaveDateTime")
    seconds: Annotated[Seconds | None, WrapValidator(none_if_invalid)] = Field(None, alias="durationInSeconds")


AnyInterval = Annotated[_Interval | None, WrapValidator(none_if_invalid)]


class _Identity(VendorModel):
    id: MaybePersonId = ""


class _Record(VendorModel):
    address: MaybeAddress = Field("", alias="emailAddress")
    identity: Annotated[_Identity | None, WrapValidator(none_if_invalid)] = None
    intervals: tuple[AnyInterval, ...] | None = Field(None, alias="attendanceIntervals")

    @property
    def person(self) -> Person:
        """Empty for people who dialled in or came as guests."""
        return Person(id=self.identity.id if self.identity else "", address=self.address)

    def stays(self, began: datetime | None, ended: datetime | None) -> Iterator[Span]:
        for interval in filter(None, self.intervals or ()):
            begin, end = interval.joined or began, interval.left or ended
            if end is None and interval.joined and interval.seconds:
                end = interval.joined + timedelta(seconds=interval.seconds)
            if begin and end and begin < end:
                yield Span(begin, end)


MORE = Leaf("that there are more", lambda _, __: CUT)


class _Report(VendorModel):
    id: Annotated[str, Field(min_length=1, max_length=1024), ID]
    began: AnyMaybeTime = Field(None, alias="meetingStartDateTime")
    ended: AnyMaybeTime = Field(None, alias="meetingEndDateTime")
    records: tuple[Annotated[_Record, blank_if_invalid(_Record)], ...] = Field(alias="attendanceRecords")
    participants: Annotated[int | None, WrapValidator(none_if_invalid)] = Field(None, alias="totalParticipantCount")
    more: Annotated[object, MORE] = Field(None, alias="attendanceRecords@odata.nextLink")

    @property
    def is_partial(self) -> bool:
        """Whether the report lacks participants: further pages of records, or fewer records than participants."""
        return bool(self.more) or (self.participants or 0) > len(self.records)

    @property
    def full_span(self) -> Span | None:
        """The entire meeting; without its own times, the span of all attendance."""
        all_stays = [stay for record in self.records for stay in record.stays(self.began, self.ended)]
        began = self.began or min((stay.begin for stay in all_stays), default=None)
        ended = self.ended or max((stay.end for stay in all_stays), default=None)
        return Span(began, ended) if began and ended and began < ended else None

    def join_or_leave(self, person: Person, time: datetime, kind: type[Joined | Left]) -> Joined | Left:
        """Return the join or leave of a person."""
        key = f"{self.id}/{person.id or person.address.casefold()}/{kind.__name__.lower()}/{to_rfc3339(time)}"
        return kind(
            key, time, Native(NATIVE_TYPE, native_id_or_digest(self.id)), Meeting(native_id_or_digest(self.id)), person
        )


REPORT = allow_list(_Report)


def is_report(value: dict[str, object]) -> bool:
    return "attendanceRecords" in value or "meetingStartDateTime" in value


def activities_of(value: dict[str, object]) -> tuple[Activity, ...] | Ignored | Rejected:
    """Translate a report. A missing join or leave time is the meeting's start or end. An interval with its end before
    its begin is ignored: device clocks differ by fractions of a second, and the other intervals show who was there. A
    record without a usable interval counts as an unknown person for the entire meeting."""
    report = read(_Report, value)
    if isinstance(report, Rejected):
        return report
    by_person: dict[Person, list[Span]] = {}
    for record in report.records:
        found = list(record.stays(report.began, report.ended))
        if found:
            by_person.setdefault(record.person, []).extend(found)
        elif report.full_span:
            by_person.setdefault(Person(), []).append(report.full_span)
    if report.is_partial and report.full_span:
        by_person.setdefault(Person(), []).append(report.full_span)
    there = {person: stays(found) for person, found in by_person.items()}
    stayed = [(person, stay) for person, found in there.items() for stay in found]
    joins_and_leaves = [report.join_or_leave(person, stay.begin, Joined) for person, stay in stayed]
    joins_and_leaves += [report.join_or_leave(person, stay.end, Left) for person, stay in stayed]
    # Sort chronologically; a leave and a join at the same instant leave the person present.
    activities: list[Activity] = [*sorted(joins_and_leaves, key=lambda one: (one.time, isinstance(one, Joined)))]
    if end := report.ended or max((stay.end for _, stay in stayed), default=None):
        native, meeting = Native(NATIVE_TYPE, native_id_or_digest(report.id)), Meeting(native_id_or_digest(report.id))
        activities.append(Ended(f"{report.id}/ended", end, native, meeting))
    return tuple(activities) or Ignored("nobody_was_there")
