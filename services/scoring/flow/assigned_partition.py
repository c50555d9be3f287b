"""An assigned partition, and long work on it in time slices."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.runtime.unexpected import Breaker
from services.scoring.domain.changelog import WATERMARK, ChangelogEntry, Recovery
from services.scoring.domain.layout import RelationshipState
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import programmes_of
from services.scoring.domain.write_phases import PartitionProcessor
from services.scoring.topics import Topics

SLICE_SECONDS = 0.01
"""The event loop may be busy with one task for this long: a stop, a rebalance and other partitions' clocks get in
between."""
END_OF_TIME = 2**63 - 1
"""Beyond every clock."""


class NoStatesError(Exception):
    """The repartition of this log epoch is not complete: a worker would begin without any history."""


class StaleIndex:
    """The relationships that are stale or may become so as the clock moves: few enough to count quickly."""

    def __init__(self) -> None:
        self._topics: set[str] = set()

    def track(self, name: str, state: RelationshipState) -> None:
        if state.is_stale(END_OF_TIME):
            self._topics.add(name)
        else:
            self._topics.discard(name)

    def count(self, states: Mapping[str, RelationshipState], clock: int) -> int:
        return sum(states[name].is_stale(clock) for name in self._topics)


@dataclass
class AssignedPartition:
    """The lock keeps the timer out of a batch. Once `lost`, nothing is written. `applied`: the last offset of a batch
    whose watermark is acknowledged; the partition's own offset is ahead of it during a batch. The breaker counts
    consecutive refusals on this partition: successes on other partitions do not reset it."""

    number: int
    processor: PartitionProcessor
    stale: StaleIndex
    applied: int
    lost: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    breaker: Breaker = field(default_factory=Breaker)
    unannounced_records: int = 1
    clock_announced: float = 0.0

    @property
    def partition(self) -> ScoredPartition:
        return self.processor.partition

    def track_stale(self, writes: Sequence[object]) -> None:
        """After a write, update whether its relationships are stale."""
        states = self.partition.states
        for write in writes:
            if isinstance(write, ChangelogEntry) and write.name in states:
                self.stale.track(write.name, states[write.name])


class Sizes(NamedTuple):
    """The partitions of the log, and the limit of the facts indexed in memory for all of them."""

    partitions: int
    indexed_facts: int


async def restore(
    number: int, recovery: Recovery, topics: Topics, sizes: Sizes, is_wanted: Callable[[], bool]
) -> AssignedPartition | None:
    """The partition as its changelog left it; None if it is no longer wanted. Raises NoStatesError, and whatever the
    layouts of the changelog raise."""
    if not await in_slices(recovery.merge_all(), is_wanted):
        return None
    if topics.epoch and WATERMARK not in recovery.generations:
        raise NoStatesError(f"{topics.state} {number} is empty: `rapport scoring repartition` has not finished")
    programmes = programmes_of(recovery.profiles.values())
    # One worker may be assigned all partitions.
    most = sizes.indexed_facts // max(1, sizes.partitions)
    partition = ScoredPartition(programmes, recovery.states, recovery.watermark, topics.epoch, most)
    stale = StaleIndex()

    def preparing() -> Iterator[None]:
        """One relationship per step: when it is due, and whether it may be stale."""
        for name in partition.schedule_all():
            stale.track(name, partition.states[name])
            yield

    if not await in_slices(preparing(), is_wanted):
        return None
    announced = recovery.watermark.clock_next
    processor = PartitionProcessor(time.time_ns(), partition, recovery.generations, announced)
    return AssignedPartition(number, processor, stale, partition.offset)


async def in_slices(work: Iterable[object], is_wanted: Callable[[], bool]) -> bool:
    """Run the steps of the work while it is wanted; returns whether it still is, which is checked after each slice."""
    time_slice = TimeSlice()
    for _ in work:
        if time_slice.is_over():
            await time_slice.yield_control()
            if not is_wanted():
                return False
    return True


class TimeSlice:
    """Yields to other tasks at the end of every slice of long work. It is checked after each record, so the check is
    cheap."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._until = self.now + SLICE_SECONDS

    def is_over(self) -> bool:
        self.now = time.monotonic()
        return self.now >= self._until

    async def yield_control(self) -> None:
        await asyncio.sleep(0)
        self._until = time.monotonic() + SLICE_SECONDS
