"""The state that resolution reads: relationships, bookings, and bounded in-memory state that is on no topic: meeting
attendance by tool, revisions and recent statements."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple

from schemas import payloads as p
from schemas.directory import Participant
from schemas.events import MentoringEvent, OfPartition, OfRelationship
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Ended,
    Joined,
    Left,
    MeetingMoved,
    MoveRequested,
    Person,
)
from services.ingest.domain.ids import RawEvent, digest, statement_id
from services.ingest.domain.meetings.attendance_index import UNIDENTIFIED, AttendanceIndex, visit_of
from services.ingest.domain.meetings.bookings import BookedSession, Bookings
from services.ingest.domain.meetings.revisions import NO_GUESTS, Guests, Revisions
from services.ingest.domain.people.relationship_history import RelationshipHistory
from services.ingest.domain.people.roster import ERASED, Conflict, Roster, normal
from services.ingest.domain.scope import RESERVED, ConnectionScope

MAX_STATEMENTS = 100_000
"""About 60 MB; anything older is looked up in the warehouse."""
LATE_NOTICE_HOURS = 24
"""As in scoring: a cancellation with less notice than this is a fact of the group `late`."""


class EmittedEvent(NamedTuple):
    """An event on the log, without its content. `session` is set for a join or leave, `retracted` is when the tool
    retracted the event."""

    relationship: str
    program: str
    id: str
    type: str
    time: datetime
    slot: str
    session: str = ""
    retracted: datetime | None = None


Find = Callable[[str, str, str], tuple[EmittedEvent, ...]]
"""Tenant, source, statement id: all events that the statement became."""


class StatementIndex:
    """The emitted events of tools' recent statements. One writer thread; readable from any thread."""

    def __init__(self, most: int = MAX_STATEMENTS) -> None:
        self._most = most
        self._emitted: OrderedDict[tuple[str, str, str], tuple[EmittedEvent, ...]] = OrderedDict()

    def apply(self, event: OfRelationship) -> None:
        """Apply any event of the log; only those of tools are stored."""
        statement = event.id.partition(".")[0]
        if not event.source.startswith(RESERVED):
            return
        key, emitted = (event.tenant, event.source, statement), emitted_event(event)
        previous = self._emitted.pop(key, ())
        is_identified = any(one._replace(retracted=None) == emitted for one in previous)
        self._emitted[key] = previous if is_identified else (*previous, emitted)
        if isinstance(event.data, p.EventRetracted):
            back, target = event.data.id, (event.tenant, event.data.source, event.data.id.partition(".")[0])
            if emitted_before := self._emitted.get(target):
                latest = (max(event.time, one.retracted or event.time) for one in emitted_before)
                updated = zip(emitted_before, latest, strict=True)
                self._emitted[target] = tuple(
                    one._replace(retracted=at) if one.id == back else one for one, at in updated
                )
        if len(self._emitted) > self._most:
            self._emitted.popitem(last=False)

    def find(self, tenant: str, source: str, statement: str) -> tuple[EmittedEvent, ...]:
        return self._emitted.get((tenant, source, statement), ())


def emitted_event(event: OfRelationship) -> EmittedEvent:
    session = event.data.session_id if isinstance(event.data, p.SessionAttendance) else ""
    return EmittedEvent(event.subject, event.program, event.id, event.type, event.time, slot_of(event.data), session)


def slot_of(data: object) -> str:
    """The group of facts that the event belongs to, as `event.retracted` names it."""
    match data:
        case p.GoalChanged(goal_id=goal):
            return goal
        case p.SessionMissed(absent=absent):
            return absent
        case p.SessionCancelled(notice_hours=float(hours)) if hours < LATE_NOTICE_HOURS:
            return "late"
        case p.OneSided(by=side):
            return side
        case p.MilestoneCelebrated(by=by):
            return by if by in {"mentor", "mentee"} else "both"
        case _:
            return ""


