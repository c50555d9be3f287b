"""The worker: owns partitions, applies their runs, moves their clocks, and writes phase by phase."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from schemas.events import partition_key
from services.runtime import log
from services.runtime.kafka import Partition
from services.scoring.domain.bounds import DAY, MINUTE, NONE, SECOND
from services.scoring.domain.changelog import ChangelogEntry, Recovery
from services.scoring.domain.partition import Emission
from services.scoring.domain.serialization import clock_event, score_event
from services.scoring.domain.write_phases import PAUSE, Phase
from services.scoring.domain.write_phases import Write as ProcessorWrite
from services.scoring.flow.assigned_partition import AssignedPartition, Sizes, TimeSlice, restore
from services.scoring.flow.decoding import STRUCTURED, Decoding, Fetched, Header, RefusedRecord
from services.scoring.flow.liveness import Liveness
from services.scoring.flow.metrics import ScoringMetrics
from services.scoring.topics import Topics

AHEAD = 5 * MINUTE
"""So far beyond the wall clock a record may move the clock: whatever it says, time does not pass for others."""
CLOCK_EVERY = 60
"""Seconds between two steps of a partition's clock, and two words on it, while nothing else happens."""
MOST_NAMED, LONGEST_SHOWN = 5, 100
"""Of the keys of unreadable states in a line of the log."""
TICK_SLICE_SECONDS = 0.05
"""So long a partition whose clock is moved by the timer keeps its records waiting."""
PHASE_LENGTH = 2_000
"""Records that are under way at once."""
SHORT_SECONDS = 0.1
"""Most batches are over by then. One that is not, because it moves the clock far, gives way to those that are."""
GIVES_WAY_SECONDS = 0.03
"""So long between two slices of its own: however many others there are, a quarter of the time is its own."""


Write = ProcessorWrite | RefusedRecord | bytes
"""`bytes`: a word on the partition's clock."""


