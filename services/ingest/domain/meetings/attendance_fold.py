"""Fold one partition's attendance events into outcomes: one per session, the first."""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, assert_never

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import EPOCH, to_rfc3339
from services.ingest.domain.ids import EventContent, RawEvent, Subject, outcome_id, raw_event
from services.ingest.domain.meetings.attendance import (
    Attendance,
    AttendanceEvent,
    HeldOutcome,
    MissedOutcome,
    NoOutcome,
    due,
    outcome,
)
from services.ingest.domain.meetings.bookings import Booking
from services.ingest.domain.scope import RESERVED

ATTENDANCE = f"{RESERVED}attendance"
"""The source of outcomes that are concluded here."""
RETENTION = timedelta(days=1)
"""After the last event of a session. Longer than any meeting, and as long as the log that is replayed after a
restart."""

MAX_RUNS = 100
"""Limit of one relationship in a day; beyond it each run is concluded by itself, which bounds the cost."""


class SessionKey(NamedTuple):
    tenant: str
    relationship: str
    session: str


BookingLookup = Callable[[str, str, str, datetime], Booking | None]
"""Tenant, relationship, session, time: the booking that they meet for then."""


@dataclass
class _Session:
    program: str
    attendance: Attendance
    due: datetime
    is_emitted: bool = False


class AttendanceFold:
    """Not thread-safe. `emitted`: ids of outcomes that are already on the log. `clock`: the latest time of
    recording."""

    def __init__(self, expected: BookingLookup, emitted: AbstractSet[str] = frozenset()) -> None:
        self.clock = EPOCH
        self._expected, self._emitted = expected, emitted
        self._sessions: OrderedDict[SessionKey, _Session] = OrderedDict()
        self._by_relationship: dict[tuple[str, str], set[SessionKey]] = {}
        self._queue: list[tuple[datetime, SessionKey]] = []

    def apply(self, event: OfRelationship) -> SessionKey | None:
        """Apply an event. Return its session if the event is late, that is, if the session's outcome was already
        emitted."""
        match event.data:
            case p.SessionAttendance(session_id=session):
                verb: Literal["joined", "left"] = "joined" if event.type == "mentoring.session.joined.v1" else "left"
                event_key = f"{event.source} {event.id}"
                reported = AttendanceEvent(event.data.role, event.correlationid or "", verb, event.time, event_key)
                return self._record(SessionKey(event.tenant, event.subject, session), event, reported)
            case p.SessionHeld(session_id=session) | p.SessionMissed(session_id=session):
                tracked = self._sessions.get(SessionKey(event.tenant, event.subject, session))
                if tracked is not None and event.source == ATTENDANCE:
                    tracked.is_emitted = True
            case p.RelationshipErased():
                for key in list(self._by_relationship.get((event.tenant, event.subject), ())):
                    self._drop(key)
            case _:
                pass
        return None

    def advance(self, moment: datetime) -> Iterator[RawEvent]:
        """Yield the outcomes that are due by then."""
        self.clock = max(self.clock, moment)
        while self._queue and self._queue[0][0] <= self.clock:
            at, key = heapq.heappop(self._queue)
            session = self._sessions.get(key)
            if session is not None and session.due == at and not session.is_emitted:
                yield from self._conclude(key, session)
        while self._sessions:
            oldest = next(iter(self._sessions))
            if self._sessions[oldest].attendance.recorded >= self.clock - RETENTION:
                return
            self._drop(oldest)

    def undecided(self) -> Iterator[tuple[SessionKey, str]]:
        """Yield the sessions without an outcome by the current state, with the reason."""
        for key, session in self._sessions.items():
            booking = self._booking(key, session.attendance)
            found = outcome(self._combine(self._runs(key, booking)), booking)
            if isinstance(found, NoOutcome) and not session.is_emitted:
                yield key, found.reason

    def _record(self, key: SessionKey, event: OfRelationship, reported: AttendanceEvent) -> SessionKey | None:
        tracked = self._sessions.pop(key, None)
        attendance = tracked.attendance if tracked else Attendance(frozenset(), event.recordedtime)
        updated = attendance.with_event(reported, event.recordedtime)
        is_emitted, is_new = tracked is not None and tracked.is_emitted, updated is not attendance
        at = due(updated, self._booking(key, updated))
        # Append at the end: the session that was updated longest ago is dropped first.
        self._sessions[key] = _Session(event.program, updated, at, is_emitted)
        self._by_relationship.setdefault((key.tenant, key.relationship), set()).add(key)
        heapq.heappush(self._queue, (at, key))
        return key if is_emitted and is_new else None

    def _conclude(self, key: SessionKey, session: _Session) -> Iterator[RawEvent]:
        booking = self._booking(key, session.attendance)
        runs = self._runs(key, booking)
        attendance = self._combine(runs)
        at = due(attendance, booking)
        if at > self.clock:
            # The meeting was booked, moved or started anew since.
            session.due = at
            heapq.heappush(self._queue, (at, key))
            return
        content = _content(runs[0], outcome(attendance, booking))
        is_emitted = any(self._sessions[one].is_emitted for one in runs)
        if content is None and not is_emitted:
            return
        for one in runs:
            self._sessions[one].is_emitted = True
        if content is not None and not is_emitted and content.id not in self._emitted:
            yield raw_event(Subject(ATTENDANCE, key.tenant, session.program, key.relationship), content)

    def _runs(self, key: SessionKey, booking: Booking | None) -> list[SessionKey]:
        """Return the runs that belong to one booking, the first one first: a meeting that is left and started anew has
        several runs, each of which may be a session of its own if another tool booked it."""
        if booking is None or len(self._by_relationship[key.tenant, key.relationship]) > MAX_RUNS:
            return [key]
        found = {key}
        for one in self._by_relationship[key.tenant, key.relationship]:
            other = self._booking(one, self._sessions[one].attendance)
            if other is not None and other.session == booking.session:
                found.add(one)
        return sorted(found, key=lambda one: (self._sessions[one].attendance.begin, one))

    def _combine(self, runs: Iterable[SessionKey]) -> Attendance:
        attendances = [self._sessions[one].attendance for one in runs]
        return Attendance(
            frozenset().union(*(one.events for one in attendances)), max(one.recorded for one in attendances)
        )

    def _drop(self, key: SessionKey) -> None:
        del self._sessions[key]
        remaining = self._by_relationship[key.tenant, key.relationship]
        remaining.discard(key)
        if not remaining:
            del self._by_relationship[key.tenant, key.relationship]

    def _booking(self, key: SessionKey, attendance: Attendance) -> Booking | None:
        return self._expected(key.tenant, key.relationship, key.session, attendance.begin)


def _content(key: SessionKey, result: HeldOutcome | MissedOutcome | NoOutcome) -> EventContent | None:
    match result:
        case HeldOutcome(started_at=start, ended_at=end, minutes=minutes):
            event = outcome_id("held", key.relationship, key.session)
            data = {"session_id": key.session, "started_at": to_rfc3339(start), "minutes": minutes}
            return EventContent("mentoring.session.held.v1", event, end, _OBSERVED | data)
        case MissedOutcome(booking=booking, absent=absent):
            occasion = to_rfc3339(booking.starts_at)
            event = outcome_id("missed", key.relationship, booking.session, occasion)
            data = {"session_id": booking.session, "absent": absent}
            return EventContent("mentoring.session.missed.v1", event, booking.starts_at, _OBSERVED | data)
        case NoOutcome():
            return None
        case _:
            assert_never(result)


_OBSERVED = {"by": "system", "evidence": "observed"}
