"""When people may be written to, and until when they have time to answer: local days and hours of an IANA zone,
weekends and holidays left out."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from schemas.alerts import TransitionName, Urgency
from schemas.primitives import Instant

SATURDAY = 5
MOST_DAYS_OFF = 60
"""In a row. Whoever lists more holidays than that is written to on the day after."""
SOON = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class WorkCalendar:
    """The days on which somebody works."""

    zone: str = "UTC"
    holidays: frozenset[date] = frozenset()

    def is_working_day(self, day: date) -> bool:
        return day.weekday() < SATURDAY and day not in self.holidays

    def local(self, moment: Instant) -> datetime:
        return moment.astimezone(ZoneInfo(self.zone))

    def instant_of(self, day: date, at: time) -> Instant:
        """Of an hour that the clocks leave out, as much later as they jump; of one that comes twice, the first."""
        return datetime.combine(day, at, ZoneInfo(self.zone)).astimezone(UTC)

    def working_day_from(self, day: date) -> date:
        """That day, or the next one on which people work."""
        for ahead in range(MOST_DAYS_OFF):
            if self.is_working_day(day + ahead * _DAY):
                return day + ahead * _DAY
        return day

    def working_days_later(self, moment: Instant, count: int) -> Instant:
        """The same time of day, so many working days later."""
        local = self.local(moment)
        day = local.date()
        for _ in range(count):
            day = self.working_day_from(day + _DAY)
        return self.instant_of(day, local.time())


@dataclass(frozen=True)
class ReceivingHours:
    """Of people who get messages. `quiet_from` may lie after `quiet_until`, then midnight lies within; where both are
    the same there are no quiet hours, and days off are quiet all the same. `digest_at` lies outside."""

    quiet_from: time = time(18)
    quiet_until: time = time(8)
    digest_at: time = time(8, 30)

    def are_quiet_at(self, at: time) -> bool:
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= at < self.quiet_until
        return at >= self.quiet_from or at < self.quiet_until


@dataclass(frozen=True)
class Receiving:
    """When one recipient may be written to."""

    hours: ReceivingHours = ReceivingHours()
    calendar: WorkCalendar = WorkCalendar()

    def is_quiet(self, moment: Instant) -> bool:
        local = self.calendar.local(moment)
        return not self.calendar.is_working_day(local.date()) or self.hours.are_quiet_at(local.time())

    def open_from(self, moment: Instant) -> Instant:
        """That instant, or the first one after it that is not quiet."""
        if not self.is_quiet(moment):
            return moment
        day, end = self.calendar.local(moment).date(), self.hours.quiet_until
        starts_at_midnight = not self.hours.are_quiet_at(time(0))
        for ahead in range(MOST_DAYS_OFF + 2):
            later = day + ahead * _DAY
            for found in (self.calendar.instant_of(later, time(0)),) if starts_at_midnight else ():
                if found > moment and not self.is_quiet(found):
                    return found
            found = self.calendar.instant_of(later, end)
            if found > moment and not self.is_quiet(found):
                return found
        return moment

    def deliverable_from(self, moment: Instant) -> Instant:
        """When somebody is told of what does not wait for the digest: what has waited for the end of quiet hours goes
        with the digest where that follows soon, so that the morning begins with one message."""
        opens = self.open_from(moment)
        digest = self.next_digest(opens)
        return digest if opens > moment and digest - opens <= SOON else opens

    def next_digest(self, moment: Instant) -> Instant:
        """The first hour of digests at or after that instant, on a working day."""
        day = self.calendar.local(moment).date()
        for ahead in range(MOST_DAYS_OFF + 2):
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
"""What somebody is to acknowledge."""
ANSWER_WITHIN = timedelta(minutes=30)
"""A P1: long enough to leave a meeting, short enough that nobody waits a night."""
NOON = time(12)
"""Of the working day after: whoever has read the digest of the morning has had half a day."""


def escalates_at(urgency: Urgency, decided_at: Instant, calendar: WorkCalendar) -> Instant | None:
    """It follows from the decision: no rule or holiday that changes later moves it. None: a P3 never does."""
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