class Outgoing(NamedTuple):
    """A record for the broker; `partition` None: wherever the key belongs."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


class BatchProducer(Protocol):
    async def write(self, outgoing: Iterable[Outgoing]) -> None:
        """Returns when all are acknowledged."""


class Worker:
    def __init__(
        self, names: Topics, sizes: Sizes, producer: BatchProducer, metrics: ScoringMetrics, liveness: Liveness
    ) -> None:
        self._names, self._sizes, self._producer = names, sizes, producer
        self._metrics, self._liveness = metrics, liveness
        self._owned: dict[int, AssignedPartition] = {}
        self._begun: dict[int, float] = {}
        """When the batch in work of each partition began."""
        self._assignments = 0
        self._log = log.get(__name__)

    def next_offset(self, number: int) -> int | None:
        """None: the partition is not ours."""
        owned = self._owned.get(number)
        return None if owned is None else owned.partition.offset + 1

    def applied_offset(self, number: int) -> int | None:
        """Where whoever takes the partition goes on, or later; None: it is not ours."""
        owned = self._owned.get(number)
        return None if owned is None else owned.applied + 1

    async def restore(self, number: int, recovery: Recovery) -> bool:
        """A partition was assigned and its changelog read. What was announced before a crash is told again first.
        False: a rebalance began meanwhile, and it is not ours."""
        assignment = self._assignments

        def goes_on() -> bool:
            """Asked between two slices, which may take minutes: the group hears that we are alive."""
            self._liveness.worked(time.monotonic())
            return assignment == self._assignments

        owned = await restore(number, recovery, self._names, self._sizes, goes_on)
        if owned is None:
            return False
        self._owned[number] = owned
        async with owned.lock:
            if recovery.unreadable:
                unreadable = sorted(recovery.unreadable)
                self._metrics.unreadable_states.inc(len(unreadable))
                first = [key[:LONGEST_SHOWN].decode(errors="backslashreplace") for key in unreadable[:MOST_NAMED]]
                self._log.error("states_unreadable", partition=number, count=len(unreadable), first=first)
                await self._write(owned, owned.processor.discard(unreadable))
            if recovery.watermark.clock_next > recovery.watermark.clock:
                await self._write(owned, owned.processor.resume(recovery.watermark.clock_next))
        if not_on_log := sorted(one.name for one in recovery.profiles.values() if one.position == NONE):
            command = "rapport programs upgrade"
            self._log.warning("profiles_not_on_log", partition=number, programmes=not_on_log[:MOST_NAMED], run=command)
        self._log.info(
            "partition_taken",
            partition=number,
            offset=owned.partition.offset,
            relationships=len(owned.partition.states),
            generations=max(map(len, recovery.generations.values()), default=0),
        )
        return not owned.lost

    async def step_over(self, number: int, offset: int) -> None:
        """An operator accepted that the log begins at this offset; what was before it is lost."""
        owned = self._owned.get(number)
        if owned is not None:
            async with owned.lock:
                owned.partition.offset = max(owned.partition.offset, offset - 1)

    async def drop_all(self) -> None:
        """A rebalance began: the partitions may be somebody else's. Returns when nothing of them is under way any more,
        at the latest after one phase."""
        self._assignments += 1
        dropped = list(self._owned.values())
        self._owned.clear()
        for owned in dropped:
            owned.lost = True
        for owned in dropped:
            async with owned.lock:
                self._metrics.forget(owned.number)
        if dropped:
            self._log.info("partitions_dropped", partitions=sorted(owned.number for owned in dropped))

    async def apply(self, number: int, fetched: Sequence[Fetched]) -> int | None:
        """Applies a batch. None when it is applied or was before; else the offset that has to come first."""
        owned = self._owned.get(number)
        if owned is None:
            return None
        async with owned.lock:
            partition, began = owned.partition, time.monotonic()
            fetched = [record for record in fetched if record.offset > partition.offset]
            if not fetched:
                return None
            if fetched[0].offset != partition.offset + 1:
                return partition.offset + 1
            place = Partition(self._names.events, number)
            records = Decoding(fetched, place, self._sizes.partitions, owned.breaker)
            self._begun[number] = began
            try:
                rows = await self._write(owned, owned.processor.run(records, wall_clock() + AHEAD), records.refused)
            finally:
                del self._begun[number]
            if not owned.lost:
                owned.applied = partition.offset
                owned.unheard_records += len(fetched)
                for event in records.set:
                    versions = [profile.version for profile in event.data.profiles]
                    programme = partition_key(event.tenant, event.program)
                    self._log.info("profiles_applied", partition=number, programme=programme, versions=versions)
                self._ran(number, fetched, len(records.refused), rows, time.monotonic() - began)
            return None

    async def tick(self, number: int, end: int, clock: int | None) -> None:
        """Called about once a second with the end of the partition and the wall clock (log mode: None). Only a
        partition that is read to its end may let time pass, in slices, so that records get in between."""
        owned = self._owned.get(number)
        if owned is not None and owned.lock.locked():
            # A batch is in work, for minutes if it moves the clock far: its own records move it.
            self._metrics.measure(owned, end, lost=0)
            return
        while owned is not None and not owned.lost:
            async with owned.lock:
                partition = owned.partition
                self._metrics.measure(owned, end, lost=0)
                if partition.offset + 1 < end:
                    return
                reached = clock is None or await self._let_pass(owned, clock)
                if reached:
                    await self._tell_clock(owned)
                    return

    async def _let_pass(self, owned: AssignedPartition, clock: int) -> bool:
        """A slice of a day at the most; whether the clock is reached. While nothing is due, a step a minute is enough:
        each is two records in the changelog."""
        partition = owned.partition
        if clock - partition.clock < CLOCK_EVERY * SECOND and not partition.is_due(clock):
            return await self._write_slice(owned, owned.processor.tick(partition.clock))
        step = clock if partition.clock < 0 else min(clock, partition.clock + DAY)
        return await self._write_slice(owned, owned.processor.tick(step)) and step == clock

    async def _tell_clock(self, owned: AssignedPartition) -> None:
        now, clock = time.monotonic(), owned.partition.clock
        if clock < 0 or owned.lost or (not owned.unheard_records and now - owned.clock_told < CLOCK_EVERY):
            return
        await self._acknowledged(owned, [clock_event(owned.number, clock)])
        owned.unheard_records, owned.clock_told = 0, now

    async def _write(
        self,
        owned: AssignedPartition,
        phases: Iterable[Phase],
        refused: Sequence[RefusedRecord] = (),
    ) -> int:
        """Writes phase by phase, each acknowledged before the next, and stops when the partition is lost: then its
        state in memory is of no use any more. `refused` grows as the records are read: what is in it is written before
        the watermark that passes over it. Returns how many rows were emitted."""
        rows, refusals, time_slice = 0, 0, TimeSlice()
        for phase in phases:
            if time_slice.is_over():
                self._liveness.worked(time_slice.now)
                await self._let_others_in(owned, time_slice)
            if owned.lost:
                break
            # The outputs come before the watermark, though there may be none.
            if phase or (phase is not PAUSE and len(refused) > refusals):
                self._liveness.worked(time_slice.now)
                rows += await self._write_phase(owned, [*refused[refusals:], *phase])
                refusals = len(refused)
        return rows

    async def _write_slice(self, owned: AssignedPartition, phases: Iterable[Phase]) -> bool:
        """As `_write`, for a while; whether all is written. What is left is begun anew: so it ends behind a phase that
        wrote, never where rows wait to be written."""
        time_slice = TimeSlice()
        end = time_slice.now + TICK_SLICE_SECONDS
        for phase in phases:
            if phase:
                await self._write_phase(owned, phase)
            if time_slice.is_over():
                await self._let_others_in(owned, time_slice)
            self._liveness.worked(time_slice.now)
            if owned.lost or (phase and time_slice.now > end):
                return False
        return True

    async def _let_others_in(self, owned: AssignedPartition, time_slice: TimeSlice) -> None:
        """An event passes the event loop a dozen times until it is acknowledged: if long work took a slice each time,
        it would wait for a dozen of them."""
        now = time.monotonic()
        until, is_long = now + GIVES_WAY_SECONDS, now - self._begun.get(owned.number, 0.0) > SHORT_SECONDS
        while is_long and now < until and now - max(self._begun.values(), default=0.0) < SHORT_SECONDS:
            await asyncio.sleep(0.001)
            now = time.monotonic()
        await time_slice.let_others_in()

    async def _write_phase(self, owned: AssignedPartition, writes: Sequence[Write]) -> int:
        for begin in range(0, len(writes), PHASE_LENGTH):
            if owned.lost:
                return 0
            await self._acknowledged(owned, writes[begin : begin + PHASE_LENGTH])
        owned.look_at(writes)
        rows = sum(isinstance(write, Emission) for write in writes)
        self._metrics.rows.inc(rows)
        return rows

    async def _acknowledged(self, owned: AssignedPartition, writes: Sequence[Write]) -> None:
        """Nothing is written where the partition is lost while its rows become bytes."""
        outgoing, time_slice = list[Outgoing](), TimeSlice()
        for write in writes:
            outgoing.append(_outgoing(self._names, write, owned.number))
            if time_slice.is_over():
                await self._let_others_in(owned, time_slice)
        self._liveness.check()
        if not owned.lost:
            async with asyncio.timeout(self._liveness.phase_seconds):
                await self._producer.write(outgoing)

    def _ran(self, number: int, fetched: Sequence[Fetched], refused: int, rows: int, seconds: float) -> None:
        self._liveness.progress.ran()
        self._metrics.events.inc(len(fetched))
        self._metrics.rejected.inc(refused)
        self._metrics.run_seconds.observe(seconds)
        self._log.info(
            "run_applied",
            partition=number,
            first=fetched[0].offset,
            last=fetched[-1].offset,
            records=len(fetched),
            rejected=refused,
            rows=rows,
            seconds=round(seconds, 3),
            outcome="acknowledged",
        )

    def stand(self, number: int, end: int, lost: int) -> None:
        """The partition stands before a gap of so many lost records: no time passes for it."""
        owned = self._owned.get(number)
        if owned is not None:
            self._metrics.measure(owned, end, lost)


def wall_clock(now: Callable[[], float] = time.time) -> int:
    """Microseconds since 1970."""
    return round(now() * SECOND)


def _outgoing(names: Topics, write: Write, number: int) -> Outgoing:
    match write:
        case ChangelogEntry():
            return Outgoing(names.state, number, write.key, write.value)
        case RefusedRecord():
            return Outgoing(names.rejected, None, write.key, write.value, write.headers)
        case bytes():
            return Outgoing(names.scores, number, None, write, STRUCTURED)
        case _:
            return Outgoing(names.scores, number, write.relationship.encode(), score_event(write), STRUCTURED)
