"""Compute from joins and leaves how long people were present, how long both sides were present together, and the
outcome of a meeting."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal, NamedTuple, Protocol

from schemas.primitives import Side
from services.ingest.domain.meetings.bookings import Booking

ZERO = timedelta(0)

Role = Side | Literal["unidentified"]


class AttendanceEvent(NamedTuple):
    """A join or a leave. `visitor` distinguishes people of one side; empty for an unidentified person. `event_key` is
    the event that reported it: two devices that join at the same instant are two joins."""

    role: Role
    visitor: str
    verb: Literal["joined", "left"]
    time: datetime
    event_key: str = ""


class JoinOrLeave(Protocol):
    """A join or a leave."""

    @property
    def verb(self) -> Literal["joined", "left"]: ...

    @property
    def time(self) -> datetime: ...


class Span(NamedTuple):
    begin: datetime
    end: datetime


class VisitorPresence(NamedTuple):
    """When a visitor was present. `since` is set if they have not left yet."""

    spans: tuple[Span, ...]
    since: datetime | None = None


def visitor_presence(events: Iterable[JoinOrLeave]) -> VisitorPresence:
    """Compute the stay of one visitor from joins and leaves in any order. A visitor may use two devices, or join again
    without a leave in between; then the last leave ends the stay. A leave without a join is ignored."""
    spans: list[Span] = []
    begin, devices, left = None, 0, None
    for one in _in_order(events):
        if one.verb == "joined":
            begin, devices, left = begin or one.time, devices + 1, None
        elif begin is not None:
            devices, left = devices - 1, one.time
            if devices == 0:
                spans.append(Span(begin, one.time))
                begin = None
    if begin is not None and left is not None:
        return VisitorPresence((*spans, Span(begin, left)))
    return VisitorPresence(tuple(spans), begin)


def is_present(events: Iterable[JoinOrLeave]) -> bool:
    """Whether a visitor has joined more often than left."""
    devices = 0
    for one in _in_order(events):
        devices = _count_devices(devices, one)
    return devices > 0


def overlap(one: Iterable[Span], other: Iterable[Span]) -> tuple[Span, ...]:
    """When both were present, in order, without overlaps."""
    theirs = merge_spans(other)
    both = (
        Span(max(mine.begin, their.begin), min(mine.end, their.end)) for mine in merge_spans(one) for their in theirs
    )
    return tuple(span for span in both if span.begin < span.end)


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Merge spans, in order, without overlaps."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def total_length(spans: Iterable[Span]) -> timedelta:
    return sum((span.end - span.begin for span in spans), ZERO)


def _count_devices(devices: int, one: JoinOrLeave) -> int:
    return devices + 1 if one.verb == "joined" else max(0, devices - 1)


def _in_order(events: Iterable[JoinOrLeave]) -> Iterator[JoinOrLeave]:
    """Sort by time. At one instant, somebody who is present leaves first, and somebody who is absent joins first."""
    devices = 0
    for _, same in groupby(sorted(events, key=lambda one: one.time), key=lambda one: one.time):
        instant = sorted(same, key=lambda one: one.verb, reverse=devices > 0)
        for one in instant:
            devices = _count_devices(devices, one)
            yield one


MIN_OVERLAP = timedelta(minutes=5)
"""Less is a test of the line."""
LONGEST = timedelta(hours=4)
"""After the first join; anybody who has not left by then forgot to hang up, or the tool lost the event."""
SETTLE_DELAY = timedelta(seconds=10)
"""A tool's events of one meeting arrive in any order; after this long without another one, all have arrived."""
REJOIN_GRACE = timedelta(minutes=10)
"""Somebody who drops out of a booked meeting rejoins within this time."""
LONGEST_MINUTES = 24 * 60.0
BOTH_SIDES = 2


@dataclass(frozen=True)
class HeldOutcome:
    """`ended_at` is when the last of them left, `minutes` how long both sides were present together."""

    started_at: datetime
    ended_at: datetime
    minutes: float


@dataclass(frozen=True)
class MissedOutcome:
    booking: Booking
    absent: Side


