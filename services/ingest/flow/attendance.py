"""The attendance worker. It derives the outcomes of sessions from the joins and leaves on the log, and backfills the
events of employment changes that were stated before a relationship began."""

import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import takewhile

from schemas.events import OfRelationship, ProfileSet
from schemas.payloads import EventRetracted
from schemas.topics import EVENTS
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.ids import RawEvent
from services.ingest.domain.meetings.attendance_fold import ATTENDANCE, AttendanceFold, BookingLookup
from services.ingest.domain.people.fan_out import backfill_employment
from services.ingest.domain.scope import Scope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Admitted, Rejected
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.in_flight import PendingWrites, UnexpectedFailures
from services.ingest.flow.log_reading import between, day_before, event_or_note
from services.ingest.flow.shared import ProjectionAccess, Shared
from services.ingest.flow.supervise import Parts
from services.runtime import log
from services.runtime.kafka import Committed, KafkaError, Partition, Reader, Record
from services.runtime.loop import BatchLoop, later_if_away
from services.runtime.partition_buffer import Batch
from services.runtime.unexpected import Breaker, error_fields

GROUP = "rapport-attendance"
# Searched in the bytes of an event: events of other types only advance the clock and are not parsed.
FOLDED_TYPES = re.compile(rb'"mentoring\.(?:session|relationship|clock\.reached)\.')
RECORDED = re.compile(rb'"recordedtime":"([^"]{20,32})"')


@dataclass(frozen=True)
class AttendanceLog:
    """The reader of the group. `day_before` reads the records of the day before an offset, `between` those from one
    offset to another. `is_fresh`: whether the projection of people and relationships is some seconds old at most."""

    reader: Reader
    day_before: Callable[[Partition, int], Iterable[Record]]
    between: Callable[[Partition, int, int], Iterable[Record]]
    is_fresh: Callable[[], bool]


STARTED = "mentoring.relationship.started.v1"
FIRST_READ = "v1;first"
"""Metadata of the committed offset of a partition of which no outcome is emitted yet."""
MAX_HELD = 100_000
"""Outcomes of a partition, some 80 MB. Beyond, the oldest are emitted even if the log may hold them further on: they
have the same ids there, and count once."""


class FoldedPartition:
    """The fold of one partition. A log that was copied, or has lost its offsets, holds outcomes already. If it is read
    from its beginning, outcomes are therefore held back, up to MAX_HELD, until `hold_until`, the end offset at that
    time, and dropped if the log itself has them. `next`: the offset of the next batch. `is_in_progress`: a batch had to
    be retried."""

    def __init__(self, expected: BookingLookup, begin: int, hold_until: int) -> None:
        self.next, self.hold_until, self.is_in_progress = begin, hold_until, False
        self._on_log: OrderedDict[str, None] = OrderedDict()
        self._derived: OrderedDict[str, RawEvent] = OrderedDict()
        self.fold = AttendanceFold(expected, self._on_log.keys())

    def mark_on_log(self, outcome: str) -> None:
        """`outcome` is an event id."""
        if self.hold_until:
            self._on_log[outcome] = None
            self._derived.pop(outcome, None)
            if len(self._on_log) > MAX_HELD:
                self._on_log.popitem(last=False)

    def add(self, outcomes: Iterable[RawEvent]) -> None:
        for one in outcomes:
            self._derived.setdefault(str(one["id"]), one)

    def pop_due(self, reached: int) -> list[RawEvent]:
        """Removes and returns the outcomes to emit when all records before the offset `reached` are folded."""
        if reached < self.hold_until:
            excess = len(self._derived) - MAX_HELD
            early = excess + MAX_HELD // 10 if excess > 0 else 0
            return [self._derived.popitem(last=False)[1] for _ in range(early)]
        self.hold_until, due = 0, list(self._derived.values())
        self._derived.clear()
        return due


SECOND_CHECK_SECONDS = 60.0
"""An employment change that is stated while a pair begins may be fanned out before the pair is projected, and reach the
directory only afterwards. This is several times as long as either takes."""


