"""A broker in memory, workers that may die between any two writes, and heals that race with them and die as well.
Everything but the crashes is the real domain."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain import steps
from services.scoring.domain.account import Account
from services.scoring.domain.bounds import DAY
from services.scoring.domain.changelog import Entry, Recovery
from services.scoring.domain.healing import Mark, healed_entry, healing, is_within_reach
from services.scoring.domain.partition import Partition
from services.scoring.domain.told_programmes import remembered
from tests.scoring.random_logs import ORIGIN, TICK, Log
from tests.scoring.readers import Told, statements, table

Write = Told | Entry


class Crash(NamedTuple):
    """In which phase, after which share of its writes, and whether the rest of them lands later."""

    phase: int
    share: float
    lands: bool


@dataclass
class Broker:
    log: list[steps.Record] = field(default_factory=list)
    scores: list[Told] = field(default_factory=list)
    changelog: list[Entry] = field(default_factory=list)
    writers: int = 0

    def write(self, write: Write) -> None:
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

    def next_writer(self) -> int:
        """Another number for every worker and every heal."""
        self.writers += 1
        return self.writers


@dataclass
class Play:
    """Feeds a log to workers that crash. `late` are writes of the dead that are still under way; `heal` is one that
    has begun and is not through."""

    events: Log
    broker: Broker = field(default_factory=Broker)
    worker: steps.Generation | None = None
    late: list[Write] = field(default_factory=list)
    heal: Iterator[Sequence[Write]] | None = None

    def feed(self, count: int) -> None:
        at = len(self.broker.log)
        for offset, (key, event) in enumerate(self.events[at : at + count], at):
            self.broker.log.append(steps.Record(offset, key, event))

    def run(self, count: int, crash: Crash | None = None) -> None:
        worker = self.alive()
        following = worker.partition.offset + 1
        records = self.broker.log[following : following + count]
        if records:
            self._work(worker.run(records), crash)

    def tick(self, ahead: int, crash: Crash | None = None) -> None:
        """The wall clock never runs ahead of what the next record was recorded at."""
        worker = self.alive()
        if worker.partition.offset + 1 < len(self.broker.log):
            return
        following = self.events[len(self.broker.log) :]
        limit = to_micros(following[0][1].recordedtime) if following else 2**62
        self._work(worker.tick(min(max(worker.partition.clock, ORIGIN) + ahead, limit)), crash)

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

    def begin_heal(self) -> None:
        """When a heal begins, nothing of one that died is under way any more."""
        self.land()
        self.heal = healed(self.broker)

    def go_on_healing(self, steps_: int, crash: Crash | None = None) -> None:
        """So many of its steps. A crash ends it in the middle of the next one that writes."""
        for _ in range(steps_):
            phase = None if self.heal is None else next(self.heal, None)
            if phase is None:
                self.heal = None
                return
            if crash and phase:
                self._break_off(phase, crash)
                self.heal = None
                return
            for write in phase:
                self.broker.write(write)

    def alive(self, crash: Crash | None = None) -> steps.Generation:
        while self.worker is None:
            recovery = self.broker.recovered()
            partition = Partition(remembered(recovery.told), recovery.states, recovery.watermark)
            self.worker = steps.Generation(self.broker.next_writer(), partition, recovery.generations)
            if recovery.watermark.clock_next > recovery.watermark.clock:
                self._work(self.worker.resume(recovery.watermark.clock_next), crash)
            crash = None
        return self.worker

    def finish(self) -> Partition:
        """The log read to its end, nothing under way any more, and a worker that has just recovered."""
        self.feed(len(self.events))
        self.run(10**9)
        self.tick(3 * DAY + 4 * TICK)
        self.go_on_healing(10**9)
        self.land()
        self.worker = None
        return self.alive().partition

    def _work(self, phases: Iterable[steps.Phase], crash: Crash | None) -> None:
        for number, writes in enumerate(filter(None, phases)):
            phase = [write if isinstance(write, Entry) else Told(write) for write in writes]
            if crash and number == crash.phase:
                self._break_off(phase, crash)
                self.worker = None
                return
            for write in phase:
                self.broker.write(write)

    def _break_off(self, phase: Sequence[Write], crash: Crash) -> None:
        cut = int(crash.share * (len(phase) + 1))
        for write in phase[:cut]:
            self.broker.write(write)
        if crash.lands:
            self.late += phase[cut:]


def healed(broker: Broker) -> Iterator[Sequence[Write]]:
    """A heal, step by step, so that a worker may go on in between: it reads how far the partition is, then (the sink
    has caught up) table and log, tells relationship by relationship, and stores that it did."""
    recovery = broker.recovered()
    mark = Mark(recovery.watermark.offset, recovery.watermark.clock, remembered(recovery.told))
    yield []
    stored = table(broker.scores)
    for name, state in sorted(recovery.states.items()):
        if not state.is_stale(mark.clock) or not is_within_reach(state, mark):
            continue
        known = statements(stored, name, mark.clock)
        found = healing(name, _account(broker, name, mark.position), known, mark)
        yield [Told(emission, heal=True) for emission in found.emissions]
        yield [healed_entry(name, found.state, broker.next_writer())]


def _account(broker: Broker, name: str, upto: int) -> Account:
    account = Account()
    for offset, key, event in broker.log[: upto + 1]:
        if key == name and isinstance(event, OfRelationship):
            account.add(event, offset)
    return account
