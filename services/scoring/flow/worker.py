"""The worker: owns partitions, applies their runs, moves their clocks, and writes phase by phase."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.programs import Profile
from services.runtime import log
from services.scoring.domain import steps
from services.scoring.domain.bounds import SECOND
from services.scoring.domain.changelog import Entry, Recovery
from services.scoring.domain.partition import Partition
from services.scoring.domain.telling import clock_event, score_event
from services.scoring.flow.decoding import Refused, decoded
from services.scoring.flow.liveness import Liveness
from services.scoring.flow.metrics import Metrics
from services.scoring.names import Names

ACKNOWLEDGED_WITHIN = 60
"""Seconds that a phase may take; longer, and the process starts afresh."""
CLOCK_EVERY = 60
"""Seconds between two words on a partition's clock while nothing else happens."""
PHASE_LENGTH = 2_000
"""Records that are under way at once."""
FaustProducer = Any
"""Faust publishes no types; its `send` returns an acknowledgement to await."""
STRUCTURED = [("content-type", b"application/cloudevents+json")]


@dataclass
class Owned:
    """A partition while it is ours. The lock keeps the clock out of a run."""

    generation: steps.Generation
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    unheard_records: int = 1
    clock_told: float = 0.0

    @property
    def partition(self) -> Partition:
        return self.generation.partition


class Worker:
    def __init__(self, names: Names, metrics: Metrics, liveness: Liveness, profile: Profile) -> None:
        self._names, self._metrics, self._liveness, self._profile = names, metrics, liveness, profile
        self._owned: dict[int, Owned] = {}
        self._log = log.get(__name__)

    def owns(self, number: int) -> bool:
        return number in self._owned

    def next_offset(self, number: int) -> int:
        return self._owned[number].partition.offset + 1

    async def take(self, producer: FaustProducer, number: int, recovery: Recovery) -> None:
        """A partition was assigned and its changelog read. What was announced before a crash is told again first."""
        partition = Partition(self._profile, recovery.states, recovery.watermark)
        owned = self._owned[number] = Owned(steps.Generation(time.time_ns(), partition, recovery.generations))
        if recovery.watermark.clock_next > recovery.watermark.clock:
            await self._write(producer, number, owned.generation.resume(recovery.watermark.clock_next))
        self._log.info(
            "partition_taken",
            partition=number,
            offset=partition.offset,
            relationships=len(partition.states),
            generations=max(map(len, recovery.generations.values()), default=0),
        )

    def drop(self, number: int) -> None:
        """The partition is somebody else's; nothing of it may be looked at any more."""
        if self._owned.pop(number, None):
            self._liveness.forget(number)
            for gauge in (self._metrics.lag, self._metrics.clock, self._metrics.relationships, self._metrics.stale):
                gauge.remove(str(number))
            self._log.info("partition_dropped", partition=number)

    async def run(self, producer: FaustProducer, number: int, fetched: Sequence[Any]) -> int | None:
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
            records, refused = decoded(fetched)
            rows = await self._write(producer, number, owned.generation.run(records), refused)
            owned.unheard_records += len(records)
            self._ran(number, fetched, len(refused), rows, time.monotonic() - began)
            return None

    async def tick(self, producer: FaustProducer, number: int, end: int, clock: int | None) -> None:
        """Called about once a second with the end of the partition and the wall clock (log mode: None). Only a
        partition that is read to its end may let time pass."""
        owned = self._owned.get(number)
        if owned is None:
            return
        async with owned.lock:
            partition = owned.partition
            self._measure(number, partition, end)
            self._liveness.check_progress(number, partition.offset, end)
            if partition.offset + 1 < end:
                return
            if clock is not None:
                await self._write(producer, number, owned.generation.tick(clock))
            await self._tell_clock(producer, number, owned)

    async def _tell_clock(self, producer: FaustProducer, number: int, owned: Owned) -> None:
        now, clock = time.monotonic(), owned.partition.clock
        if clock < 0 or (not owned.unheard_records and now - owned.clock_told < CLOCK_EVERY):
            return
        await self._acknowledged(producer, number, [clock_event(number, clock)])
        owned.unheard_records, owned.clock_told = 0, now

    async def _write(
        self,
        producer: FaustProducer,
        number: int,
        phases: Iterable[steps.Phase],
        refused: Sequence[Refused] = (),
    ) -> int:
        """Writes phase by phase, each acknowledged before the next. Returns how many rows were told."""
        rows = 0
        for phase in phases:
            for begin in range(0, len(phase) + len(refused), PHASE_LENGTH):
                await self._acknowledged(producer, number, [*refused, *phase[begin : begin + PHASE_LENGTH]])
                refused = ()
            rows += sum(not isinstance(write, Entry) for write in phase)
        self._metrics.rows.inc(rows)
        return rows

    async def _acknowledged(
        self,
        producer: FaustProducer,
        number: int,
        writes: Sequence[steps.Write | Refused | bytes],
    ) -> None:
        self._liveness.check_heartbeat()
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
            sent = [await producer.send(*_record(self._names, write, number)) for write in writes]
            for acknowledgement in sent:
                await acknowledgement

    def _ran(self, number: int, fetched: Sequence[Any], refused: int, rows: int, seconds: float) -> None:
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

    def _measure(self, number: int, partition: Partition, end: int) -> None:
        label = str(number)
        stale = sum(state.is_stale(partition.clock) for state in partition.states.values())
        self._metrics.lag.labels(label).set(max(0, end - partition.offset - 1))
        self._metrics.clock.labels(label).set(partition.clock / SECOND)
        self._metrics.relationships.labels(label).set(len(partition.states))
        self._metrics.stale.labels(label).set(stale)


def _record(names: Names, write: steps.Write | Refused | bytes, number: int) -> tuple[Any, ...]:
    """Topic, key, value, partition, timestamp, headers, as Faust's producer takes them."""
    match write:
        case Entry():
            return names.state, write.key, write.value, number, None, None
        case Refused():
            return names.rejected, write.key, write.value, None, None, write.headers
        case bytes():
            return names.scores, None, write, number, None, STRUCTURED
        case _:
            return names.scores, write.relationship.encode(), score_event(write), number, None, STRUCTURED


def wall_clock(now: Callable[[], float] = time.time) -> int:
    """Microseconds since 1970."""
    return round(now() * SECOND)
