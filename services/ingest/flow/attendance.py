"""The worker that concludes from the log: what became of booked sessions, from who joined and left, and what was told
of people's employment before the log told who is paired with whom."""

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
from services.ingest.domain.meetings.attendance_fold import ATTENDANCE, AttendanceFold, Expected
from services.ingest.domain.people.fan_out import told_before
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
from services.runtime.loop import Batch, BatchLoop, later_if_away
from services.runtime.unexpected import Breaker, error_fields

GROUP = "rapport-attendance"
# In the bytes of an event: whatever else tells the time only, and is not parsed.
TELLING = re.compile(rb'"mentoring\.(?:session|relationship|clock\.reached)\.')
RECORDED = re.compile(rb'"recordedtime":"([^"]{20,32})"')


@dataclass(frozen=True)
class AttendanceLog:
    """The reader of the group, and what may be read besides: the records of the day before an offset, and those from
    one offset to another. `is_fresh`: whether people and relationships are known up to some seconds ago."""

    reader: Reader
    day_before: Callable[[Partition, int], Iterable[Record]]
    between: Callable[[Partition, int, int], Iterable[Record]]
    is_fresh: Callable[[], bool]


STARTED = "mentoring.relationship.started.v1"
FIRST_READING = "v1;first"
"""Noted beside the committed offset of a partition of which nothing is said yet."""
MOST_KEPT = 100_000
"""Outcomes of a partition, some 80 MB: beyond, the oldest are said although the log may hold them further on. They have
the same ids there, and count once."""


class FoldedPartition:
    """A log that was copied, or has lost its offsets, holds outcomes of its own. So where it is read from its beginning
    nothing is said before `quiet_until`, its end as it was: what was concluded until then is kept, up to MOST_KEPT,
    unless it comes on the log itself. `next`: the offset of the next batch; `is_in_hand`: a batch is, which had
    to wait."""

    def __init__(self, expected: Expected, begin: int, quiet_until: int) -> None:
        self.next, self.quiet_until, self.is_in_hand = begin, quiet_until, False
        self._on_log: OrderedDict[str, None] = OrderedDict()
        self._concluded: OrderedDict[str, RawEvent] = OrderedDict()
        self.fold = AttendanceFold(expected, self._on_log.keys())

    def found(self, outcome: str) -> None:
        """On the log, by its id."""
        if self.quiet_until:
            self._on_log[outcome] = None
            self._concluded.pop(outcome, None)
            if len(self._on_log) > MOST_KEPT:
                self._on_log.popitem(last=False)

    def conclude(self, outcomes: Iterable[RawEvent]) -> None:
        for one in outcomes:
            self._concluded.setdefault(str(one["id"]), one)

    def to_say(self, reached: int) -> list[RawEvent]:
        """When all before the offset `reached` is folded."""
        if reached < self.quiet_until:
            beyond = len(self._concluded) - MOST_KEPT
            early = beyond + MOST_KEPT // 10 if beyond > 0 else 0
            return [self._concluded.popitem(last=False)[1] for _ in range(early)]
        self.quiet_until, said = 0, list(self._concluded.values())
        self._concluded.clear()
        return said


LOOKED_AT_AGAIN_SECONDS = 60.0
"""What a feed says while a pair begins may be fanned out where the pair is not known yet, and reach the directory only
afterwards: several times as long as either takes."""


