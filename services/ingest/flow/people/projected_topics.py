"""The compacted topics that hold what is projected: their records, and how they are written. Records, how far they
reach, and the offset that they rest on are one transaction, so that neither a crash nor a member that lost its
partition leaves an older word behind a newer one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import chain
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from schemas.topics import BOOKINGS, EVENTS, ROSTER
from services.ingest.domain.meetings.bookings import BookedSession
from services.ingest.domain.people.relationship_history import RelationshipHistory, bounded_history
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Reader
from services.runtime.loop import TryLaterError
from services.runtime.settings import Settings


class ProjectionTopics(NamedTuple):
    events: str
    roster: str
    bookings: str


def topics_of(settings: Settings) -> ProjectionTopics:
    return ProjectionTopics(*(topic.at(settings.log_epoch) for topic in (EVENTS, ROSTER, BOOKINGS)))


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


MOST_WRITTEN, MOST_WRITTEN_BYTES = 50_000, 16 * 2**20
"""Of one transaction: it ends before the broker aborts it. Most batches are one."""


class Projected(NamedTuple):
    topic: str
    key: bytes
    value: bytes | None

    @property
    def size(self) -> int:
        return len(self.key) + len(self.value or b"")


class ProjectionWriter:
    """For one thread."""

    def __init__(self, reader: Reader, producer: Callable[[], Producer]) -> None:
        """`producer` makes one that is transactional."""
        self._reader, self._make = reader, producer
        self._producer: Producer | None = None

    def write(self, records: Iterable[Projected], reached: Sequence[str], partition: Partition, offsets: range) -> None:
        """All of them, in transactions of a bounded size; the last says on the topics in `reached` how far the
        partition is folded. `offsets` is what was folded of it since the last commit. Raises TryLaterError."""
        progress = dump(ProgressRecord(next_offset=offsets.stop))
        last = [Projected(topic, PROGRESS_KEY, progress) for topic in reached]
        try:
            producer = self._started()
            for part in _parts(chain(records, last)):
                producer.begin()
                for record in part:
                    producer.send(*record, partition=partition.number)
                folded = Committed(offsets.stop if part[-1] is last[-1] else offsets.start)
                producer.commit({partition: folded}, self._reader)
        except KafkaError as failed:
            # Whether it was committed may be unknown. The same records are written again by a producer that fences
            # this one; a member that has lost the partition is refused by its generation.
            self.close()
            self._producer = None
            raise TryLaterError(f"the projection is not written: {failed}") from failed

    def close(self) -> None:
        if self._producer is not None:
            # What was not committed is folded again by whoever takes the partition.
            with suppress(KafkaError):
                self._producer.close(0.2)

    def _started(self) -> Producer:
        if self._producer is None:
            producer = self._make()
            producer.start_transactions()
            self._producer = producer
        return self._producer


def _parts(records: Iterable[Projected]) -> Iterator[list[Projected]]:
    part, size = list[Projected](), 0
    for record in records:
        part.append(record)
        size += record.size
        if len(part) >= MOST_WRITTEN or size >= MOST_WRITTEN_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
