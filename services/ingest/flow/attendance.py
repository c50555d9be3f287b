"""The worker that concludes what became of booked sessions, from who joined and left on the log."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from schemas.events import MentoringEvent, ProfileSet
from schemas.topics import EVENTS
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.derived_events import RawEvent
from services.ingest.domain.meetings.attendance_fold import ATTENDANCE, AttendanceFold
from services.ingest.domain.scope import Scope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Admitted, Rejected
from services.ingest.flow.dead_letters import UnexpectedFailures
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.log_reading import day_before, event_or_none, event_or_note
from services.ingest.flow.shared import ProjectionAccess, Shared
from services.ingest.flow.supervise import Parts
from services.ingest.flow.tools.statements import PendingWrites
from services.runtime import log
from services.runtime.kafka import Committed, KafkaError, Partition, Reader, Record, partition_count, read_partition
from services.runtime.loop import Batch, BatchLoop, later_if_away
from services.runtime.settings import Settings

_SOURCE = f'"source":"{ATTENDANCE}"'.encode()


def outcomes(settings: Settings, partition: Partition) -> frozenset[str]:
    """Their ids. Raises KafkaError."""
    partitions = partition_count(settings, partition.topic)
    found = (record for record in read_partition(settings, partition) if _SOURCE in (record.value or b""))
    return frozenset(one for record in found if (one := _id_of(record, partitions)))


def _id_of(record: Record, partitions: int) -> str | None:
    event = event_or_none(record, partitions)
    return event.id if event else None


GROUP = "rapport-attendance"
# In the bytes of an event: whatever else tells the time only, and is not parsed.
TELLING = re.compile(rb'"mentoring\.(?:session|relationship|clock\.reached)\.')
RECORDED = re.compile(rb'"recordedtime":"([^"]{20,32})"')


@dataclass(frozen=True)
class AttendanceLog:
    """The reader of the group, and what may be read besides: the records of the day before an offset, and the ids of
    all outcomes that a partition holds."""

    reader: Reader
    day_before: Callable[[Partition, int], Iterable[Record]]
    outcomes: Callable[[Partition], frozenset[str]]


class AttendanceWork:
    """The work of a BatchLoop. What is due while a day is read again was said before the commit, and is not said
    anew."""

    def __init__(
        self, log_: AttendanceLog, event_writer: EventWriter, projection: Projection, clock: Callable[[], Clock]
    ) -> None:
        self._log, self._event_writer, self._projection, self._clock = log_, event_writer, projection, clock
        self._partition_count = cache(log_.reader.partition_count)
        self._folds: dict[Partition, AttendanceFold] = {}
        self._next: dict[Partition, int] = {}
        self._unsaid: list[RawEvent] = []
        self._pending_writes = PendingWrites()
        self._pending_writes.of(self._given_up)
        self._unexpected = UnexpectedFailures()
        self._line = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        with later_if_away():
            self._begin(partition, committed.offset if committed else 0)

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        if self._next[batch.partition] not in {0, batch.first}:
            # Given away and taken back between two polls: another member has handled what lies between.
            self.resume(batch.partition, Committed(batch.first))
        notes: Counter[str] = Counter()
        for record in batch.records:
            self._unsaid += self._apply(self._folds[batch.partition], record, notes)
        self._say(notes)
        self._next[batch.partition] = batch.last + 1
        return notes

    def idle(self) -> None:
        """On the wall's clock a session is due when its time has come, whether or not anything else is recorded."""
        assigned = self._log.reader.assignment()
        self._folds = {one: fold for one, fold in self._folds.items() if one in assigned}
        clock = self._clock()
        if clock.mode == "wall" and self._log.reader.lag() == 0:
            for fold in self._folds.values():
                self._unsaid += fold.advance(clock.now)
        notes: Counter[str] = Counter()
        self._say(notes)
        if notes:
            self._line.info("attendance_due", **notes)

    def _begin(self, partition: Partition, offset: int) -> None:
        # Without a commit the whole log is read, and a log that was copied holds outcomes of its own.
        said = frozenset() if offset else self._log.outcomes(partition)
        fold = AttendanceFold(self._projection.bookings.expected, said)
        for record in self._log.day_before(partition, offset):
            self._apply(fold, record, Counter())
        self._folds[partition], self._next[partition] = fold, offset

    def _apply(self, fold: AttendanceFold, record: Record, notes: Counter[str]) -> list[RawEvent]:
        """What meets an error of ours is on the log all the same, and concludes nothing."""
        found = self._unexpected.attempt(record, partial(self._heard, fold, record, notes), KafkaError)
        if isinstance(found, Rejected):
            notes["failed"] += 1
            return []
        return found

    def _heard(self, fold: AttendanceFold, record: Record, notes: Counter[str]) -> list[RawEvent]:
        value = record.value or b""
        if not TELLING.search(value):
            return list(fold.advance(_recorded(value) or fold.clock))
        event = event_or_note(record, self._partition_count(record.topic), self._line, notes)
        return self._told(fold, event, notes) if event else []

    def _told(self, fold: AttendanceFold, event: MentoringEvent, notes: Counter[str]) -> list[RawEvent]:
        if event.type == "mentoring.clock.reached.v1":
            return list(fold.advance(event.data.time))
        if isinstance(event, ProfileSet):
            return list(fold.advance(event.recordedtime))
        self._projection.apply(event)
        if late := fold.apply(event):
            notes["late"] += 1
            self._line.warning("attendance_late", event_id=event.id, **late._asdict())
        return list(fold.advance(event.recordedtime))

    def _say(self, notes: Counter[str]) -> None:
        """What is concluded is kept until it is acknowledged: it will not be concluded again."""
        self._pending_writes.settle()
        with later_if_away():
            while self._unsaid:
                notes[self._record(self._unsaid[0])] += 1
                del self._unsaid[0]
        self._pending_writes.settle()

    def _record(self, raw: RawEvent) -> str:
        verdict = admitted_outcome(raw, self._clock())
        result = verdict if isinstance(verdict, Rejected) else self._event_writer.record(verdict.event)
        if isinstance(result, Rejected) or isinstance(verdict, Rejected):
            self._line.error("outcome_rejected", event_id=raw["id"], subject=raw["subject"], verdict=str(result))
            return "rejected"
        self._pending_writes.owe(result.written, partial(self._again, verdict.event))
        return "repeated" if result.repeat else verdict.event.type.split(".")[2]

    def _again(self, event: MentoringEvent) -> Future[None] | Rejected:
        """What failed was forgotten, so that nothing contradicts it; it may have become too large for the log."""
        receipt = self._event_writer.record(event)
        return receipt if isinstance(receipt, Rejected) else receipt.written

    def _given_up(self, rejected: Rejected) -> Future[None]:
        """It came of several records, none of which is at fault: the log tells of it."""
        self._line.error("outcome_refused", reason=rejected.reason, detail=rejected.errors[0].reason)
        done: Future[None] = Future()
        done.set_result(None)
        return done


def admitted_outcome(raw: RawEvent, clock: Clock) -> Admitted | Rejected:
    return admit(raw, Scope(str(raw["tenant"]), frozenset({ATTENDANCE}), internal=True), clock)


def _recorded(value: bytes) -> datetime | None:
    found = RECORDED.search(value)
    try:
        moment = datetime.fromisoformat(found[1].decode()) if found else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


# A day of a busy log is read again before the first batch.
MOST_SECONDS = 900


@contextmanager
def attendance(shared: Shared, known: ProjectionAccess, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    settings = shared.settings
    reader = Reader(settings, GROUP, max_poll_interval_ms=MOST_SECONDS * 1000)
    try:
        reader.subscribe([EVENTS.at(settings.log_epoch)])
        log = AttendanceLog(reader, partial(day_before, settings), partial(outcomes, settings))
        work = AttendanceWork(log, shared.event_writer, known.projection, shared.clock)
        loop = BatchLoop(reader, work, shared.readiness.part("attendance"))
        yield {"attendance": partial(known.then, loop, stop)}
    finally:
        reader.close()
