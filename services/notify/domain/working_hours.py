"""Working hours: when people may be written to, and until when they have time to answer, in local days and hours of an
IANA zone without weekends and holidays."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from schemas.alerts import TransitionName, Urgency
from schemas.primitives import Instant

SATURDAY = 5
MAX_DAYS_OFF = 60
"""In a row. After more holidays than that messages are sent regardless."""
SOON = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class WorkCalendar:
    """The working days of somebody."""

    zone: str = "UTC"
    holidays: frozenset[date] = frozenset()

    def is_working_day(self, day: date) -> bool:
        return day.weekday() < SATURDAY and day not in self.holidays

    def local(self, moment: Instant) -> datetime:
        return moment.astimezone(ZoneInfo(self.zone))

    def instant_of(self, day: date, at: time) -> Instant:
        """Return the instant of a local time. A time that the clocks skip moves by as much as they jump; of one that
        comes twice, the first counts."""
        return datetime.combine(day, at, ZoneInfo(self.zone)).astimezone(UTC)

    def working_day_from(self, day: date) -> date:
        """Return that day, or the next working day."""
        for ahead in range(MAX_DAYS_OFF):
            if self.is_working_day(day + ahead * _DAY):
                return day + ahead * _DAY
        return day

    def working_days_later(self, moment: Instant, count: int) -> Instant:
        """Return the same time of day, so many working days later."""
        local = self.local(moment)
        day = local.date()
        for _ in range(count):
            day = self.working_day_from(day + _DAY)
        return self.instant_of(day, local.time())


@dataclass(frozen=True)
class ReceivingHours:
    """When people get messages. `quiet_from` may lie after `quiet_until`, then midnight lies within; where both are the
    same there are no quiet hours, and days off are quiet all the same. `digest_at` lies outside."""

    quiet_from: time = time(18)
    quiet_until: time = time(8)
    digest_at: time = time(8, 30)

    def are_quiet_at(self, at: time) -> bool:
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= at < self.quiet_until
        return at >= self.quiet_from or at < self.quiet_until


@dataclass(frozen=True)
class DeliveryWindow:
    """When one recipient may be written to."""

    hours: ReceivingHours = ReceivingHours()
    calendar: WorkCalendar = WorkCalendar()

    def is_quiet(self, moment: Instant) -> bool:
        local = self.calendar.local(moment)
        return not self.calendar.is_working_day(local.date()) or self.hours.are_quiet_at(local.time())

    def open_from(self, moment: Instant) -> Instant:
        """Return that instant, or the first one after it that is not quiet."""
        if not self.is_quiet(moment):
            return moment
        day, end = self.calendar.local(moment).date(), self.hours.quiet_until
        starts_at_midnight = not self.hours.are_quiet_at(time(0))
        for ahead in range(MAX_DAYS_OFF + 2):
            later = day + ahead * _DAY
            for found in (self.calendar.instant_of(later, time(0)),) if starts_at_midnight else ():
                if found > moment and not self.is_quiet(found):
                    return found
            found = self.calendar.instant_of(later, end)
            if found > moment and not self.is_quiet(found):
                return found
        return moment

    def deliverable_from(self, moment: Instant) -> Instant:
        """Return when a message that does not wait for the digest may be sent. One that waits for the end of quiet
        hours goes with the digest where that follows soon, so that the morning begins with one message."""
        opens = self.open_from(moment)
        digest = self.next_digest(opens)
        return digest if opens > moment and digest - opens <= SOON else opens

    def next_digest(self, moment: Instant) -> Instant:
        """Return the first digest time at or after that instant, on a working day."""
        day = self.calendar.local(moment).date()
        for ahead in range(MAX_DAYS_OFF + 2):
            later = day + ahead * _DAY
            found = self.calendar.instant_of(later, self.hours.digest_at)
            if found >= moment and self.calendar.is_working_day(later):
                return found
        return self.open_from(moment)

    def words(self, moment: Instant) -> str:
        """`Mon 4 May 08:30 Europe/Berlin`"""
        local = self.calendar.local(moment)
        return f"{local:%a} {local.day} {local:%b %H:%M} {self.calendar.zone}"


NEEDS_ACKNOWLEDGEMENT: frozenset[TransitionName] = frozenset({"fired", "escalated", "unstable"})
"""Transitions that somebody has to acknowledge."""
ANSWER_WITHIN = timedelta(minutes=30)
"""For a P1: long enough to leave a meeting, short enough that nobody waits a night."""
NOON = time(12)
"""Of the next working day: whoever has read the morning's digest has had half a day."""


def escalates_at(urgency: Urgency, decided_at: Instant, calendar: WorkCalendar) -> Instant | None:
    """Return when an unacknowledged alert escalates; None for a P3. It depends on the decision only: later rules or
    holidays do not move it."""
    match urgency:
        case "P1":
            return decided_at + ANSWER_WITHIN
        case "P2":
            day = calendar.working_day_from(calendar.local(decided_at).date() + _DAY)
            return calendar.instant_of(day, NOON)
        case "P3":
            return None
        case _:
            assert_never(urgency)
