"""Fold the log's session events, from any source, into the booked sessions and their times."""

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

MAX_SESSIONS = 200_000
"""About 200 MB. Beyond it, the tenant with the most sessions loses the one that was updated longest ago; a cancellation
of it can no longer find its relationship. One tenant's bookings never evict another's."""
MAX_OF_RELATIONSHIP = 200
"""The sessions that end last are kept."""
EARLY_JOIN = timedelta(minutes=30)
"""People join before the start; somebody who joins earlier came for something else."""
LAST_MINUTES = timedelta(minutes=5)
"""Of a booked meeting: too little to meet, see MIN_OVERLAP in `attendance.py`."""
SAME_DATE = timedelta(hours=12)
"""A run of a recurring meeting that is further from the booked time belongs to another date, or to none."""
NONE: frozenset[str] = frozenset()
IDS_OF_SINGLE_COPY = 2
"""The number of ids in the correlation id of a meeting with a single copy."""


def correlation_of(source: str, meeting: Meeting, copy_of: Meeting | None = None) -> str:
    """Return the `correlationid` of a booking: the session id of the meeting by itself, its series, and, for a copy,
    the session id that all copies share."""
    shared = (session_id(source, copy_of),) if copy_of else ()
    return ".".join((session_id(source, meeting), series_id(source, meeting), *shared))


class Booking(NamedTuple):
    """The latest state of a session of one relationship; `as_of` is the time of the event that set it."""

    session: str
    starts_at: Instant
    ends_at: Instant
    as_of: Instant
    cancelled: bool = False


class BookedSession(NamedTuple):
    """`correlations` are the correlation ids with which tools booked the session for this relationship, see
    `correlation_of`."""

    booking: Booking
    correlations: tuple[str, ...] = ()


