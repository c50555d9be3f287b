"""A partition while it is ours, and long work on it in slices."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from services.scoring.domain import steps
from services.scoring.domain.bounds import NONE
from services.scoring.domain.changelog import WATERMARK, Entry, Recovery
from services.scoring.domain.partition import Partition
from services.scoring.domain.state import State
from services.scoring.domain.told_programmes import remembered
from services.scoring.names import Names

SLICE_SECONDS = 0.01
"""So long the event loop may be busy with one thing: a stop, a rebalance and the clocks of others get in between."""
AT_LAST = 2**63 - 1
"""Beyond every clock."""


class NoStatesError(Exception):
    """The epoch of the log was not made by growth: whoever worked on it would begin without any history."""


class Suspects:
    """The relationships that are stale or may become so as the clock moves: so few that they are counted in no time."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def look_at(self, name: str, state: State) -> None:
        if state.is_stale(AT_LAST):
            self._names.add(name)
        else:
            self._names.discard(name)

    def stale(self, states: Mapping[str, State], clock: int) -> int:
        return sum(states[name].is_stale(clock) for name in self._names)


@dataclass
class Owned:
    """The lock keeps the clock out of a run. Once lost, nothing of it is written. `programmes`: the offset of their
    topic up to which it was told."""

    number: int
    generation: steps.Generation
    suspects: Suspects
    lost: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    programmes: int = NONE
    unheard_records: int = 1
    clock_told: float = 0.0

    @property
    def partition(self) -> Partition:
        return self.generation.partition

    def look_at(self, phase: steps.Phase) -> None:
        """What was stored may be stale, or no more."""
        states = self.partition.states
        for write in phase:
            if isinstance(write, Entry) and write.name in states:
                self.suspects.look_at(write.name, states[write.name])


async def taken(number: int, recovery: Recovery, names: Names, wanted: Callable[[], bool]) -> Owned | None:
    """The partition as its changelog left it; None where it is no more wanted. Raises NoStatesError, and whatever the
    layouts of the changelog raise."""
    if not await in_slices(recovery.merging(), wanted):
        return None
    if names.epoch and WATERMARK not in recovery.generations:
        raise NoStatesError(f"{names.state} {number} is empty: `rapport scoring grow` has not finished")
    partition = Partition(remembered(recovery.told), recovery.states, recovery.watermark, names.epoch)
    suspects = Suspects()
    if not await in_slices(preparing(partition, suspects), wanted):
        return None
    return Owned(number, steps.Generation(time.time_ns(), partition, recovery.generations), suspects)


def preparing(partition: Partition, suspects: Suspects) -> Iterator[None]:
    """One relationship a step: when it is due, and whether it may be stale."""
    for name in partition.scheduling():
        suspects.look_at(name, partition.states[name])
        yield


async def in_slices(work: Iterable[object], wanted: Callable[[], bool]) -> bool:
    """Does all of the work, step by step, while it is wanted; whether it still is."""
    breath = Breath()
    for _ in work:
        if breath.is_over():
            await breath.taken()
        if not wanted():
            return False
    return True


class Breath:
    """Lets others in at the end of every slice of long work. It is asked for after each record, so asking is cheap."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._until = self.now + SLICE_SECONDS

    def is_over(self) -> bool:
        self.now = time.monotonic()
        return self.now >= self._until

    async def taken(self) -> None:
        await asyncio.sleep(0)
        self._until = time.monotonic() + SLICE_SECONDS
