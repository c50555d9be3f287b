"""When somebody was in a meeting: of many intervals, which may overlap where two devices were used, the stays."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Activity, Ended, Joined, Left, Meeting, Native, Person
from services.ingest.domain.tools.allow_list import ID, allow_list
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.vendor_model import MaybeAddress, MaybePersonId, VendorModel, ZonedOrUtc, native_id, read


class GraphStay(NamedTuple):
    joined: datetime
    left: datetime


def stays(intervals: Iterable[GraphStay]) -> list[GraphStay]:
    """In order, apart from each other, none without duration."""
    found: list[GraphStay] = []
    for interval in sorted(intervals):
        if found and interval.joined <= found[-1].left:
            found[-1] = GraphStay(found[-1].joined, max(found[-1].left, interval.left))
        else:
            found.append(interval)
    return [stay for stay in found if stay.left > stay.joined]


NATIVE_TYPE = "meetingAttendanceReport"


class _Interval(VendorModel):
    joined: ZonedOrUtc | None = Field(None, alias="joinDateTime")
    left: ZonedOrUtc | None = Field(None, alias="leaveDateTime")


class _Identity(VendorModel):
    id: MaybePersonId = ""


class _Record(VendorModel):
    address: MaybeAddress = Field("", alias="emailAddress")
    identity: _Identity | None = None
    intervals: tuple[_Interval, ...] | None = Field(None, alias="attendanceIntervals")

    @property
    def person(self) -> Person:
        """Whoever dialled in or came as a guest has neither."""
        return Person(id=self.identity.id if self.identity else "", address=self.address)

    def stays(self, began: datetime | None, ended: datetime | None) -> Iterator[GraphStay]:
        for interval in self.intervals or ():
            joined, left = interval.joined or began, interval.left or ended
            if joined and left and joined < left:
                yield GraphStay(joined, left)


class _Report(VendorModel):
    id: Annotated[str, Field(min_length=1, max_length=1024), ID]
    began: ZonedOrUtc | None = Field(None, alias="meetingStartDateTime")
    ended: ZonedOrUtc | None = Field(None, alias="meetingEndDateTime")
    records: tuple[_Record, ...] = Field(alias="attendanceRecords")

    @property
    def meeting(self) -> Meeting:
        return Meeting(native_id(self.id))

    @property
    def native(self) -> Native:
        return Native(NATIVE_TYPE, native_id(self.id))


REPORT = allow_list(_Report)


def is_report(value: dict[str, object]) -> bool:
    return "attendanceRecords" in value or "meetingStartDateTime" in value


def said_of(value: dict[str, object]) -> tuple[Activity, ...] | Ignored | Rejected:
    """Where Graph lacks the time of a join or a leave, it is that of the meeting's start or end. An interval that ends
    before it begins is none: devices' clocks differ by fractions of a second, and the others tell who was there. Where
    none is left, somebody was there, and nobody knows for how long."""
    report = read(_Report, value)
    if isinstance(report, Rejected):
        return report
    by_person: dict[Person, list[GraphStay]] = {}
    for record in report.records:
        found = list(record.stays(report.began, report.ended))
        if found:
            by_person.setdefault(record.person, []).extend(found)
        elif report.began and report.ended:
            by_person.setdefault(Person(), []).append(GraphStay(report.began, report.ended))
    return tuple(_told(report, by_person)) or Ignored("nobody_was_there")


def _told(report: _Report, by_person: dict[Person, list[GraphStay]]) -> Iterator[Activity]:
    """In the order in which it happened: who leaves and comes back at the same instant is there afterwards."""
    there = {person: stays(found) for person, found in by_person.items()}
    ways: list[Joined | Left] = [way for person, found in there.items() for way in _ways(report, person, found)]
    yield from sorted(ways, key=lambda way: (way.time, isinstance(way, Joined)))
    if end := report.ended or max((stay.left for found in there.values() for stay in found), default=None):
        yield Ended(f"{report.id}/ended", end, report.native, report.meeting)


def _ways(report: _Report, person: Person, found: list[GraphStay]) -> Iterator[Joined | Left]:
    for stay in found:
        yield Joined(_key(report, person, "joined", stay.joined), stay.joined, report.native, report.meeting, person)
        yield Left(_key(report, person, "left", stay.left), stay.left, report.native, report.meeting, person)


def _key(report: _Report, person: Person, way: str, time: datetime) -> str:
    return f"{report.id}/{person.id or person.address.casefold()}/{way}/{to_rfc3339(time)}"
