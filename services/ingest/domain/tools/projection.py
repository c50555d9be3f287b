"""The state that resolution reads: relationships, bookings, and bounded in-memory state that is on no topic: meeting
attendance by tool, revisions and recent statements."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Literal, NamedTuple

from schemas import payloads as p
from schemas.directory import Participant
from schemas.events import MentoringEvent, OfPartition, OfRelationship
from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Ended,
    Joined,
    Left,
    Meeting,
    MeetingMoved,
    MoveRequested,
    Native,
    Person,
    Statement,
)
from services.ingest.domain.ids import RawEvent, digest, statement_id
from services.ingest.domain.meetings.attendance import is_there
from services.ingest.domain.meetings.bookings import BookedSession, Bookings
from services.ingest.domain.meetings.revisions import NO_GUESTS, Guests, Revisions
from services.ingest.domain.people.relationship_history import RelationshipHistory
from services.ingest.domain.people.roster import ERASED, Conflict, Roster, normal
from services.ingest.domain.scope import RESERVED, ConnectionScope

MOST_MEETINGS = 50_000
"""Limit across all tools; a meeting of two takes about 2 KB."""
MOST_VISITS = 1_000
"""Limit of one meeting: a large gathering, with each event reported twice, still fits."""
UNIDENTIFIED = ""
"""Stands for anybody who is no known participant."""
MOST_UNIDENTIFIED = 20
"""Joins and leaves of unidentified people in one meeting: only their presence counts."""


@dataclass(frozen=True)
class Visit:
    """A join or a leave."""

    participant: str
    verb: Literal["joined", "left"]
    key: str
    time: datetime
    native: Native


@dataclass(frozen=True)
class Gathering:
    """The attendance of one meeting. Order and repetition of a tool's events do not matter. `session` is the session of
    the first event on the log: later events belong to it, whatever was booked meanwhile."""

    visits: frozenset[Visit] = frozenset()
    ends: frozenset[Ended] = frozenset()
    session: str = ""

    @property
    def people(self) -> frozenset[str]:
        """The identified participants."""
        return frozenset(visit.participant for visit in self.visits) - {UNIDENTIFIED}

    @property
    def has_unidentified(self) -> bool:
        return any(visit.participant == UNIDENTIFIED for visit in self.visits)

    def with_visit(self, visit: Visit) -> "Gathering":
        is_known = visit.participant != UNIDENTIFIED
        alike = sum((one.participant != UNIDENTIFIED) is is_known for one in self.visits)
        is_full = alike >= (MOST_VISITS if is_known else MOST_UNIDENTIFIED)
        return self if is_full else replace(self, visits=self.visits | {visit})

    def with_end(self, end: Ended) -> "Gathering":
        return self if len(self.ends) >= MOST_VISITS else replace(self, ends=self.ends | {end})

    def without(self, said: Visit | Ended) -> "Gathering":
        return replace(self, visits=self.visits - {said}, ends=self.ends - {said})

    def of(self, people: frozenset[str]) -> frozenset[Visit]:
        """Return all joins and leaves of these people; somebody without a leave left at the end of the meeting."""
        own = {visit for visit in self.visits if visit.participant in people}
        left = {
            Visit(person, "left", end.key, end.time, end.native)
            for end in self.ends
            for person in people
            if is_there(visit for visit in self.visits if visit.participant == person and visit.time <= end.time)
        }
        return frozenset(own | left)


EMPTY = Gathering()


def visit(said: Joined | Left, participant: str) -> Visit:
    verb: Literal["joined", "left"] = "joined" if isinstance(said, Joined) else "left"
    known = Visit(participant, verb, said.key, said.time, said.native)
    return known if participant else of_anybody(known, said.meeting)


def of_anybody(one: Visit, meeting: Meeting) -> Visit:
    """Drop the identity of an unidentified visitor, which would be personal data."""
    key = f"unidentified:{one.verb}:{meeting.id}:{meeting.instance}:{to_rfc3339(one.time)}"
    return replace(one, participant=UNIDENTIFIED, key=key)


class Presence:
    """Attendance by meeting. One writer thread; readable from any thread. It stores participants of the roster only; of
    anybody else only the time of the join or leave, because they may be a participant. Over its limit it evicts the
    meeting that was updated longest ago."""

    def __init__(self, most: int = MOST_MEETINGS) -> None:
        self._most = most
        self._gatherings: OrderedDict[tuple[str, Meeting], Gathering] = OrderedDict()

    def at(self, source: str, meeting: Meeting) -> Gathering:
        return self._gatherings.get((source, meeting), EMPTY)

    def apply(self, source: str, said: Statement, participant: str = UNIDENTIFIED, session: str = "") -> None:
        """`participant` is the person of the activity, `session` the session of its events, empty if none were
        emitted."""
        match said:
            case Joined(meeting=meeting) | Left(meeting=meeting):
                gathering = self.at(source, meeting).with_visit(visit(said, participant))
            case Ended(meeting=meeting):
                # Also for a meeting without known participants: the end may arrive before the joins.
                gathering = self.at(source, meeting).with_end(said)
            case _:
                return
        self._gatherings.pop((source, meeting), None)
        self._gatherings[source, meeting] = replace(gathering, session=gathering.session or session)
        if len(self._gatherings) > self._most:
            self._gatherings.popitem(last=False)


MOST_STATEMENTS = 100_000
"""About 60 MB; anything older is looked up in the warehouse."""
LATE_NOTICE_HOURS = 24
"""As in scoring: a cancellation with less notice than this is a fact of the group `late`."""


class Spoken(NamedTuple):
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


Find = Callable[[str, str, str], tuple[Spoken, ...]]
"""Tenant, source, statement id: all events that the statement became."""


class Memory:
    """The emitted events of tools' recent statements. One writer thread; readable from any thread."""

    def __init__(self, most: int = MOST_STATEMENTS) -> None:
        self._most = most
        self._spoken: OrderedDict[tuple[str, str, str], tuple[Spoken, ...]] = OrderedDict()

    def apply(self, event: OfRelationship) -> None:
        """Apply any event of the log; only those of tools are stored."""
        statement = event.id.partition(".")[0]
        if not event.source.startswith(RESERVED):
            return
        key, spoken = (event.tenant, event.source, statement), spoken_of(event)
        known = self._spoken.pop(key, ())
        is_known = any(one._replace(retracted=None) == spoken for one in known)
        self._spoken[key] = known if is_known else (*known, spoken)
        if isinstance(event.data, p.EventRetracted):
            back, target = event.data.id, (event.tenant, event.data.source, event.data.id.partition(".")[0])
            if stood := self._spoken.get(target):
                latest = (max(event.time, one.retracted or event.time) for one in stood)
                told = zip(stood, latest, strict=True)
                self._spoken[target] = tuple(one._replace(retracted=at) if one.id == back else one for one, at in told)
        if len(self._spoken) > self._most:
            self._spoken.popitem(last=False)

    def find(self, tenant: str, source: str, statement: str) -> tuple[Spoken, ...]:
        return self._spoken.get((tenant, source, statement), ())


