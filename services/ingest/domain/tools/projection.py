"""What ingest knows while it works: who is paired with whom, what is booked, who is in which meeting, and what tools
said before."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from schemas import payloads as p
from schemas.directory import Participant
from schemas.events import MentoringEvent, OfRelationship
from services.ingest.domain.activity import Activity, Joined, Left
from services.ingest.domain.meetings.bookings import Bookings
from services.ingest.domain.meetings.gatherings import UNIDENTIFIED, Presence
from services.ingest.domain.people.roster import ERASED, Conflict, Roster
from services.ingest.domain.projection_records import BookingsRecord, RosterRecord
from services.ingest.domain.scope import RESERVED, ConnectionScope

MOST_STATEMENTS = 100_000
"""About 60 MB; whatever is older is asked of the warehouse."""
LATE_NOTICE_HOURS = 24
"""As in scoring: a cancellation with less notice than this is a fact of the group `late`."""


class Spoken(NamedTuple):
    """An event on the log, without what it said."""

    relationship: str
    program: str
    id: str
    type: str
    time: datetime
    slot: str


Find = Callable[[str, str, str], tuple[Spoken, ...]]
"""Tenant, source, statement id: every event that the statement became."""


class Memory:
    """One thread tells it at a time, any thread asks."""

    def __init__(self, most: int = MOST_STATEMENTS) -> None:
        self._most = most
        self._spoken: dict[tuple[str, str, str], tuple[Spoken, ...]] = {}

    def apply(self, event: OfRelationship) -> None:
        """Any event of the log; only what tools said is kept."""
        statement = event.id.partition(".")[0]
        if not event.source.startswith(RESERVED):
            return
        key, spoken = (event.tenant, event.source, statement), spoken_of(event)
        known = self._spoken.pop(key, ())
        self._spoken[key] = known if spoken in known else (*known, spoken)
        if len(self._spoken) > self._most:
            del self._spoken[next(iter(self._spoken))]

    def find(self, tenant: str, source: str, statement: str) -> tuple[Spoken, ...]:
        return self._spoken.get((tenant, source, statement), ())


def spoken_of(event: OfRelationship) -> Spoken:
    return Spoken(event.subject, event.program, event.id, event.type, event.time, slot_of(event.data))


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
    """For any thread. To hear a repeat changes nothing, so that what was just written may be heard at once, and once
    more when it comes back on the log."""

    roster: Roster = field(default_factory=Roster)
    bookings: Bookings = field(default_factory=Bookings)
    presence: Presence = field(default_factory=Presence)
    memory: Memory = field(default_factory=Memory)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def apply(self, event: MentoringEvent) -> None:
        if event.type == "mentoring.clock.reached.v1":
            return
        with self._lock:
            self.roster.apply(event)
            # What comes after an erasure brings nothing back; the erasure itself is of bookings too.
            if event.type == ERASED or not self.roster.is_erased(event.tenant, event.subject):
                self.bookings.apply(event)
            self.memory.apply(event)

    def recall(self, event: MentoringEvent) -> None:
        """What tools said before; it changes nothing of who is paired and what is booked."""
        if event.type != "mentoring.clock.reached.v1":
            with self._lock:
                self.memory.apply(event)

    def apply_roster(self, tenant: str, relationship: str, record: RosterRecord) -> None:
        with self._lock:
            if record.erased:
                self.roster.erase(tenant, relationship)
                self.bookings.forget(tenant, relationship)
            else:
                self.roster.restore(tenant, relationship, record.history)

    def apply_bookings(self, tenant: str, relationship: str, record: BookingsRecord) -> None:
        with self._lock:
            if not self.roster.is_erased(tenant, relationship):
                self.bookings.restore(tenant, relationship, record.sessions)

    def upsert(self, participant: Participant) -> tuple[Conflict, ...]:
        """Returns the identities that others claim as well: they are nobody's from now on."""
        with self._lock:
            return self.roster.upsert(participant)

    def forget(self, tenant: str, participant: str) -> None:
        with self._lock:
            self.roster.forget(tenant, participant)

    def track(self, said: Activity, connection_scope: ConnectionScope) -> None:
        """Who came to a meeting and who left, for what is said of that meeting next; to be told after `resolve`, and,
        after a restart, for what was said within the last day. Whatever else is said changes nothing."""
        who = UNIDENTIFIED
        if isinstance(said, Joined | Left):
            found = self.roster.participant(connection_scope.tenant, connection_scope.tool, said.person)
            who = found or UNIDENTIFIED
        with self._lock:
            self.presence.apply(connection_scope.source, said, who)
