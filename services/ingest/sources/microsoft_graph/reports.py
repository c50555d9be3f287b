"""An attendance report of Teams: one for each time that a meeting took place, with all intervals of everybody."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from pydantic import Field

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.allow_list import allow_list
from services.ingest.domain.tools.leaves import ID
from services.ingest.domain.tools.said import Ended, Joined, Left, Meeting, Native, Person, Said
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.microsoft_graph.stays import Stay, stays
from services.ingest.sources.native import native_id
from services.ingest.sources.reading import Foreign, MaybeAddress, MaybePersonId, ZonedOrUtc, read

NATIVE_TYPE = "meetingAttendanceReport"


class _Interval(Foreign):
    joined: ZonedOrUtc | None = Field(None, alias="joinDateTime")
    left: ZonedOrUtc | None = Field(None, alias="leaveDateTime")


class _Identity(Foreign):
    id: MaybePersonId = ""


class _Record(Foreign):
    address: MaybeAddress = Field("", alias="emailAddress")
    identity: _Identity | None = None
    intervals: tuple[_Interval, ...] | None = Field(None, alias="attendanceIntervals")

    @property
    def person(self) -> Person:
        """Whoever dialled in or came as a guest has neither."""
        return Person(id=self.identity.id if self.identity else "", address=self.address)


class _Report(Foreign):
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


def said_of(value: dict[str, object]) -> tuple[Said, ...] | Ignored | Rejected:
    """Where Graph lacks the time of a join or a leave, it is that of the meeting's start or end. An interval that ends
    before it begins is none: devices' clocks differ by fractions of a second, and the others tell who was there."""
    report = read(_Report, value)
    if isinstance(report, Rejected):
        return report
    by_person: dict[Person, list[Stay]] = {}
    for record in report.records:
        for interval in record.intervals or ():
            joined, left = interval.joined or report.began, interval.left or report.ended
            if joined and left and joined <= left:
                by_person.setdefault(record.person, []).append(Stay(joined, left))
    return tuple(_told(report, by_person)) or Ignored("nobody_was_there")


def _told(report: _Report, by_person: dict[Person, list[Stay]]) -> Iterator[Said]:
    """In the order in which it happened: who leaves and comes back at the same instant is there afterwards."""
    known = {person: stays(found) for person, found in by_person.items() if person.id or person.address}
    ways: list[Joined | Left] = [way for person, found in known.items() for way in _ways(report, person, found)]
    yield from sorted(ways, key=lambda way: (way.time, isinstance(way, Joined)))
    if end := report.ended or max((stay.left for found in known.values() for stay in found), default=None):
        yield Ended(f"{report.id}/ended", end, report.native, report.meeting)


def _ways(report: _Report, person: Person, found: list[Stay]) -> Iterator[Joined | Left]:
    for stay in found:
        yield Joined(_key(report, person, "joined", stay.joined), stay.joined, report.native, report.meeting, person)
        yield Left(_key(report, person, "left", stay.left), stay.left, report.native, report.meeting, person)


def _key(report: _Report, person: Person, way: str, time: datetime) -> str:
    return f"{report.id}/{person.id or person.address.casefold()}/{way}/{to_rfc3339(time)}"
