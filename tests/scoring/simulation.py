"""Workers on a broker in memory that may die between any two writes, and maintenance that races with them and dies as
well. Everything but the crashes is the real domain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import NamedTuple

from schemas.events import MentoringEvent
from schemas.primitives import to_micros
from services.scoring.domain import write_phases
from services.scoring.domain.bounds import DAY, FOREVER
from services.scoring.domain.changelog import ChangelogEntry
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import programmes_of
from tests.scoring.random_logs import ORIGIN, TICK
from tests.scoring.readers import ScoreRecord
from tests.scoring.simulated_maintenance import STEP, Broker, HealHold, Write, healed, replayed

Maintenance = Callable[[Broker, HealHold], Iterator[Sequence[Write]]]


class Crash(NamedTuple):
    """In which phase, after which share of its writes, and whether the rest of them lands later."""

    phase: int
    share: float
    lands: bool


@dataclass
class Play:
    """Feeds a log to workers that crash. `late` are writes of the dead that are still under way; `heal` is one that
    has begun and is not through, `forgotten` are those that the group has forgotten while they stood still."""

    events: Sequence[tuple[str, MentoringEvent]]
    broker: Broker = field(default_factory=Broker)
    worker: write_phases.PartitionProcessor | None = None
    late: list[Write] = field(default_factory=list)
    heal: Iterator[Sequence[Write]] | None = None
    hold: HealHold = field(default_factory=HealHold)
    forgotten: list[Iterator[Sequence[Write]]] = field(default_factory=list)
    refused: int = 0

    def feed(self, count: int) -> None:
        at = len(self.broker.log)
        for offset, (key, event) in enumerate(self.events[at : at + count], at):
            self.broker.log.append(write_phases.LogRecord(offset, key, event))

    def run(self, count: int, crash: Crash | None = None) -> None:
        worker = self.alive()
        following = worker.partition.offset + 1
        records = self.broker.log[following : following + count]
        if records:
            self._work(worker.run(records, self.ceiling()), crash)

    def tick(self, ahead: int, crash: Crash | None = None) -> None:
        """The wall clock never runs ahead of the recorded time of the next record."""
        worker = self.alive()
        if worker.partition.offset + 1 < len(self.broker.log):
            return
        following = self.events[len(self.broker.log) :]
        limit = to_micros(following[0][1].recordedtime) if following else 2**62
        self._work(worker.tick(min(max(worker.partition.clock, ORIGIN) + ahead, limit)), crash)

    def tick_a_little(self, ahead: int, phases: int) -> None:
        """The timer lets records in before it is through."""
        worker = self.alive()
        if worker.partition.offset + 1 == len(self.broker.log) and self.events[len(self.broker.log) :]:
            limit = to_micros(self.events[len(self.broker.log)][1].recordedtime)
            clock = min(max(worker.partition.clock, ORIGIN) + ahead, limit)
            self._work(islice(filter(None, worker.tick(clock)), phases), None)

    def ceiling(self) -> int:
        """No record moves the clock beyond it."""
        return FOREVER

    def restart(self, crash: Crash | None = None) -> None:
        self.worker = None
        self.alive(crash)

    def land(self) -> None:
        for write in self.late:
            self.broker.write(write)
        self.late = []

    def compact(self) -> None:
        """Nothing is compacted while it is under way."""
        self.land()
        self.broker.compact()

    def begin_heal(self, *, forgets: bool = False) -> None:
        self._begin(healed, forgets=forgets)

    def begin_replay(self, *, forgets: bool = False) -> None:
        self._begin(replayed, forgets=forgets)

    def _begin(self, work: Maintenance, *, forgets: bool) -> None:
        """A second one is refused, unless the group has forgotten the first, which then continues later. When one
        begins, no writes of a dead one are in flight any more."""
        if self.heal is not None and not forgets:
            self.refused += 1
            return
        if self.heal is not None:
            self.hold.lost = True
            self.forgotten.append(self.heal)
        self.land()
        self.hold = HealHold()
        self.heal = work(self.broker, self.hold)

    def thaw(self) -> None:
        """The forgotten ones continue, as far as they may."""
        for heal in self.forgotten:
            for phase in heal:
                for write in phase:
                    self.broker.write(write)
        self.forgotten = []

    def go_on_healing(self, steps_: int, crash: Crash | None = None) -> None:
        """So many of its steps. A crash ends it in the middle of the next one that writes."""
        for _ in range(steps_):
            phase = None if self.heal is None else next(self.heal, None)
            if phase is None:
                self.heal = None
                return
            if crash and (phase or phase is STEP):
                self._break_off(phase, crash)
                self.heal = None
                return
            for write in phase:
                self.broker.write(write)

    def alive(self, crash: Crash | None = None) -> write_phases.PartitionProcessor:
        while self.worker is None:
            recovery = self.broker.recovered()
            programmes = programmes_of(recovery.profiles.values())
            partition = ScoredPartition(programmes, recovery.states, recovery.watermark, self.broker.epoch)
            self.worker = write_phases.PartitionProcessor(
                self.broker.next_writer(), partition, recovery.generations, recovery.watermark.clock_next
            )
            if recovery.watermark.clock_next > recovery.watermark.clock:
                self._work(self.worker.resume(recovery.watermark.clock_next), crash)
            crash = None
        return self.worker

    def finish(self) -> ScoredPartition:
        """The log read to its end, nothing under way any more, and a worker that has just recovered."""
        self.feed(len(self.events))
        self.run(10**9)
        self.tick(3 * DAY + 4 * TICK)
        self.go_on_healing(10**9)
        self.thaw()
        self.land()
        if self.broker.replaced is not None:
            self.begin_replay()
            self.go_on_healing(10**9)
        self.worker = None
        return self.alive().partition

    def write(self, phase: write_phases.Phase) -> None:
        for write in _as_written(phase):
            self.broker.write(write)

    def die(self, phase: write_phases.Phase, crash: Crash) -> None:
        """In the middle of a phase."""
        self._break_off(_as_written(phase), crash)
        self.worker = None

    def _work(self, phases: Iterable[write_phases.Phase], crash: Crash | None) -> None:
        for number, phase in enumerate(filter(None, phases)):
            if crash and number == crash.phase:
                self.die(phase, crash)
                return
            self.write(phase)

    def _break_off(self, phase: Sequence[Write], crash: Crash) -> None:
        cut = int(crash.share * (len(phase) + 1))
        for write in phase[:cut]:
            self.broker.write(write)
        if crash.lands:
            self.late += phase[cut:]


def _as_written(phase: write_phases.Phase) -> list[Write]:
    return [write if isinstance(write, ChangelogEntry) else ScoreRecord(write) for write in phase]


def interleaved(plays: Sequence[Play], rng: Random, steps: int | None) -> list[int]:
    """One process that applies all logs, each partition phase by phase, in any interleaving. After this many steps it
    dies, and with it the work on all partitions; None: it lives. Yields the partition of each step."""
    at_work = {
        number: play.alive().run(play.broker.log[play.alive().partition.offset + 1 :])
        for number, play in enumerate(plays)
    }
    order: list[int] = []
    while at_work and (steps is None or len(order) < steps):
        number = rng.choice(sorted(at_work))
        phase = next(at_work[number], None)
        if phase is None:
            del at_work[number]
            continue
        order.append(number)
        plays[number].write(phase)
    if at_work:
        for number, play in enumerate(plays):
            # What was next may be half written.
            play.die(next(at_work[number], ()) if number in at_work else (), Crash(0, rng.random(), rng.random() < 0.5))
    return order
