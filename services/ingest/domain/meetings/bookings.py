"""Which sessions are booked for when, folded from the session events of the log, whoever wrote them."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import Instant
from services.ingest.domain.activity import Meeting
from services.ingest.domain.ids import series_id, session_id
from services.ingest.domain.people.roster import Sets, add, remove
from services.ingest.domain.scope import RESERVED

MOST_SESSIONS = 200_000
"""About 200 MB. Of the tenant that has most, what was told of longest ago is forgotten: who it was of, its cancellation
may not say again. What one tenant books makes nobody else's be forgotten."""
MOST_OF_RELATIONSHIP = 200
"""Those that end last."""
EARLY = timedelta(minutes=30)
"""People come before the time; who comes earlier has come for something else."""
SAME_DATE = timedelta(hours=12)
"""A run of a recurring meeting that is further from the booked time belongs to another date, or to none."""
NONE: frozenset[str] = frozenset()
OF_ONE_ALONE = 2
"""So many names has the matter of a meeting of which there is one copy."""


def matter_of(source: str, meeting: Meeting, copy_of: Meeting | None = None) -> str:
    """The `correlationid` of what books a meeting: the session that it would be by itself, its series, and, of a copy,
    the session that all copies are."""
    shared = (session_id(source, copy_of),) if copy_of else ()
    return ".".join((session_id(source, meeting), series_id(source, meeting), *shared))


class Booking(NamedTuple):
    """The latest word on a session of one relationship, `told` the time of that word."""

    session: str
    starts_at: Instant
    ends_at: Instant
    told: Instant
    cancelled: bool = False


class BookedSession(NamedTuple):
    """`matters`: of which meetings of tools it is, see `matter_of`."""

    booking: Booking
    matters: tuple[str, ...] = ()


