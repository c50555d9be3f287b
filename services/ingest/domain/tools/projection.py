"""What ingest knows while it works, as topics hold it: who is paired, what is booked, who meets, what tools said."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

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
    Person,
)
from services.ingest.domain.derived_events import digest
from services.ingest.domain.meetings.bookings import BookedSession, Bookings
from services.ingest.domain.meetings.gatherings import UNIDENTIFIED, Presence
from services.ingest.domain.meetings.revisions import NO_GUESTS, Guests, Revisions
from services.ingest.domain.people.relationship_history import RelationshipHistory, bounded_history
from services.ingest.domain.people.roster import ERASED, Conflict, Roster, normal
from services.ingest.domain.scope import RESERVED, ConnectionScope

PROGRESS_KEY = b"\x00progress"
"""No tenant/relationship begins with a zero byte."""
MOST_BYTES = 900_000
"""Of one record: Kafka takes 1,048,588 with the key and all that it adds."""
MOST_SESSIONS = 100
"""Of one relationship, those that end last: two years of weekly meetings booked ahead."""
MOST_MATTERS = 20
"""Of one session: meetings of tools that it was moved from."""
OVER_FOR = timedelta(days=35)
"""A session that ended so long before the latest word on its relationship is asked for no more: tools tell of a
meeting within days, and what is cancelled later was over anyway."""


class _ProjectionRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RosterRecord(_ProjectionRecord):
    """Of `mentoring.roster`, key tenant/relationship. An erased relationship keeps nothing but that it is erased."""

    version: Literal[1] = 1
    position: int
    erased: bool = False
    history: RelationshipHistory = RelationshipHistory()


class BookingsRecord(_ProjectionRecord):
    """Of `mentoring.bookings`, key tenant/relationship."""

    version: Literal[1] = 1
    position: int
    sessions: tuple[BookedSession, ...] = ()


class ProgressRecord(_ProjectionRecord):
    """Of either topic, under PROGRESS_KEY: how far the partition of the log with the same number is folded. It comes
    after all that it speaks of."""

    version: Literal[1] = 1
    next_offset: int


AnyRecord = TypeVar("AnyRecord", RosterRecord, BookingsRecord, ProgressRecord)


def dump(record: RosterRecord | BookingsRecord | ProgressRecord) -> bytes:
    return record.__pydantic_serializer__.to_json(record)


def load(model: type[AnyRecord], value: bytes) -> AnyRecord:
    """Raises pydantic.ValidationError for a layout that this version does not know."""
    return model.model_validate_json(value)


def roster_value(at: int, history: RelationshipHistory) -> bytes:
    """Of a relationship that is not erased. Sources and ids may be long, and twice as long in JSON: then less is kept
    than usually."""
    share = 1
    while len(value := dump(RosterRecord(position=at, history=bounded_history(history, share)))) > MOST_BYTES:
        share *= 2
    return value


def alive(sessions: tuple[BookedSession, ...], latest: datetime) -> tuple[BookedSession, ...]:
    """Those that are not long over at the latest word on their relationship."""
    lasting = (one for one in sessions if one.booking.ends_at >= latest - OVER_FOR)
    in_order = sorted(lasting, key=lambda one: (one.booking.ends_at, one.booking.session))
    return tuple(
        one if len(one.matters) <= MOST_MATTERS else one._replace(matters=one.matters[:MOST_MATTERS])
        for one in in_order[-MOST_SESSIONS:]
    )


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
        self._spoken: OrderedDict[tuple[str, str, str], tuple[Spoken, ...]] = OrderedDict()

    def apply(self, event: OfRelationship) -> None:
        """Any event of the log; only what tools said is kept."""
        statement = event.id.partition(".")[0]
        if not event.source.startswith(RESERVED):
            return
        key, spoken = (event.tenant, event.source, statement), spoken_of(event)
        known = self._spoken.pop(key, ())
        self._spoken[key] = known if spoken in known else (*known, spoken)
        if len(self._spoken) > self._most:
            self._spoken.popitem(last=False)

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
    revisions: Revisions = field(default_factory=Revisions)
    memory: Memory = field(default_factory=Memory)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def apply(self, event: MentoringEvent) -> None:
        if isinstance(event, OfPartition):
            return
        with self._lock:
            self.roster.apply(event)
            # What comes after an erasure brings nothing back; the erasure itself is of bookings too.
            if event.type == ERASED or not self.roster.is_erased(event.tenant, event.subject):
                self.bookings.apply(event)
            self.memory.apply(event)

    def recall(self, event: MentoringEvent) -> None:
        """What tools said before; it changes nothing of who is paired and what is booked."""
        if not isinstance(event, OfPartition):
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

    def track(self, said: Activity, scope: ConnectionScope) -> None:
        """Who came to a meeting and who left, and how it was changed, for what is said of that meeting next; to be told
        after `resolve`, and, after a restart, for what was said within the last day. Whatever else is said changes
        nothing."""
        match said:
            case Joined() | Left() | Ended():
                who = None
                if not isinstance(said, Ended):
                    who = self.roster.participant(scope.tenant, scope.tool, said.person)
                with self._lock:
                    self.presence.apply(scope.source, said, who or UNIDENTIFIED)
            case Booked() | Cancelled() | MeetingMoved():
                guests = self.guests(said, scope) if isinstance(said, Booked) else NO_GUESTS
                with self._lock:
                    self.revisions.apply(scope.source, said, guests)
            case _:
                pass

    def guests(self, said: Booked, scope: ConnectionScope) -> Guests:
        """By what is known of people now."""
        identify = partial(self.roster.identify, scope.tenant, scope.tool)
        found = [(person, identify(person)) for person in said.people]
        strangers = [person for person, known in found if not known and person not in said.new]
        return Guests(
            frozenset[str]().union(*(known for _, known in found)),
            frozenset[str]().union(*map(identify, said.declined)),
            len(strangers),
            frozenset(digest("stranger", normal(one.address or one.id)) for one in strangers if one != Person()),
        )