class BegunPairs:
    """Relationships that began, or whose start was taken back: looked at once, and once more a while later."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], None] = {}
        # In the order in which they are due: only those are gone through for each batch, however many began.
        self._again: OrderedDict[tuple[str, str], float] = OrderedDict()

    def add(self, event: OfRelationship) -> None:
        data = event.data
        if STARTED in {event.type, data.type if isinstance(data, EventRetracted) else ""}:
            self._first[event.tenant, event.subject] = None

    def due(self, now: float) -> list[tuple[str, str]]:
        """Whoever is looked at is not due again before the second look; `now` of any clock that only goes forward."""
        again = list(takewhile(lambda pair: self._again[pair] + LOOKED_AT_AGAIN_SECONDS <= now, self._again))
        for pair in again:
            del self._again[pair]
        found = [*self._first, *(pair for pair in again if pair not in self._first)]
        for pair in self._first:
            self._again[pair] = now
            self._again.move_to_end(pair)
        self._first.clear()
        return found


class AttendanceWork:
    """The work of a BatchLoop. What is due while a day is read again was said before the commit, and is not said
    anew."""

    def __init__(
        self, log_: AttendanceLog, event_writer: EventWriter, projection: Projection, clock: Callable[[], Clock]
    ) -> None:
        self._log, self._event_writer, self._projection, self._clock = log_, event_writer, projection, clock
        self._partition_count = cache(log_.reader.partition_count)
        self._folded: dict[Partition, FoldedPartition] = {}
        self._unsaid: list[RawEvent] = []
        self._begun_pairs, self._pairs_failed = BegunPairs(), Breaker()
        self._pending_writes = PendingWrites()
        self._pending_writes.of(self._given_up)
        self._unexpected = UnexpectedFailures()
        self._line = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        with later_if_away():
            self._folded[partition] = self._begun(partition, committed or Committed(0, FIRST_READING))

    def offset_metadata(self, partition: Partition) -> str:
        """Who finds it begins the partition again."""
        known = self._folded.get(partition)
        return FIRST_READING if known and known.quiet_until else ""

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        if self._folded[batch.partition].next not in {0, batch.first}:
            # Given away and taken back between two polls: another member has handled what lies between.
            with later_if_away():
                committed = self._log.reader.committed(batch.partition) or Committed(0)
            self.resume(batch.partition, replace(committed, offset=batch.first))
        known, notes = self._folded[batch.partition], Counter[str]()
        known.is_in_hand = True
        for record in batch.records:
            known.conclude(self._apply(known, record, notes))
        self._unsaid += known.to_say(batch.last + 1)
        self._say(notes)
        known.next, known.is_in_hand = batch.last + 1, False
        return notes

    def idle(self) -> None:
        """On the wall's clock a session is due when its time has come, whether or not anything else is recorded."""
        reader, clock, notes = self._log.reader, self._clock(), Counter[str]()
        assigned = reader.assignment()
        self._folded = {one: known for one, known in self._folded.items() if one in assigned}
        with later_if_away():
            is_at_end = reader.lag() == 0
            for partition, known in self._folded.items() if is_at_end else ():
                if clock.mode == "wall":
                    known.conclude(known.fold.advance(clock.now))
                # A log may end with offsets that are no records.
                self._unsaid += known.to_say(0 if known.is_in_hand else reader.position(partition))
        for pair in self._begun_pairs.due(time.monotonic()) if self._log.is_fresh() else ():
            self._unsaid += self._told_before(pair, clock)
        self._say(notes)
        if notes:
            self._line.info("attendance_due", **notes)

    def _begun(self, partition: Partition, committed: Committed) -> FoldedPartition:
        begin, expected = committed.offset, self._projection.bookings.expected
        if begin and committed.metadata != FIRST_READING:
            known = FoldedPartition(expected, begin, 0)
            for record in self._log.day_before(partition, begin):
                self._apply(known, record, Counter())
            return known
        known = FoldedPartition(expected, begin, self._log.reader.end_offsets([partition])[partition])
        for record in self._log.between(partition, 0, begin):
            known.conclude(self._apply(known, record, Counter()))
            if early := known.to_say(0):
                self._unsaid += early
                self._say(Counter())
        return known

    def _apply(self, known: FoldedPartition, record: Record, notes: Counter[str]) -> list[RawEvent]:
        """What meets an error of ours is on the log all the same, and concludes nothing."""
        found = self._unexpected.attempt(record, partial(self._heard, known, record, notes), KafkaError)
        if isinstance(found, Rejected):
            notes["failed"] += 1
            return []
        return found

    def _heard(self, known: FoldedPartition, record: Record, notes: Counter[str]) -> list[RawEvent]:
        value, fold = record.value or b"", known.fold
        if not TELLING.search(value):
            return list(fold.advance(_recorded(value) or fold.clock))
        event = event_or_note(record, self._partition_count(record.topic), self._line, notes)
        if event is None:
            return []
        if event.type == "mentoring.clock.reached.v1":
            return list(fold.advance(event.data.time))
        if isinstance(event, ProfileSet):
            return list(fold.advance(event.recordedtime))
        self._projection.apply(event)
        self._begun_pairs.add(event)
        if event.source == ATTENDANCE:
            known.found(event.id)
        if late := fold.apply(event):
            notes["late"] += 1
            self._line.warning("attendance_late", event_id=event.id, **late._asdict())
        return list(fold.advance(event.recordedtime))

    def _told_before(self, pair: tuple[str, str], clock: Clock) -> list[RawEvent]:
        """What meets an error of ours tells nothing of this pair; a hundred in a row are a bad deploy. Raises
        BadDeployError."""
        try:
            found = told_before(*pair, self._projection.roster, clock)
        except Exception as failure:  # noqa: BLE001 (told and counted)
            self._line.error("pair_failed", relationship="/".join(pair), **error_fields(failure))
            self._pairs_failed.refused(type(failure).__name__)
            return []
        self._pairs_failed.passed()
        return found

    def _say(self, notes: Counter[str]) -> None:
        """What is concluded is kept until it is acknowledged: it will not be concluded again."""
        self._pending_writes.settle()
        with later_if_away():
            while self._unsaid:
                raw = self._unsaid[0]
                verdict = admitted_outcome(raw, self._clock())
                result = verdict if isinstance(verdict, Rejected) else self._event_writer.record(verdict.event)
                if isinstance(result, Rejected) or isinstance(verdict, Rejected):
                    said = "rejected"
                    names = {"event_id": raw["id"], "subject": raw["subject"]}
                    self._line.error("outcome_rejected", **names, verdict=str(result))
                else:
                    said = "repeated" if result.repeat else verdict.event.type.split(".")[2]
                    self._pending_writes.owe(result.written, partial(self._event_writer.record_again, verdict.event))
                notes[said] += 1
                del self._unsaid[0]
        self._pending_writes.settle()

    def _given_up(self, rejected: Rejected) -> Future[None]:
        """It came of several records, none of which is at fault: the log tells of it."""
        self._line.error("outcome_refused", reason=rejected.reason, detail=rejected.errors[0].reason)
        done: Future[None] = Future()
        done.set_result(None)
        return done


def admitted_outcome(raw: RawEvent, clock: Clock) -> Admitted | Rejected:
    """Of what is concluded here, under whatever source of ours."""
    return admit(raw, Scope(str(raw["tenant"]), frozenset({str(raw["source"])}), internal=True), clock)


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
    with closing(Reader(settings, GROUP, max_poll_interval_ms=MOST_SECONDS * 1000)) as reader:
        reader.subscribe([EVENTS.at(settings.log_epoch)])
        log = AttendanceLog(
            reader, partial(day_before, settings), partial(between, settings), lambda: known.follower.is_fresh
        )
        work = AttendanceWork(log, shared.event_writer, known.projection, shared.clock)
        loop = BatchLoop(reader, work, shared.readiness.part("attendance"))
        yield {"attendance": partial(known.then, loop, stop)}