class Bookings:
    """One thread tells it at a time, any thread asks."""

    def __init__(self, most: int = MOST_SESSIONS) -> None:
        self._most = most
        self._booked: dict[str, OrderedDict[tuple[str, str], Booking]] = defaultdict(OrderedDict)
        self._number = 0
        self._of: Sets = {}
        self._whose: Sets = {}
        self._moved: dict[tuple[str, str], str] = {}
        self._series: Sets = {}
        self._matters: Sets = {}

    def apply(self, event: OfRelationship) -> None:
        """Any event of the log; those that book nothing change nothing."""
        match event.data:
            case p.SessionScheduled() as data:
                self._book(
                    event.tenant, event.subject, Booking(data.session_id, data.starts_at, data.ends_at, event.time)
                )
                # Our own bookings say in `correlationid` which meeting of the tool they come from, see `matter_of`.
                if event.correlationid and event.source.startswith(RESERVED):
                    self._join(event.tenant, event.correlationid, data.session_id)
            case p.SessionCancelled(session_id=session, notice_hours=hours):
                known = self.booking(event.tenant, event.subject, session)
                if known is None:
                    # Tools may tell of it before they tell of the booking, which it outlives.
                    begin = event.time + timedelta(hours=hours or 0)
                    known = Booking(session, begin, begin, event.time)
                if known.told <= event.time:
                    self._book(event.tenant, event.subject, known._replace(told=event.time, cancelled=True))
            case p.RelationshipErased():
                self.forget(event.tenant, event.subject)
            case _:
                pass

    def restore(self, tenant: str, relationship: str, sessions: Iterable[BookedSession]) -> None:
        """What the projection holds of a relationship; what was heard besides stays, and the later word counts."""
        for booking, matters in sessions:
            self._book(tenant, relationship, booking)
            for matter in matters:
                self._join(tenant, matter, booking.session)

    def forget(self, tenant: str, relationship: str) -> None:
        for session in self._of.get((tenant, relationship), NONE):
            self._forget((tenant, relationship, session))

    def of(self, tenant: str, relationship: str) -> tuple[BookedSession, ...]:
        """All that is known of a relationship."""
        return tuple(
            BookedSession(booking, tuple(sorted(self._matters.get((tenant, session), NONE))))
            for session in sorted(self._of.get((tenant, relationship), NONE))
            if (booking := self.booking(tenant, relationship, session))
        )

    def session(self, tenant: str, source: str, meeting: Meeting, copy_of: Meeting | None = None) -> str:
        """The session that the tool's meeting is: one that was moved keeps the id of its first booking. A copy that is
        not booked yet is the session of the others."""
        own = session_id(source, meeting)
        known = self._moved.get((tenant, own), own)
        return known if copy_of is None or self.whose(tenant, known) else self.session(tenant, source, copy_of)

    def is_replaced(self, tenant: str, source: str, meeting: Meeting) -> bool:
        """Whether the session that the meeting was booked as has moved to another meeting of the tool."""
        own = session_id(source, meeting)
        known = (matter.split(".") for matter in self._matters.get((tenant, own), NONE))
        # What was booked in its place is no copy of it.
        return any(names[0] != own and len(names) == OF_ONE_ALONE for names in known)

    def attended(self, tenant: str, source: str, meeting: Meeting, moment: datetime) -> str:
        """The session that one run of a meeting is: tools number runs otherwise than dates, which are told apart by
        their time then."""
        own = self.session(tenant, source, meeting)
        if self.whose(tenant, own):
            return own
        dates = self._series.get((tenant, series_id(source, meeting)), NONE)
        starts = (
            (abs(booking.starts_at - moment), one)
            for one in dates
            for whose in self.whose(tenant, one)
            if (booking := self.booking(tenant, whose, one)) and not booking.cancelled
        )
        return min((start for start in starts if start[0] <= SAME_DATE), default=(SAME_DATE, own))[1]

    def dates(self, tenant: str, source: str, meeting: Meeting) -> tuple[str, ...]:
        """The sessions of all dates that are or were booked of a recurring meeting."""
        return tuple(sorted(self._series.get((tenant, series_id(source, meeting)), NONE)))

    def booking(self, tenant: str, relationship: str, session: str) -> Booking | None:
        of_tenant = self._booked.get(tenant)
        return of_tenant.get((relationship, session)) if of_tenant else None

    def whose(self, tenant: str, session: str) -> frozenset[str]:
        """The relationships for which the session is or was booked."""
        return self._whose.get((tenant, session), NONE)

    def expected(self, tenant: str, relationship: str, session: str, moment: datetime) -> Booking | None:
        """The booking for which people of a relationship meet: that of the session, else one of any tool around that
        moment. None if it was cancelled."""
        own = self.booking(tenant, relationship, session)
        if own is not None:
            return None if own.cancelled else own
        booked = (self.booking(tenant, relationship, one) for one in self._of.get((tenant, relationship), NONE))
        around = (one for one in booked if one and not one.cancelled and one.starts_at - EARLY <= moment <= one.ends_at)
        # Calendars and rooms tell of one meeting each: of those of one time all processes, and all runs, take the same.
        return min(around, default=None, key=lambda one: (one.starts_at, one.session))

    def _book(self, tenant: str, relationship: str, booking: Booking) -> None:
        of_tenant, key = self._booked[tenant], (relationship, booking.session)
        known = of_tenant.get(key)
        if known is not None and known.told > booking.told:
            return
        of_tenant[key] = booking
        if known is not None:
            # What was told of last is forgotten last.
            of_tenant.move_to_end(key)
            return
        self._number += 1
        add(self._of, (tenant, relationship), booking.session)
        add(self._whose, (tenant, booking.session), relationship)
        if len(sessions := self._of[tenant, relationship]) > MOST_OF_RELATIONSHIP:
            first = min(sessions, key=lambda one: (of_tenant[relationship, one].ends_at, one))
            self._forget((tenant, relationship, first))
        if self._number > self._most:
            most = max(self._booked, key=lambda one: len(self._booked[one]))
            self._forget((most, *next(iter(self._booked[most]))))

    def _join(self, tenant: str, matter: str, session: str) -> None:
        own, series, *shared = matter.split(".")
        for name in {own, *shared} - {session}:
            self._moved[tenant, name] = session
        add(self._series, (tenant, series), session)
        add(self._matters, (tenant, session), matter)

    def _forget(self, key: tuple[str, str, str]) -> None:
        tenant, relationship, session = key
        del self._booked[tenant][relationship, session]
        self._number -= 1
        remove(self._of, (tenant, relationship), session)
        remove(self._whose, (tenant, session), relationship)
        if (tenant, session) in self._whose:
            return
        for matter in self._matters.pop((tenant, session), NONE):
            own, series, *shared = matter.split(".")
            for name in (own, *shared):
                self._moved.pop((tenant, name), None)
            remove(self._series, (tenant, series), session)