class Bookings:
    """One writer thread; readable from any thread."""

    def __init__(self, most: int = MAX_SESSIONS) -> None:
        self._most = most
        self._booked: dict[str, OrderedDict[tuple[str, str], Booking]] = defaultdict(OrderedDict)
        self._number = 0
        self._sessions_of: Sets = {}
        self._relationships_of: Sets = {}
        self._moved: dict[tuple[str, str], str] = {}
        self._series: Sets = {}
        self._correlations: dict[tuple[str, str, str], frozenset[str]] = {}

    def apply(self, event: OfRelationship) -> None:
        """Apply any event of the log; events that concern no booking change nothing."""
        match event.data:
            case p.SessionScheduled() as data:
                self._book(
                    event.tenant, event.subject, Booking(data.session_id, data.starts_at, data.ends_at, event.time)
                )
                # Our own bookings carry the tool's meeting in `correlationid`, see `correlation_of`.
                if event.correlationid and event.source.startswith(RESERVED):
                    self._link((event.tenant, event.subject, data.session_id), event.correlationid)
            case p.SessionCancelled(session_id=session, notice_hours=hours):
                previous = self.booking(event.tenant, event.subject, session)
                if previous is None:
                    # A cancellation may arrive before its booking; keep it, so that the later booking stays cancelled.
                    begin = event.time + timedelta(hours=hours or 0)
                    previous = Booking(session, begin, begin, event.time)
                if previous.as_of <= event.time:
                    self._book(event.tenant, event.subject, previous._replace(as_of=event.time, cancelled=True))
            case p.RelationshipErased():
                self.forget(event.tenant, event.subject)
            case _:
                pass

    def restore(self, tenant: str, relationship: str, sessions: Iterable[BookedSession]) -> None:
        """Restore a relationship's sessions from the projection; for each session, the later state wins."""
        for booking, correlations in sessions:
            self._book(tenant, relationship, booking)
            for correlation in correlations:
                self._link((tenant, relationship, booking.session), correlation)

    def forget(self, tenant: str, relationship: str) -> None:
        for session in self._sessions_of.get((tenant, relationship), NONE):
            self._forget((tenant, relationship, session))

    def sessions(self, tenant: str, relationship: str) -> tuple[BookedSession, ...]:
        """Return all sessions of a relationship."""
        return tuple(
            BookedSession(booking, tuple(sorted(self._correlations.get((tenant, relationship, session), NONE))))
            for session in sorted(self._sessions_of.get((tenant, relationship), NONE))
            if (booking := self.booking(tenant, relationship, session))
        )

    def session(self, tenant: str, source: str, meeting: Meeting, copy_of: Meeting | None = None) -> str:
        """Return the session of the tool's meeting; a meeting that was moved keeps the id of its first booking. A copy
        that is not booked yet has the session of the other copies."""
        own = session_id(source, meeting)
        current = self._moved.get((tenant, own), own)
        return (
            current
            if copy_of is None or self.relationships_of(tenant, current)
            else self.session(tenant, source, copy_of)
        )

    def is_replaced(self, tenant: str, source: str, meeting: Meeting) -> bool:
        """Whether the session of this meeting moved to another meeting of the tool."""
        own = session_id(source, meeting)
        correlations = (correlation.split(".") for correlation in self._correlations_of(tenant, own))
        # A copy shares the session without replacing the meeting.
        return any(ids[0] != own and len(ids) == IDS_OF_SINGLE_COPY for ids in correlations)

    def session_of_run(self, tenant: str, source: str, meeting: Meeting, moment: datetime) -> str:
        """Return the session of one run of a meeting: tools number runs differently from dates, so the date is the one
        closest in time."""
        own = self.session(tenant, source, meeting)
        if self.relationships_of(tenant, own):
            return own
        dates = self._series.get((tenant, series_id(source, meeting)), NONE)
        starts = (
            (abs(booking.starts_at - moment), one)
            for one in dates
            for relationship in self.relationships_of(tenant, one)
            if (booking := self.booking(tenant, relationship, one)) and not booking.cancelled
        )
        return min((start for start in starts if start[0] <= SAME_DATE), default=(SAME_DATE, own))[1]

    def dates(self, tenant: str, source: str, meeting: Meeting) -> tuple[str, ...]:
        """Return the sessions of all dates of a recurring meeting that are or were booked."""
        return tuple(sorted(self._series.get((tenant, series_id(source, meeting)), NONE)))

    def booking(self, tenant: str, relationship: str, session: str) -> Booking | None:
        of_tenant = self._booked.get(tenant)
        return of_tenant.get((relationship, session)) if of_tenant else None

    def relationships_of(self, tenant: str, session: str) -> frozenset[str]:
        """Return the relationships for which the session is or was booked."""
        return self._relationships_of.get((tenant, session), NONE)

    def expected_booking(self, tenant: str, relationship: str, session: str, moment: datetime) -> Booking | None:
        """Return the booking that people of a relationship meet for: that of the session, otherwise one of any tool
        around that time. None if it was cancelled."""
        own = self.booking(tenant, relationship, session)
        if own is not None:
            return None if own.cancelled else own
        booked = (
            self.booking(tenant, relationship, one) for one in self._sessions_of.get((tenant, relationship), NONE)
        )
        around = sorted(
            (
                one
                for one in booked
                if one and not one.cancelled and one.starts_at - EARLY_JOIN <= moment <= one.ends_at
            ),
            key=lambda one: (one.starts_at, one.session),
        )
        # Whoever comes when a meeting is about to end, and another one follows, comes for that.
        following = [one for one in around if around[0].ends_at <= min(one.starts_at, moment + LAST_MINUTES)]
        # Calendar and meeting room may both report one meeting: all processes and runs choose the same one by this
        # order.
        return next(iter(following or around), None)

    def _book(self, tenant: str, relationship: str, booking: Booking) -> None:
        of_tenant, key = self._booked[tenant], (relationship, booking.session)
        previous = of_tenant.get(key)
        if previous is not None and previous.as_of > booking.as_of:
            return
        of_tenant[key] = booking
        if previous is not None:
            # Least recently updated sessions are evicted first.
            of_tenant.move_to_end(key)
            return
        self._number += 1
        add(self._sessions_of, (tenant, relationship), booking.session)
        add(self._relationships_of, (tenant, booking.session), relationship)
        if len(sessions := self._sessions_of[tenant, relationship]) > MAX_OF_RELATIONSHIP:
            first = min(sessions, key=lambda one: (of_tenant[relationship, one].ends_at, one))
            self._forget((tenant, relationship, first))
        if self._number > self._most:
            most = max(self._booked, key=lambda one: len(self._booked[one]))
            self._forget((most, *next(iter(self._booked[most]))))

    def _correlations_of(self, tenant: str, session: str) -> frozenset[str]:
        """Those of all relationships for which the session is booked."""
        return NONE.union(
            *(
                self._correlations.get((tenant, relationship, session), NONE)
                for relationship in self.relationships_of(tenant, session)
            )
        )

    def _link(self, key: tuple[str, str, str], correlation: str) -> None:
        tenant, relationship, session = key
        if relationship not in self.relationships_of(tenant, session):
            # The booking was evicted at once.
            return
        own, series, *shared = correlation.split(".")
        for name in {own, *shared} - {session}:
            self._moved[tenant, name] = session
        add(self._series, (tenant, series), session)
        self._correlations[key] = self._correlations.get(key, NONE) | {correlation}

    def _forget(self, key: tuple[str, str, str]) -> None:
        tenant, relationship, session = key
        del self._booked[tenant][relationship, session]
        self._number -= 1
        remove(self._sessions_of, (tenant, relationship), session)
        remove(self._relationships_of, (tenant, session), relationship)
        # Another relationship may be booked for the same session, and by the same meeting of a tool.
        left = {name for correlation in self._correlations_of(tenant, session) for name in correlation.split(".")}
        for correlation in self._correlations.pop(key, NONE):
            own, series, *shared = correlation.split(".")
            for name in {own, *shared} - left:
                self._moved.pop((tenant, name), None)
            if series not in left:
                remove(self._series, (tenant, series), session)
