"""The projection of one partition of the log: folded from events, and kept as encoded records until it is needed."""

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
    dump,
    load,
    roster_value,
    select_retained,
)
from services.runtime.kafka import Record
from services.runtime.unexpected import error_fields
from services.validation_errors import field_errors

Result = TypeVar("Result")
THIS_LAYOUT = dump(ProgressRecord(next_offset=0)).partition(b",")[0]
"""Records of the running version begin with these bytes."""
CHECKED_AT_ONCE = 50
"""Records checked in each round of the loop, which take some milliseconds."""


def restore(projection: Projection, record: Record, topics: ProjectionTopics) -> None:
    """Restores a projected record of either topic. Raises ValidationError for a record that this version cannot
    read."""
    tenant, _, relationship = (record.key or b"").decode(errors="replace").partition("/")
    if record.topic == topics.roster:
        restored = load(RosterRecord, record.value or b"")
        projection.restore_history(tenant, relationship, None if restored.erased else restored.history)
    else:
        projection.restore_bookings(tenant, relationship, load(BookingsRecord, record.value or b"").sessions)


class ChangedRelationship(NamedTuple):
    """`latest`: the latest `recordedtime` of the relationship's events. `history`, `bookings`: whether these must be
    written."""

    latest: datetime
    history: bool
    bookings: bool


UNCHANGED = ChangedRelationship(EPOCH, history=False, bookings=False)


class UnreadableProjectionError(Exception):
    """A record of the projection cannot be decoded. The message names it, and the paths in it."""


class PartitionProjection:
    """`changed` are the relationships that are not written yet. Projected records are decoded when the first event of
    their relationship arrives: most have none for days, and decoding all of them took most of a start."""

    def __init__(self, topics: ProjectionTopics) -> None:
        self._topics = topics
        self._projection = Projection()
        self._undecoded: dict[bytes, list[Record]] = {}
        self._unchecked: list[Record] = []
        self._reached = {topics.roster: 0, topics.bookings: 0}
        self.changed: dict[tuple[str, str], ChangedRelationship] = {}

    @property
    def reached(self) -> int:
        """The offset of the log up to which the projected records are complete."""
        return min(self._reached.values())

    def apply(self, event: OfRelationship) -> None:
        """Marks the history or the bookings of the relationship as changed only if they are: most booking events leave
        the history as it was, and each start of a service reads every record. Raises UnreadableProjectionError."""
        key, roster = (event.tenant, event.subject), self._projection.roster
        record_key = f"{event.tenant}/{event.subject}".encode()
        for record in self._undecoded.get(record_key, ()):
            self._decode(record, self._projection)
        self._undecoded.pop(record_key, None)
        before, was_erased = roster.history(*key), roster.is_erased(*key)
        self._projection.apply(event)
        change = self.changed.get(key, UNCHANGED)
        is_first = not before.facts or roster.is_erased(*key) != was_erased
        self.changed[key] = ChangedRelationship(
            max(event.recordedtime, change.latest),
            change.history or is_first or roster.history(*key) is not before,
            change.bookings or is_first or isinstance(event.data, SessionScheduled | SessionCancelled),
        )

    def add(self, record: Record) -> None:
        """Adds a projected record of either topic. Raises UnreadableProjectionError for one of another version."""
        value = record.value or b""
        if record.key == PROGRESS_KEY:
            self._reached[record.topic] = _or_unreadable(record, partial(load, ProgressRecord, value)).next_offset
            return
        if value.startswith(THIS_LAYOUT):
            self._unchecked.append(record)
        else:
            self._decode(record, Projection())
        self._undecoded.setdefault(record.key or b"", []).append(record)

    def check_some(self) -> bool:
        """Checks that some undecoded records can be decoded, because followers drop a relationship whose record cannot
        be. False when all were checked. Raises UnreadableProjectionError."""
        some = self._unchecked[-CHECKED_AT_ONCE:]
        for record in some:
            self._decode(record, Projection())
        del self._unchecked[-CHECKED_AT_ONCE:]
        return bool(some)

    def _decode(self, record: Record, projection: Projection) -> None:
        _or_unreadable(record, partial(restore, projection, record, self._topics))

    def records(self, at: int, changed: tuple[str, str]) -> Iterator[Projected]:
        """The records of a changed relationship. `at`: the position of the log."""
        roster, bookings = self._projection.roster, self._projection.bookings
        (tenant, relationship), change = changed, self.changed[changed]
        key = f"{tenant}/{relationship}".encode()
        if change.history:
            erased = roster.is_erased(tenant, relationship)
            value = (
                dump(RosterRecord(position=at, erased=True))
                if erased
                else roster_value(at, roster.history(tenant, relationship))
            )
            yield Projected(self._topics.roster, key, value)
        if change.bookings:
            sessions = select_retained(bookings.sessions(tenant, relationship), change.latest)
            yield Projected(self._topics.bookings, key, dump(BookingsRecord(position=at, sessions=sessions)))


def _or_unreadable(record: Record, decode: Callable[[], Result]) -> Result:
    try:
        return decode()
    except Exception as failure:
        why = ", ".join(field_errors(failure)) if isinstance(failure, ValidationError) else str(error_fields(failure))
        raise UnreadableProjectionError(f"{record.topic} {record.partition}/{record.offset}: {why}") from failure
