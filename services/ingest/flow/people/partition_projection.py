"""What the projector knows of one partition of the log: folded from events, and held as it lies on its topics."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from schemas.events import OfRelationship
from schemas.payloads import SessionCancelled, SessionScheduled
from schemas.primitives import EPOCH
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.people.projected_topics import (
    PROGRESS_KEY,
    BookingsRecord,
    ProgressRecord,
    Projected,
    ProjectionTopics,
    RosterRecord,
    alive,
    dump,
    load,
    roster_value,
)
from services.runtime.kafka import Record
from services.runtime.unexpected import error_fields
from services.validation_errors import places

Read = TypeVar("Read")
THIS_LAYOUT = dump(ProgressRecord(next_offset=0)).partition(b",")[0]
"""Records of the version that runs begin with these bytes."""
CHECKED_AT_ONCE = 50
"""Records, once in each round of the loop: they take some milliseconds."""


def restore(projection: Projection, record: Record, topics: ProjectionTopics) -> None:
    """What was projected before, from either topic. Raises ValidationError for a record that this version does not
    know."""
    tenant, _, relationship = (record.key or b"").decode(errors="replace").partition("/")
    if record.topic == topics.roster:
        told = load(RosterRecord, record.value or b"")
        projection.restore_history(tenant, relationship, None if told.erased else told.history)
    else:
        projection.restore_bookings(tenant, relationship, load(BookingsRecord, record.value or b"").sessions)


class TouchedRelationship(NamedTuple):
    """`latest`: the time of the last recording that was seen of the relationship; whether its history or its bookings
    are to be written."""

    latest: datetime
    history: bool
    bookings: bool


UNTOUCHED = TouchedRelationship(EPOCH, history=False, bookings=False)


class UnreadableProjectionError(Exception):
    """A record of the projection cannot be understood. The message names it, and the places in it."""


class PartitionProjection:
    """`touched` are the relationships of which something is not written yet. What was projected before is held as bytes
    until its relationship is told of: most are not for days, and to understand all of them took most of a start."""

    def __init__(self, topics: ProjectionTopics) -> None:
        self._topics = topics
        self._projection = Projection()
        self._held: dict[bytes, list[Record]] = {}
        self._unchecked: list[Record] = []
        self._reached = {topics.roster: 0, topics.bookings: 0}
        self.touched: dict[tuple[str, str], TouchedRelationship] = {}

    @property
    def reached(self) -> int:
        """The offset of the log up to which what is held is all."""
        return min(self._reached.values())

    def apply(self, event: OfRelationship) -> None:
        """What changes nothing of a relationship's history or of its bookings makes no new record of these: most words
        on bookings leave who is paired as it was, and a start of any service reads every record. Raises
        UnreadableProjectionError."""
        key, roster = (event.tenant, event.subject), self._projection.roster
        held = f"{event.tenant}/{event.subject}".encode()
        for record in self._held.get(held, ()):
            self._understand(record, self._projection)
        self._held.pop(held, None)
        before, was_erased = roster.history(*key), roster.is_erased(*key)
        self._projection.apply(event)
        known = self.touched.get(key, UNTOUCHED)
        is_first = not before.facts or roster.is_erased(*key) != was_erased
        self.touched[key] = TouchedRelationship(
            max(event.recordedtime, known.latest),
            known.history or is_first or roster.history(*key) is not before,
            known.bookings or is_first or isinstance(event.data, SessionScheduled | SessionCancelled),
        )

    def hold(self, record: Record) -> None:
        """Of either topic. Raises UnreadableProjectionError for a record of another version."""
        value = record.value or b""
        if record.key == PROGRESS_KEY:
            self._reached[record.topic] = _or_unreadable(record, partial(load, ProgressRecord, value)).next_offset
            return
        if value.startswith(THIS_LAYOUT):
            self._unchecked.append(record)
        else:
            self._understand(record, Projection())
        self._held.setdefault(record.key or b"", []).append(record)

    def check_some(self) -> bool:
        """Whether records that are held can be understood: whoever else follows them knows nothing of a relationship
        whose record cannot. False when all were checked. Raises UnreadableProjectionError."""
        some = self._unchecked[-CHECKED_AT_ONCE:]
        for record in some:
            self._understand(record, Projection())
        del self._unchecked[-CHECKED_AT_ONCE:]
        return bool(some)

    def _understand(self, record: Record, projection: Projection) -> None:
        _or_unreadable(record, partial(restore, projection, record, self._topics))

    def records(self, at: int, touched: tuple[str, str]) -> Iterator[Projected]:
        """Of one that was touched."""
        roster, bookings = self._projection.roster, self._projection.bookings
        (tenant, relationship), what = touched, self.touched[touched]
        key = f"{tenant}/{relationship}".encode()
        if what.history:
            erased = roster.is_erased(tenant, relationship)
            value = (
                dump(RosterRecord(position=at, erased=True))
                if erased
                else roster_value(at, roster.history(tenant, relationship))
            )
            yield Projected(self._topics.roster, key, value)
        if what.bookings:
            sessions = alive(bookings.of(tenant, relationship), what.latest)
            yield Projected(self._topics.bookings, key, dump(BookingsRecord(position=at, sessions=sessions)))


def _or_unreadable(record: Record, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except Exception as failure:
        why = ", ".join(places(failure)) if isinstance(failure, ValidationError) else str(error_fields(failure))
        raise UnreadableProjectionError(f"{record.topic} {record.partition}/{record.offset}: {why}") from failure