def spoken_of(event: OfRelationship) -> Spoken:
    session = event.data.session_id if isinstance(event.data, p.SessionAttendance) else ""
    return Spoken(event.subject, event.program, event.id, event.type, event.time, slot_of(event.data), session)


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
    presence: Presence = field(default_factory=Presence)
    revisions: Revisions = field(default_factory=Revisions)
    memory: Memory = field(default_factory=Memory)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def apply(self, event: MentoringEvent) -> None:
        if isinstance(event, OfPartition):
            return
        with self._lock:
            self.roster.apply(event)
            # Events after an erasure restore nothing; the erasure itself also applies to bookings.
            if event.type == ERASED or not self.roster.is_erased(event.tenant, event.subject):
                self.bookings.apply(event)
            self.memory.apply(event)

    def recall(self, event: MentoringEvent) -> None:
        """Restore only the statement index; relationships and bookings stay unchanged."""
        if not isinstance(event, OfPartition):
            with self._lock:
                self.memory.apply(event)

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

    def track(self, said: Activity, scope: ConnectionScope, events: Sequence[RawEvent] = ()) -> None:
        """Record attendance and changes of a meeting, for later activities of the same meeting. Call it after
        `resolve`, with the resulting events; after a restart, call it without events for the activities of the last
        day: their events are on the log. Other activities change nothing."""
        match said:
            case Joined() | Left() | Ended():
                who = None
                if not isinstance(said, Ended):
                    who = self.roster.participant(scope.tenant, scope.tool, said.person)
                # All events of one activity have the same session.
                told = events[0]["data"] if events else None
                session = str(told["session_id"]) if isinstance(told, Mapping) else ""
                with self._lock:
                    if not events:
                        key = said.key if isinstance(said, Ended) else visit(said, who or UNIDENTIFIED).key
                        spoken = self.memory.find(scope.tenant, scope.source, statement_id(key))
                        session = next((one.session for one in spoken if one.session), "")
                    self.presence.apply(scope.source, said, who or UNIDENTIFIED, session)
            case MoveRequested():
                with self._lock:
                    self.revisions.apply(scope.source, said)
            case Booked() | Cancelled() | MeetingMoved():
                guests = NO_GUESTS
                if isinstance(said, Booked) or (said.people and (isinstance(said, MeetingMoved) or said.copy_of)):
                    guests = self.guests(said, scope)
                with self._lock:
                    self.revisions.apply(scope.source, said, guests)
            case _:
                pass

    def guests(self, said: Booked | Cancelled | MeetingMoved, scope: ConnectionScope) -> Guests:
        """Identify the guests by the current directory."""
        identify = partial(self.roster.identify, scope.tenant, scope.tool)
        found = [(person, identify(person)) for person in said.people]
        if isinstance(said, Cancelled):
            return Guests(frozenset[str]().union(*(known for _, known in found)))
        new, declined = (said.new, said.declined) if isinstance(said, Booked) else ((), ())
        strangers = [person for person, known in found if not known and person not in new]
        return Guests(
            frozenset[str]().union(*(known for _, known in found)),
            frozenset[str]().union(*map(identify, declined)),
            len(strangers),
            frozenset(digest("stranger", normal(one.address or one.id)) for one in strangers if one != Person()),
        )