@dataclass(frozen=True)
class Projection:
    """Thread-safe. Applying an event twice changes nothing, so an event can be applied when it is written and again
    when it is read from the log."""

    roster: Roster = field(default_factory=Roster)
    bookings: Bookings = field(default_factory=Bookings)
    attendance_index: AttendanceIndex = field(default_factory=AttendanceIndex)
    revisions: Revisions = field(default_factory=Revisions)
    statement_index: StatementIndex = field(default_factory=StatementIndex)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def apply(self, event: MentoringEvent) -> None:
        if isinstance(event, OfPartition):
            return
        with self._lock:
            self.roster.apply(event)
            # Events after an erasure restore nothing; the erasure itself also applies to bookings.
            if event.type == ERASED or not self.roster.is_erased(event.tenant, event.subject):
                self.bookings.apply(event)
            self.statement_index.apply(event)

    def recall(self, event: MentoringEvent) -> None:
        """Restore only the statement index; relationships and bookings stay unchanged."""
        if not isinstance(event, OfPartition):
            with self._lock:
                self.statement_index.apply(event)

    def restore_history(self, tenant: str, relationship: str, history: RelationshipHistory | None) -> None:
        """Restore a relationship from the roster's topic; None if it was erased."""
        with self._lock:
            if history is None:
                self.roster.erase(tenant, relationship)
                self.bookings.forget(tenant, relationship)
            else:
                self.roster.restore(tenant, relationship, history)

    def restore_bookings(self, tenant: str, relationship: str, sessions: Iterable[BookedSession]) -> None:
        with self._lock:
            if not self.roster.is_erased(tenant, relationship):
                self.bookings.restore(tenant, relationship, sessions)

    def upsert(self, participant: Participant) -> tuple[Conflict, ...]:
        """Return the identities that others claim as well: they identify nobody from now on."""
        with self._lock:
            return self.roster.upsert(participant)

    def forget(self, tenant: str, participant: str) -> None:
        with self._lock:
            self.roster.forget(tenant, participant)

    def track(self, activity: Activity, scope: ConnectionScope, events: Sequence[RawEvent] = ()) -> None:
        """Record attendance and changes of a meeting, for later activities of the same meeting. Call it after
        `resolve`, with the resulting events; after a restart, call it without events for the activities of the last
        day: their events are on the log. Other activities change nothing."""
        match activity:
            case Joined() | Left() | Ended():
                who = None
                if not isinstance(activity, Ended):
                    who = self.roster.participant(scope.tenant, scope.tool, activity.person)
                # All events of one activity have the same session.
                data = events[0]["data"] if events else None
                session = str(data["session_id"]) if isinstance(data, Mapping) else ""
                with self._lock:
                    if not events:
                        key = (
                            activity.key if isinstance(activity, Ended) else visit_of(activity, who or UNIDENTIFIED).key
                        )
                        emitted = self.statement_index.find(scope.tenant, scope.source, statement_id(key))
                        session = next((one.session for one in emitted if one.session), "")
                    self.attendance_index.apply(scope.source, activity, who or UNIDENTIFIED, session)
            case MoveRequested():
                with self._lock:
                    self.revisions.apply(scope.source, activity)
            case Booked() | Cancelled() | MeetingMoved():
                guests = NO_GUESTS
                if isinstance(activity, Booked) or (
                    activity.people and (isinstance(activity, MeetingMoved) or activity.copy_of)
                ):
                    guests = self.guests(activity, scope)
                with self._lock:
                    self.revisions.apply(scope.source, activity, guests)
            case _:
                pass

    def guests(self, activity: Booked | Cancelled | MeetingMoved, scope: ConnectionScope) -> Guests:
        """Identify the guests by the current directory."""
        identify = partial(self.roster.identify, scope.tenant, scope.tool)
        found = [(person, identify(person)) for person in activity.people]
        if isinstance(activity, Cancelled):
            return Guests(frozenset[str]().union(*(participants for _, participants in found)))
        new, declined = (activity.new, activity.declined) if isinstance(activity, Booked) else ((), ())
        strangers = [person for person, participants in found if not participants and person not in new]
        return Guests(
            frozenset[str]().union(*(participants for _, participants in found)),
            frozenset[str]().union(*map(identify, declined)),
            len(strangers),
            frozenset(digest("stranger", normal(one.address or one.id)) for one in strangers if one != Person()),
        )
