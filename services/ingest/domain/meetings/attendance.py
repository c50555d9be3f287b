"""What became of a session, from who was seen there: held, missed, or neither."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from schemas.primitives import Side
from services.ingest.domain.meetings.bookings import Booking
from services.ingest.domain.meetings.visits import Seen, Span, Stay, joined, length, stay, together

LEAST_TOGETHER = timedelta(minutes=5)
"""Less is a test of the line."""
LONGEST = timedelta(hours=4)
"""After the first has come; whoever has not left by then has forgotten to hang up, or the tool to tell it."""
SETTLE = timedelta(seconds=10)
"""Tools tell of one meeting in any order; after so long without a word of it, all of it is told."""
LONGEST_MINUTES = 24 * 60.0


@dataclass(frozen=True)
class Held:
    """`ended_at` is when the last of them left, `minutes` how long both sides were there."""

    started_at: datetime
    ended_at: datetime
    minutes: float


@dataclass(frozen=True)
class Missed:
    booking: Booking
    absent: Side


@dataclass(frozen=True)
class Neither:
    """Nothing is said of it, for this reason; if more is seen, it may become something."""

    reason: Literal["not_booked", "not_yet", "too_short"]


Outcome = Held | Missed | Neither


@dataclass(frozen=True)
class Attendance:
    """Of one session of one relationship; what is seen may come in any order and several times. `recorded` is when the
    last of it was recorded."""

    seen: frozenset[Seen]
    recorded: datetime

    def with_seen(self, one: Seen, recorded: datetime) -> "Attendance":
        return (
            self if one in self.seen else replace(self, seen=self.seen | {one}, recorded=max(recorded, self.recorded))
        )

    @property
    def begin(self) -> datetime:
        return min(one.time for one in self.seen)


def due(attendance: Attendance, booking: Booking | None) -> datetime:
    """When the outcome may be decided: both sides have left, or one side has and the booked time is over, or it lasted
    too long; and nothing was recorded of it for a while."""
    settled, attendance = attendance.recorded + SETTLE, _of_this_time(attendance, booking)
    is_open = any(one.since for _, one in _stays(attendance))
    if not is_open and len({one.role for one in attendance.seen}) > 1:
        return settled
    if not is_open and booking is not None:
        return max(settled, booking.ends_at + SETTLE)
    return max(settled, attendance.begin + LONGEST)


def outcome(attendance: Attendance, booking: Booking | None) -> Outcome:
    """As it is when it is due. `booking`: what they met for, if it was not cancelled."""
    attendance = _of_this_time(attendance, booking)
    mentors, mentees = _spans(attendance, "mentor", booking), _spans(attendance, "mentee", booking)
    both = together(mentors, mentees)
    if length(both) >= LEAST_TOGETHER:
        minutes = round(length(both) / timedelta(minutes=1), 3)
        return Held(both[0].begin, max(mentors[-1].end, mentees[-1].end), min(minutes, LONGEST_MINUTES))
    if booking is None:
        return Neither("not_booked")
    came = {one.role for one in attendance.seen if one.time >= booking.starts_at - LONGEST}
    if not came:
        return Neither("not_yet")
    if came == {"mentor", "mentee"}:
        return Neither("too_short")
    return Missed(booking, "mentee" if "mentor" in came else "mentor")


def _of_this_time(attendance: Attendance, booking: Booking | None) -> Attendance:
    """Without what was seen long before the booked time: the meeting has been moved since."""
    if booking is None:
        return attendance
    seen = frozenset(one for one in attendance.seen if one.time >= booking.starts_at - LONGEST)
    return replace(attendance, seen=seen) if seen else attendance


def _stays(attendance: Attendance) -> list[tuple[Side, Stay]]:
    visitors = {(one.role, one.visitor) for one in attendance.seen}
    return [
        (role, stay(one for one in attendance.seen if (one.role, one.visitor) == (role, visitor)))
        for role, visitor in sorted(visitors)
    ]


def _spans(attendance: Attendance, side: Side, booking: Booking | None) -> tuple[Span, ...]:
    """Whoever has not left was there until the booked end; without one, for as long as a meeting may last."""
    latest = attendance.begin + LONGEST
    until = min(latest, booking.ends_at) if booking and booking.ends_at > attendance.begin else latest
    found = [one for role, one in _stays(attendance) if role == side]
    lasting = [Span(one.since, until) for one in found if one.since and one.since < until]
    return joined([*(span for one in found for span in one.spans), *lasting])
