"""The worker: owns partitions, applies batches, moves their clocks, and writes phase by phase."""

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

MAX_CLOCK_LEAD = 5 * MINUTE
"""A record may move the clock this far beyond the wall clock: a wrong recorded time must not move time for others."""
CLOCK_INTERVAL_SECONDS = 60
"""Seconds between two steps of an idle partition's clock, and between two clock events."""
MAX_LOGGED_KEYS, MAX_LOGGED_KEY_BYTES = 5, 100
"""Limits of the keys of unreadable states in a log line."""
TICK_SLICE_SECONDS = 0.05
"""A partition whose clock is moved by the timer keeps its records waiting this long."""
PHASE_LENGTH = 2_000
"""Records in flight at once."""
SHORT_BATCH_SECONDS = 0.1
"""Most batches are done by then. A longer one, which moves the clock far, yields to the short ones."""
YIELD_SECONDS = 0.03
"""Pause between two slices of a long batch: however many partitions are busy, it keeps a quarter of the time."""


Write = ProcessorWrite | RefusedRecord | bytes
"""`bytes`: a clock event of the partition."""


class Outgoing(NamedTuple):
    """A record for the broker; `partition` None: the partitioner chooses by the key."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


class BatchProducer(Protocol):
    async def write(self, outgoing: Iterable[Outgoing]) -> None:
        """Return when all are acknowledged."""


class Worker:
    def __init__(
        self, topics: Topics, sizes: Sizes, producer: BatchProducer, metrics: ScoringMetrics, liveness: Liveness
    ) -> None:
        self._topics, self._sizes, self._producer = topics, sizes, producer
        self._metrics, self._liveness = metrics, liveness
        self._assigned_partitions: dict[int, AssignedPartition] = {}
        self._batch_started: dict[int, float] = {}
        """When the current batch of each partition began."""
        self._assignments = 0
        self._log = log.get(__name__)

    def next_offset(self, number: int) -> int | None:
        """None: the partition is not assigned."""
        assigned = self._assigned_partitions.get(number)
        return None if assigned is None else assigned.partition.offset + 1

    def applied_offset(self, number: int) -> int | None:
        """The offset at which the next owner may continue, or a later one; None: the partition is not assigned."""
        assigned = self._assigned_partitions.get(number)
        return None if assigned is None else assigned.applied + 1

    async def restore(self, number: int, recovery: Recovery) -> bool:
        """Restore an assigned partition from its changelog. Rows that were announced before a crash are emitted first.
        Returns False if a rebalance began in the meantime and revoked it."""
        assignment = self._assignments

        def is_still_wanted() -> bool:
            """Called between two slices of a restore of minutes: counts as polling, so that we stay in the group."""
            self._liveness.worked(time.monotonic())
            return assignment == self._assignments

        assigned = await restore(number, recovery, self._topics, self._sizes, is_still_wanted)
        if assigned is None:
            return False
        self._assigned_partitions[number] = assigned
        async with assigned.lock:
            if recovery.unreadable:
                unreadable = sorted(recovery.unreadable)
                self._metrics.unreadable_states.inc(len(unreadable))
                first = [
                    key[:MAX_LOGGED_KEY_BYTES].decode(errors="backslashreplace") for key in unreadable[:MAX_LOGGED_KEYS]
                ]
                self._log.error("states_unreadable", partition=number, count=len(unreadable), first=first)
                await self._write(assigned, assigned.processor.discard(unreadable))
            if recovery.watermark.clock_next > recovery.watermark.clock:
                await self._write(assigned, assigned.processor.resume(recovery.watermark.clock_next))
        if not_on_log := sorted(one.name for one in recovery.profiles.values() if one.position == NONE):
            command = "rapport programs upgrade"
            self._log.warning(
                "profiles_not_on_log", partition=number, programmes=not_on_log[:MAX_LOGGED_KEYS], run=command
            )
        self._log.info(
            "partition_taken",
            partition=number,
            offset=assigned.partition.offset,
            relationships=len(assigned.partition.states),
            generations=max(map(len, recovery.generations.values()), default=0),
        )
        return not assigned.lost

    async def skip_to(self, number: int, offset: int) -> None:
        """An operator accepted that the log begins at this offset; the records before it are lost."""
        assigned = self._assigned_partitions.get(number)
        if assigned is not None:
            async with assigned.lock:
                assigned.partition.offset = max(assigned.partition.offset, offset - 1)

    async def drop_all(self) -> None:
        """A rebalance began: the partitions may go to other workers. Returns when none of their writes is in flight any
        more, after one phase at the latest."""
        self._assignments += 1
        dropped = list(self._assigned_partitions.values())
        self._assigned_partitions.clear()
        for assigned in dropped:
            assigned.lost = True
        for assigned in dropped:
            async with assigned.lock:
                self._metrics.forget(assigned.number)
        if dropped:
            self._log.info("partitions_dropped", partitions=sorted(assigned.number for assigned in dropped))

    async def apply(self, number: int, fetched: Sequence[Fetched]) -> int | None:
        """Apply a batch. Returns None when it is applied, now or earlier; else the offset that has to come first."""
        assigned = self._assigned_partitions.get(number)
        if assigned is None:
            return None
        async with assigned.lock:
            partition, began = assigned.partition, time.monotonic()
            fetched = [record for record in fetched if record.offset > partition.offset]
            if not fetched:
                return None
            if fetched[0].offset != partition.offset + 1:
                return partition.offset + 1
            tp = Partition(self._topics.events, number)
            records = Decoding(fetched, tp, self._sizes.partitions, assigned.breaker)
            self._batch_started[number] = began
            try:
                rows = await self._write(
                    assigned, assigned.processor.run(records, wall_clock() + MAX_CLOCK_LEAD), records.refused
                )
            finally:
                del self._batch_started[number]
            if not assigned.lost:
                assigned.applied = partition.offset
                assigned.unannounced_records += len(fetched)
                for event in records.set:
                    versions = [profile.version for profile in event.data.profiles]
                    programme = partition_key(event.tenant, event.program)
                    self._log.info("profiles_applied", partition=number, programme=programme, versions=versions)
                self._report_batch(number, fetched, len(records.refused), rows, time.monotonic() - began)
            return None

    async def tick(self, number: int, end: int, clock: int | None) -> None:
        """Called about once a second with the end of the partition and the wall clock (log mode: None). Time passes
        only for a partition that is read to its end, in slices, so that records get in between."""
        assigned = self._assigned_partitions.get(number)
        if assigned is not None and assigned.lock.locked():
            # A batch is being applied, for minutes if it moves the clock far: its records move the clock.
            self._metrics.measure(assigned, end, lost=0)
            return
        while assigned is not None and not assigned.lost:
            async with assigned.lock:
                partition = assigned.partition
                self._metrics.measure(assigned, end, lost=0)
                if partition.offset + 1 < end:
                    return
                reached = clock is None or await self._advance_clock(assigned, clock)
                if reached:
                    await self._announce_clock(assigned)
                    return

    async def _advance_clock(self, assigned: AssignedPartition, clock: int) -> bool:
        """Advance by a slice of a day at most; returns whether the clock is reached. While nothing is due, one step a
        minute is enough: each is two records in the changelog."""
        partition = assigned.partition
        if clock - partition.clock < CLOCK_INTERVAL_SECONDS * SECOND and not partition.is_due(clock):
            return await self._write_slice(assigned, assigned.processor.tick(partition.clock))
        step = clock if partition.clock < 0 else min(clock, partition.clock + DAY)
        return await self._write_slice(assigned, assigned.processor.tick(step)) and step == clock

    async def _announce_clock(self, assigned: AssignedPartition) -> None:
        now, clock = time.monotonic(), assigned.partition.clock
        if (
            clock < 0
            or assigned.lost
            or (not assigned.unannounced_records and now - assigned.clock_announced < CLOCK_INTERVAL_SECONDS)
        ):
            return
        await self._send_acknowledged(assigned, [clock_event(assigned.number, clock)])
        assigned.unannounced_records, assigned.clock_announced = 0, now

    async def _write(
        self,
        assigned: AssignedPartition,
        phases: Iterable[Phase],
        refused: Sequence[RefusedRecord] = (),
    ) -> int:
        """Write phase by phase, each acknowledged before the next, and stop when the partition is lost, since its state
        in memory is then useless. `refused` grows as records are read: its records are written before the watermark
        that passes over them. Returns how many rows were emitted."""
        rows, refusals, time_slice = 0, 0, TimeSlice()
        for phase in phases:
            if time_slice.is_over():
                self._liveness.worked(time_slice.now)
                await self._yield_to_others(assigned, time_slice)
            if assigned.lost:
                break
            # Refused records go out with the outputs, before the watermark, even if there are no outputs.
            if phase or (phase is not PAUSE and len(refused) > refusals):
                self._liveness.worked(time_slice.now)
                rows += await self._write_phase(assigned, [*refused[refusals:], *phase])
                refusals = len(refused)
        return rows

    async def _write_slice(self, assigned: AssignedPartition, phases: Iterable[Phase]) -> bool:
        """As `_write`, for one slice; returns whether everything is written. The rest is computed again, so a slice
        ends after a phase that wrote, never while rows are unwritten."""
        time_slice = TimeSlice()
        end = time_slice.now + TICK_SLICE_SECONDS
        for phase in phases:
            if phase:
                await self._write_phase(assigned, phase)
            if time_slice.is_over():
                await self._yield_to_others(assigned, time_slice)
            self._liveness.worked(time_slice.now)
            if assigned.lost or (phase and time_slice.now > end):
                return False
        return True

    async def _yield_to_others(self, assigned: AssignedPartition, time_slice: TimeSlice) -> None:
        """An event passes the event loop a dozen times until it is acknowledged: without this pause it would wait for
        as many slices of long work."""
        now = time.monotonic()
        until, is_long = now + YIELD_SECONDS, now - self._batch_started.get(assigned.number, 0.0) > SHORT_BATCH_SECONDS
        while is_long and now < until and now - max(self._batch_started.values(), default=0.0) < SHORT_BATCH_SECONDS:
            await asyncio.sleep(0.001)
            now = time.monotonic()
        await time_slice.yield_control()

    async def _write_phase(self, assigned: AssignedPartition, writes: Sequence[Write]) -> int:
        for begin in range(0, len(writes), PHASE_LENGTH):
            if assigned.lost:
                return 0
            await self._send_acknowledged(assigned, writes[begin : begin + PHASE_LENGTH])
        assigned.track_stale(writes)
        rows = sum(isinstance(write, Emission) for write in writes)
        self._metrics.rows.inc(rows)
        return rows

    async def _send_acknowledged(self, assigned: AssignedPartition, writes: Sequence[Write]) -> None:
        """Nothing is written if the partition is lost while its rows are serialized."""
        outgoing, time_slice = list[Outgoing](), TimeSlice()
        for write in writes:
            outgoing.append(_outgoing(self._topics, write, assigned.number))
            if time_slice.is_over():
                await self._yield_to_others(assigned, time_slice)
        self._liveness.check()
        if not assigned.lost:
            async with asyncio.timeout(self._liveness.phase_seconds):
                await self._producer.write(outgoing)

    def _report_batch(self, number: int, fetched: Sequence[Fetched], refused: int, rows: int, seconds: float) -> None:
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

    def report_gap(self, number: int, end: int, lost: int) -> None:
        """The partition stands before a gap of this many lost records: no time passes for it."""
        assigned = self._assigned_partitions.get(number)
        if assigned is not None:
            self._metrics.measure(assigned, end, lost)


def wall_clock(now: Callable[[], float] = time.time) -> int:
    """Microseconds since 1970."""
    return round(now() * SECOND)


def _outgoing(topics: Topics, write: Write, number: int) -> Outgoing:
    match write:
        case ChangelogEntry():
            return Outgoing(topics.state, number, write.key, write.value)
        case RefusedRecord():
            return Outgoing(topics.rejected, None, write.key, write.value, write.headers)
        case bytes():
            return Outgoing(topics.scores, number, None, write, STRUCTURED)
        case _:
            return Outgoing(topics.scores, number, write.relationship.encode(), score_event(write), STRUCTURED)