class StartedPairs:
    """Relationships that began, or whose start was retracted. Each is checked at once, and a second time later."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], None] = {}
        # In the order in which they are due, so that each batch visits only those, however many began.
        self._again: OrderedDict[tuple[str, str], float] = OrderedDict()

    def add(self, event: OfRelationship) -> None:
        data = event.data
        if STARTED in {event.type, data.type if isinstance(data, EventRetracted) else ""}:
            self._first[event.tenant, event.subject] = None

    def due(self, now: float) -> list[tuple[str, str]]:
        """A pair is not due again before its second check. `now` is of any monotonic clock."""
        again = list(takewhile(lambda pair: self._again[pair] + SECOND_CHECK_SECONDS <= now, self._again))
        for pair in again:
            del self._again[pair]
        found = [*self._first, *(pair for pair in again if pair not in self._first)]
        for pair in self._first:
            self._again[pair] = now
            self._again.move_to_end(pair)
        self._first.clear()
        return found


class AttendanceWork:
    """The work of a BatchLoop. Outcomes that become due while the day before the commit is read again were emitted
    before it, and are not emitted again."""

    def __init__(
        self, log_: AttendanceLog, event_writer: EventWriter, projection: Projection, clock: Callable[[], Clock]
    ) -> None:
        self._log, self._event_writer, self._projection, self._clock = log_, event_writer, projection, clock
        self._partition_count = cache(log_.reader.partition_count)
        self._folded: dict[Partition, FoldedPartition] = {}
        self._unsent: list[RawEvent] = []
        self._started_pairs, self._pairs_failed = StartedPairs(), Breaker()
        self._pending_writes = PendingWrites()
        self._pending_writes.set_origin(self._give_up)
        self._unexpected = UnexpectedFailures()
        self._line = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        with later_if_away():
            self._folded[partition] = self._restore(partition, committed or Committed(0, FIRST_READ))

    def offset_metadata(self, partition: Partition) -> str:
        """With FIRST_READ, the next owner of the partition reads it from its beginning."""
        folded = self._folded.get(partition)
        return FIRST_READ if folded and folded.hold_until else ""

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        if self._folded[batch.partition].next not in {0, batch.first}:
            # Revoked and assigned again between two polls: another member has handled the records in between.
            with later_if_away():
                committed = self._log.reader.committed(batch.partition) or Committed(0)
            self.resume(batch.partition, replace(committed, offset=batch.first))
        folded, notes = self._folded[batch.partition], Counter[str]()
        folded.is_in_progress = True
        for record in batch.records:
            folded.add(self._apply(folded, record, notes))
        self._unsent += folded.pop_due(batch.last + 1)
        self._emit(notes)
        folded.next, folded.is_in_progress = batch.last + 1, False
        return notes

    def idle(self) -> None:
        """On the wall clock, a session is due when its time has come, even if nothing is recorded."""
        reader, clock, notes = self._log.reader, self._clock(), Counter[str]()
        assigned = reader.assignment()
        self._folded = {one: folded for one, folded in self._folded.items() if one in assigned}
        with later_if_away():
            is_at_end = reader.lag() == 0
            for partition, folded in self._folded.items() if is_at_end else ():
                if clock.mode == "wall":
                    folded.add(folded.fold.advance(clock.now))
                # A log may end with offsets that are no records.
                self._unsent += folded.pop_due(0 if folded.is_in_progress else reader.position(partition))
        for pair in self._started_pairs.due(time.monotonic()) if self._log.is_fresh() else ():
            self._unsent += self._backfill(pair, clock)
        self._emit(notes)
        if notes:
            self._line.info("attendance_due", **notes)

    def _restore(self, partition: Partition, committed: Committed) -> FoldedPartition:
        begin, expected = committed.offset, self._projection.bookings.expected_booking
        if begin and committed.metadata != FIRST_READ:
            folded = FoldedPartition(expected, begin, 0)
            for record in self._log.day_before(partition, begin):
                self._apply(folded, record, Counter())
            return folded
        folded = FoldedPartition(expected, begin, self._log.reader.end_offsets([partition])[partition])
        for record in self._log.between(partition, 0, begin):
            folded.add(self._apply(folded, record, Counter()))
            if early := folded.pop_due(0):
                self._unsent += early
                self._emit(Counter())
        return folded

    def _apply(self, folded: FoldedPartition, record: Record, notes: Counter[str]) -> list[RawEvent]:
        """A record that meets an error of ours yields no outcomes."""
        found = self._unexpected.attempt(record, partial(self._fold, folded, record, notes), KafkaError)
        if isinstance(found, Rejected):
            notes["failed"] += 1
            return []
        return found

    def _fold(self, folded: FoldedPartition, record: Record, notes: Counter[str]) -> list[RawEvent]:
        value, fold = record.value or b"", folded.fold
        if not FOLDED_TYPES.search(value):
            return list(fold.advance(_recorded_time(value) or fold.clock))
        event = event_or_note(record, self._partition_count(record.topic), self._line, notes)
        if event is None:
            return []
        if event.type == "mentoring.clock.reached.v1":
            return list(fold.advance(event.data.time))
        if isinstance(event, ProfileSet):
            return list(fold.advance(event.recordedtime))
        self._projection.apply(event)
        self._started_pairs.add(event)
        if event.source == ATTENDANCE:
            folded.mark_on_log(event.id)
        if late := fold.apply(event):
            notes["late"] += 1
            self._line.warning("attendance_late", event_id=event.id, **late._asdict())
        return list(fold.advance(event.recordedtime))

    def _backfill(self, pair: tuple[str, str], clock: Clock) -> list[RawEvent]:
        """A pair that meets an error of ours gets no events; a hundred in a row are a bad deploy. Raises
        BadDeployError."""
        try:
            found = backfill_employment(*pair, self._projection.roster, clock)
        except Exception as failure:  # noqa: BLE001 (logged and counted)
            self._line.error("pair_failed", relationship="/".join(pair), **error_fields(failure))
            self._pairs_failed.refused(type(failure).__name__)
            return []
        self._pairs_failed.passed()
        return found

    def _emit(self, notes: Counter[str]) -> None:
        """Outcomes are kept until they are acknowledged, because they will not be derived again."""
        self._pending_writes.settle()
        with later_if_away():
            while self._unsent:
                raw = self._unsent[0]
                verdict = admit_outcome(raw, self._clock())
                result = verdict if isinstance(verdict, Rejected) else self._event_writer.record(verdict.event)
                if isinstance(result, Rejected) or isinstance(verdict, Rejected):
                    note = "rejected"
                    event = {"event_id": raw["id"], "subject": raw["subject"]}
                    self._line.error("outcome_rejected", **event, verdict=str(result))
                else:
                    note = "repeated" if result.duplicate else verdict.event.type.split(".")[2]
                    self._pending_writes.add(result.written, partial(self._event_writer.record_again, verdict.event))
                notes[note] += 1
                del self._unsent[0]
        self._pending_writes.settle()

    def _give_up(self, rejected: Rejected) -> Future[None]:
        """The outcome derives from several records, none of which is at fault: it is only logged."""
        self._line.error("outcome_refused", reason=rejected.reason, detail=rejected.errors[0].reason)
        done: Future[None] = Future()
        done.set_result(None)
        return done


def admit_outcome(raw: RawEvent, clock: Clock) -> Admitted | Rejected:
    """Admits an event that is derived here, under any reserved source."""
    return admit(raw, Scope(str(raw["tenant"]), frozenset({str(raw["source"])}), internal=True), clock)


def _recorded_time(value: bytes) -> datetime | None:
    found = RECORDED.search(value)
    try:
        moment = datetime.fromisoformat(found[1].decode()) if found else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


# The poll interval: a day of a busy log is read again before the first batch.
MAX_SECONDS = 900


@contextmanager
def attendance(shared: Shared, access: ProjectionAccess, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    settings = shared.settings
    with closing(Reader(settings, GROUP, max_poll_interval_ms=MAX_SECONDS * 1000)) as reader:
        reader.subscribe([EVENTS.at(settings.log_epoch)])
        log = AttendanceLog(
            reader, partial(day_before, settings), partial(between, settings), lambda: access.follower.is_fresh
        )
        work = AttendanceWork(log, shared.event_writer, access.projection, shared.clock)
        loop = BatchLoop(reader, work, shared.readiness.part("attendance"))
        yield {"attendance": partial(access.run_caught_up, loop, stop)}
