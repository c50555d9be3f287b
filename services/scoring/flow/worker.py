"""The worker: owns partitions, applies their runs, moves their clocks, and writes phase by phase."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from services.runtime import log
from services.runtime.breaker import Breaker
from services.scoring.domain import steps
from services.scoring.domain.bounds import DAY, SECOND
from services.scoring.domain.changelog import Entry, Recovery
from services.scoring.domain.programme_record import ProgrammeRecord
from services.scoring.domain.telling import clock_event
from services.scoring.flow.decoding import Refused, decoded
from services.scoring.flow.liveness import Liveness
from services.scoring.flow.metrics import Metrics
from services.scoring.flow.owned import Breath, Owned, taken
from services.scoring.flow.programmes import ProgrammeFollower
from services.scoring.flow.records import Write, record
from services.scoring.flow.sending import send
from services.scoring.names import Names

ACKNOWLEDGED_WITHIN = 60
"""Seconds that a phase may take; longer, and the process starts afresh."""
CLOCK_EVERY = 60
"""Seconds between two steps of a partition's clock, and two words on it, while nothing else happens."""
MOST_NAMED, LONGEST_SHOWN = 5, 100
"""Of the keys of unreadable states in a line of the log."""
PHASE_LENGTH = 2_000
"""Records that are under way at once."""
Producer = Any
"""aiokafka's, which publishes no types."""


class Worker:
    def __init__(
        self, names: Names, partitions: int, metrics: Metrics, liveness: Liveness, programmes: ProgrammeFollower
    ) -> None:
        """`partitions`: of the log."""
        self._names, self._partitions = names, partitions
        self._metrics, self._liveness, self._programmes = metrics, liveness, programmes
        self._owned: dict[int, Owned] = {}
        self._assignments = 0
        self._breaker = Breaker()
        self._log = log.get(__name__)

    def next_offset(self, number: int) -> int | None:
        """None: the partition is not ours."""
        owned = self._owned.get(number)
        return None if owned is None else owned.partition.offset + 1

    async def take(self, producer: Producer, number: int, recovery: Recovery) -> bool:
        """A partition was assigned and its changelog read. What was announced before a crash is told again first.
        False: a rebalance began meanwhile, and it is not ours."""
        assignment = self._assignments
        owned = await taken(number, recovery, self._names, lambda: assignment == self._assignments)
        if owned is None:
            return False
        self._owned[number] = owned
        table = self._programmes.table
        async with owned.lock:
            if recovery.unreadable:
                unreadable = sorted(recovery.unreadable)
                self._tell_unreadable(number, unreadable)
                await self._write(producer, owned, owned.generation.discard(unreadable))
            if recovery.watermark.clock_next > recovery.watermark.clock:
                await self._write(producer, owned, owned.generation.resume(recovery.watermark.clock_next))
            # After it: what was announced is told again as it was.
            await self._tell_programmes(producer, owned, table.offset, table.untold(recovery.told))
        self._log.info(
            "partition_taken",
            partition=number,
            offset=owned.partition.offset,
            relationships=len(owned.partition.states),
            generations=max(map(len, recovery.generations.values()), default=0),
        )
        return not owned.lost

    def _tell_unreadable(self, number: int, keys: Sequence[bytes]) -> None:
        self._metrics.unreadable_states.inc(len(keys))
        first = [key[:LONGEST_SHOWN].decode(errors="backslashreplace") for key in keys[:MOST_NAMED]]
        self._log.error("states_unreadable", partition=number, count=len(keys), first=first)

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

    async def run(self, producer: Producer, number: int, fetched: Sequence[Any]) -> int | None:
        """Applies a run. None when it is applied or was before; else the offset that has to come first."""
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
            await self._follow_programmes(producer, owned)
            records, refused = decoded(fetched, self._partitions, self._breaker)
            rows = await self._write(producer, owned, owned.generation.run(records), refused)
            if not owned.lost:
                owned.unheard_records += len(records)
                self._ran(number, fetched, len(refused), rows, time.monotonic() - began)
            return None

    async def tick(self, producer: Producer, number: int, end: int, clock: int | None) -> None:
        """Called about once a second with the end of the partition and the wall clock (log mode: None). Only a
        partition that is read to its end may let time pass, a day at a time, so that records get in between."""
        owned = self._owned.get(number)
        while owned is not None and not owned.lost:
            async with owned.lock:
                partition = owned.partition
                await self._follow_programmes(producer, owned)
                self._metrics.measure(owned, end, lost=0)
                if partition.offset + 1 < end:
                    return
                reached = clock is None or await self._let_pass(producer, owned, clock)
                if reached:
                    await self._tell_clock(producer, owned)
                    return

    async def _let_pass(self, producer: Producer, owned: Owned, clock: int) -> bool:
        """A day at the most; whether the clock is reached. While nothing is due, a step a minute is enough: each is two
        records in the changelog."""
        partition = owned.partition
        if clock - partition.clock < CLOCK_EVERY * SECOND and not partition.is_due(clock):
            return True
        step = clock if partition.clock < 0 else min(clock, partition.clock + DAY)
        await self._write(producer, owned, owned.generation.tick(step))
        return step == clock

    async def _follow_programmes(self, producer: Producer, owned: Owned) -> None:
        """Between runs, so that one run is made by one set of profiles."""
        table = self._programmes.table
        if table.offset > owned.programmes:
            await self._tell_programmes(producer, owned, table.offset, table.since(owned.programmes))

    async def _tell_programmes(
        self, producer: Producer, owned: Owned, offset: int, records: Sequence[ProgrammeRecord]
    ) -> None:
        """`offset`: the records go at least so far. It was asked for before them, for the table grows meanwhile."""
        await self._write(producer, owned, owned.generation.told(records))
        owned.programmes = offset
        for told in records:
            versions = [profile.version for profile in told.profiles.versions]
            self._log.info("programme_told", partition=owned.number, programme=told.name, versions=versions)

    async def _tell_clock(self, producer: Producer, owned: Owned) -> None:
        now, clock = time.monotonic(), owned.partition.clock
        if clock < 0 or owned.lost or (not owned.unheard_records and now - owned.clock_told < CLOCK_EVERY):
            return
        await self._acknowledged(producer, owned, [clock_event(owned.number, clock)])
        owned.unheard_records, owned.clock_told = 0, now

    async def _write(
        self,
        producer: Producer,
        owned: Owned,
        phases: Iterable[steps.Phase],
        refused: Sequence[Refused] = (),
    ) -> int:
        """Writes phase by phase, each acknowledged before the next, and stops when the partition is lost: then its
        state in memory is of no use any more. Returns how many rows were told."""
        rows, breath = 0, Breath()
        for phase in phases:
            if breath.is_over():
                await breath.taken()
            if owned.lost:
                break
            self._liveness.progress.worked(breath.now)
            if not phase and not refused:
                continue
            for begin in range(0, len(phase) + len(refused), PHASE_LENGTH):
                await self._acknowledged(producer, owned, [*refused, *phase[begin : begin + PHASE_LENGTH]])
                refused = ()
            rows += sum(not isinstance(write, Entry) for write in phase)
            owned.look_at(phase)
        self._metrics.rows.inc(rows)
        return rows

    async def _acknowledged(
        self,
        producer: Producer,
        owned: Owned,
        writes: Sequence[Write],
    ) -> None:
        self._liveness.check()
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
            outgoing = (record(self._names, write, owned.number) for write in writes)
            for acknowledgement in await send(producer, outgoing):
                await acknowledgement

    def _ran(self, number: int, fetched: Sequence[Any], refused: int, rows: int, seconds: float) -> None:
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
