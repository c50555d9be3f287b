"""A broker in memory and workers that may die between any two writes. Everything but the crashes is the real domain."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from schemas.primitives import to_micros
from services.scoring.domain import steps
from services.scoring.domain.bounds import DAY
from services.scoring.domain.changelog import Entry, Recovery
from services.scoring.domain.history import Row
from services.scoring.domain.partition import Emission, Partition
from services.scoring.domain.profiles import Programmes
from tests.scoring.random_logs import ORIGIN, TICK, Log

CRASH = 0.3

Crash = tuple[int, float, bool]
"""At which phase, after which share of its writes, and whether the rest of them lands later."""


@dataclass
class Broker:
    log: list[steps.Record] = field(default_factory=list)
    scores: list[Emission] = field(default_factory=list)
    changelog: list[Entry] = field(default_factory=list)
    generations: int = 0

    def write(self, write: steps.Write) -> None:
        if isinstance(write, Entry):
            self.changelog.append(write)
        else:
            self.scores.append(write)

    def compact(self) -> None:
        last = {entry.key: i for i, entry in enumerate(self.changelog)}
        self.changelog = [
            entry for i, entry in enumerate(self.changelog) if last[entry.key] == i and entry.value is not None
        ]

    def recovered(self) -> Recovery:
        recovery = Recovery()
        for entry in self.changelog:
            recovery.add(entry.key, entry.value)
        return recovery.finish()


@dataclass
class Play:
    """Feeds a log to workers that crash. `late` are writes of the dead that are still under way."""

    events: Log
    broker: Broker = field(default_factory=Broker)
    worker: steps.Generation | None = None
    late: list[steps.Write] = field(default_factory=list)

    def feed(self, count: int) -> None:
        at = len(self.broker.log)
        for offset, (key, event) in enumerate(self.events[at : at + count], at):
            self.broker.log.append(steps.Record(offset, key, event))

    def run(self, count: int, crash: Crash | None = None) -> None:
        worker = self.alive()
        following = worker.partition.offset + 1
        records = self.broker.log[following : following + count]
        if records:
            self._step(worker.run(records), crash)

    def tick(self, ahead: int, crash: Crash | None = None) -> None:
        """The wall clock never runs ahead of what the next record was recorded at."""
        worker = self.alive()
        if worker.partition.offset + 1 < len(self.broker.log):
            return
        following = self.events[len(self.broker.log) :]
        limit = to_micros(following[0][1].recordedtime) if following else 2**62
        self._step(worker.tick(min(max(worker.partition.clock, ORIGIN) + ahead, limit)), crash)

    def restart(self, crash: Crash | None = None) -> None:
        self.worker = None
        self.alive(crash)

    def land(self) -> None:
        for write in self.late:
            self.broker.write(write)
        self.late = []

    def alive(self, crash: Crash | None = None) -> steps.Generation:
        while self.worker is None:
            recovery = self.broker.recovered()
            self.broker.generations += 1
            partition = Partition(Programmes(), recovery.states, recovery.watermark)
            self.worker = steps.Generation(self.broker.generations, partition, recovery.generations)
            if recovery.watermark.clock_next > recovery.watermark.clock:
                self._step(self.worker.resume(recovery.watermark.clock_next), crash)
            crash = None
        return self.worker

    def finish(self) -> Partition:
        self.feed(len(self.events))
        self.run(10**9)
        self.tick(3 * DAY + 4 * TICK)
        self.land()
        self.worker = None
        return self.alive().partition

    def _step(self, phases: Iterator[steps.Phase], crash: Crash | None) -> None:
        for number, phase in enumerate(phases):
            if crash and number == crash[0]:
                cut = int(crash[1] * (len(phase) + 1))
                for write in phase[:cut]:
                    self.broker.write(write)
                if crash[2]:
                    self.late += phase[cut:]
                self.worker = None
                return
            for write in phase:
                self.broker.write(write)


def table(scores: list[Emission]) -> dict[tuple[str, int], Row]:
    """What the warehouse holds: of each instant the row with the greatest position, of equal ones the last."""
    kept: dict[tuple[str, int], Emission] = {}
    for emission in scores:
        known = kept.get((emission.relationship, emission.as_of))
        if known is None or emission.position >= known.position:
            kept[emission.relationship, emission.as_of] = emission
    return {key: emission.row for key, emission in kept.items() if emission.row is not None}


def newest_told(scores: list[Emission]) -> dict[str, tuple[int, Row | None]]:
    """What notify shows: of each pair the last `score.changed` with the greatest position and instant."""
    deciding: dict[str, Emission] = {}
    for emission in scores:
        known = deciding.get(emission.relationship)
        if emission.changed and (known is None or emission[3:1:-1] >= known[3:1:-1]):
            deciding[emission.relationship] = emission
    return {name: (emission.as_of, emission.row) for name, emission in deciding.items()}


def live(play: Play, rng: Random) -> Partition:
    """Feeds, runs, ticks, crashes, restarts, lands late writes and compacts at random until the log is through."""
    fed = 0
    while fed < len(play.events):
        count = rng.choice([1, 1, 2, 5, 12, 30])
        play.feed(count)
        fed += count
        if rng.random() < 0.3:
            play.run(30)
            play.tick(rng.choice([3, 12, 40, 100]) * TICK, _crash(rng))
        for _ in range(rng.randint(0, 3)):
            _act(play, rng)
        if rng.random() < 0.1:
            play.land()
            play.broker.compact()
    return play.finish()


def _act(play: Play, rng: Random) -> None:
    match rng.randint(0, 4):
        case 0:
            play.run(rng.choice([1, 2, 4, 30]), _crash(rng))
        case 1:
            play.run(30, _crash(rng))
        case 2:
            play.tick(rng.choice([0, 1, 5, 12, 40, 100]) * TICK, _crash(rng))
        case 3:
            play.restart(_crash(rng))
        case _:
            play.land()


def _crash(rng: Random) -> Crash | None:
    return (rng.randint(0, 3), rng.random(), rng.random() < 0.5) if rng.random() < CRASH else None
