"""The roster and the bookings as they lie on their compacted topics: of each relationship what is alive, and the
position of the log up to which that holds. Whoever starts reads these instead of the log."""

from datetime import datetime, timedelta
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from services.ingest.domain.meetings.bookings import BookedSession
from services.ingest.domain.people.relationship_history import RelationshipHistory, bounded_history

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
    return tuple(one._replace(matters=one.matters[:MOST_MATTERS]) for one in in_order[-MOST_SESSIONS:])