@dataclass(frozen=True)
class NoOutcome:
    """No outcome yet, for this reason; further events may change that."""

    reason: Literal["not_booked", "not_yet", "too_short", "unidentified"]


Outcome = HeldOutcome | MissedOutcome | NoOutcome


@dataclass(frozen=True)
class Attendance:
    """The attendance of one session of one relationship; events may arrive in any order and several times. `recorded`
    is when the latest one was recorded."""

    events: frozenset[AttendanceEvent]
    recorded: datetime

    def with_event(self, one: AttendanceEvent, recorded: datetime) -> "Attendance":
        latest = max(recorded, self.recorded)
        return self if one in self.events else replace(self, events=self.events | {one}, recorded=latest)

    @property
    def begin(self) -> datetime:
        """The first join of a side; an unidentified person may have come for something else."""
        return min(one.time for one in self.identified or self.events)

    @property
    def identified(self) -> frozenset[AttendanceEvent]:
        return frozenset(one for one in self.events if one.role != "unidentified")


def due(attendance: Attendance, booking: Booking | None) -> datetime:
    """Return when the outcome may be decided: both sides have left, or the booked time is over and everybody has been
    gone for ten minutes, or the longest duration is reached; and no event was recorded for a while."""
    settled, attendance = attendance.recorded + SETTLE_DELAY, _near_booking(attendance, booking)
    is_open = any(one.since for role, one in _presences(attendance) if role != "unidentified")
    if not is_open and booking is not None:
        gone = max(one.time for one in attendance.identified or attendance.events) + REJOIN_GRACE
        return max(settled, gone, booking.ends_at + SETTLE_DELAY)
    if not is_open and len({one.role for one in attendance.identified}) == BOTH_SIDES:
        return settled
    return max(settled, attendance.begin + LONGEST)


def outcome(attendance: Attendance, booking: Booking | None) -> Outcome:
    """Decide the outcome of a meeting that is due. `booking` is the booking they met for, unless it was cancelled."""
    attendance = _near_booking(attendance, booking)
    mentors, mentees = _spans(attendance, "mentor", booking), _spans(attendance, "mentee", booking)
    both = overlap(mentors, mentees)
    if total_length(both) >= MIN_OVERLAP:
        minutes = round(total_length(both) / timedelta(minutes=1), 3)
        return HeldOutcome(both[0].begin, max(mentors[-1].end, mentees[-1].end), min(minutes, LONGEST_MINUTES))
    if booking is None:
        return NoOutcome("not_booked")
    came = {one.role for one in attendance.events if one.time >= booking.starts_at - LONGEST}
    if not came:
        return NoOutcome("not_yet")
    if came >= {"mentor", "mentee"}:
        return NoOutcome("too_short")
    if "unidentified" in came:
        return NoOutcome("unidentified")
    return MissedOutcome(booking, "mentee" if "mentor" in came else "mentor")


def _near_booking(attendance: Attendance, booking: Booking | None) -> Attendance:
    """Drop events from long before the booked time: the meeting has been moved since."""
    if booking is None:
        return attendance
    events = frozenset(one for one in attendance.events if one.time >= booking.starts_at - LONGEST)
    return replace(attendance, events=events) if events else attendance


def _presences(attendance: Attendance) -> list[tuple[Role, VisitorPresence]]:
    visitors = {(one.role, one.visitor) for one in attendance.events}
    return [
        (role, visitor_presence(one for one in attendance.events if (one.role, one.visitor) == (role, visitor)))
        for role, visitor in sorted(visitors)
    ]


def _spans(attendance: Attendance, side: Side, booking: Booking | None) -> tuple[Span, ...]:
    """Somebody who has not left was present until the booked end; without a booking, for as long as a meeting may
    last."""
    latest = attendance.begin + LONGEST
    until = min(latest, booking.ends_at) if booking and booking.ends_at > attendance.begin else latest
    found = [one for role, one in _presences(attendance) if role == side]
    lasting = [Span(one.since, until) for one in found if one.since and one.since < until]
    return merge_spans([*(span for one in found for span in one.spans), *lasting])
