"""An in-memory broker, and maintenance that runs on it beside the workers: heals, replays that exchange the table, and
the log with more partitions. Exclusive as on the real broker: after losing its hold it writes nothing more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from schemas.events import OfPartition
from schemas.topics import position
from services.scoring.domain import write_phases
from services.scoring.domain.bounds import NONE
from services.scoring.domain.changelog import ChangelogEntry, Recovery, programme_entry, state_entry, watermark_entry
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.maintenance import (
    HealBound,
    StateMismatch,
    carry_watermark,
    healed_entry,
    healing,
    is_within_reach,
    repartitioned,
)
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import programmes_of
from tests.scoring.readers import ScoreRecord, statements, table

Write = ScoreRecord | ChangelogEntry
STEP: Sequence[Write] = ()
"""Of a replay: it wrote to the warehouse, not to the log."""


@dataclass
class Broker:
    log: list[write_phases.LogRecord] = field(default_factory=list)
    scores: list[ScoreRecord] = field(default_factory=list)
    rows: list[ScoreRecord] = field(default_factory=list)
    """What the warehouse has stored of them, in the table that is in use."""
    replaced: list[ScoreRecord] | None = None
    """The table in use before a replay, until what is beyond that is brought over to the one that took its place."""
    bound: HealBound | None = None
    """Up to where that replay went."""
    epoch: int = 0
    changelog: list[ChangelogEntry] = field(default_factory=list)
    writers: int = 0

    def write(self, write: Write) -> None:
        if isinstance(write, ChangelogEntry):
            self.changelog.append(write)
        else:
            self.scores.append(write)
            self.rows.append(write)

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
class HealHold:
    """Whether maintenance is still one's own: asked before each step that writes."""

    lost: bool = False

    def is_lost(self) -> bool:
        return self.lost


def healed(broker: Broker, hold: HealHold) -> Iterator[Sequence[Write]]:
    """A heal in steps, so that a worker may continue in between: it reads how far the partition is, then (once the sink
    has caught up) table and log, emits relationship by relationship, and stores the healed states."""
    recovery, mark = broker.recovered(), bound_of(broker)
    yield []
    stored = table(broker.rows)
    for name, state in sorted(recovery.states.items()):
        if not state.is_stale(mark.clock) or not is_within_reach(state, mark):
            continue
        newest = statements(stored, name, mark.clock)
        found = healing(name, histories(broker, mark.position).get(name, FullHistory()), newest, mark)
        if hold.is_lost():
            return
        yield [ScoreRecord(emission, heal=True) for emission in found.emissions]
        if hold.is_lost():
            return
        yield [healed_entry(name, found.state, broker.next_writer())]


def replayed(broker: Broker, hold: HealHold) -> Iterator[Sequence[Write]]:
    """A replay in steps: the rows of the full log in a shadow table, what live scoring emitted meanwhile, the exchange,
    and the rows stored between the last check and it. Interrupted after the exchange, the next one continues there."""
    if broker.replaced is None:
        # 1. All rows, up to where the partition is.
        bound = bound_of(broker)
        shadow = [
            ScoreRecord(Emission(name, history.program, at, history.position, row, changed=True, trigger=None))
            for name, history in histories(broker, bound.position).items()
            for at, row in ScoreHistory(history.facts, bound.programmes.of(name, history.program))
            .rows(NONE, bound.clock)
            .items()
        ]
        yield STEP
        # 2. It follows, and takes the table's place.
        shadow += beyond(broker.rows, bound)
        yield STEP
        if hold.is_lost():
            return
        broker.rows, broker.replaced = shadow, broker.rows
        broker.bound = bound
        yield STEP
    # 3. What was stored meanwhile.
    if not hold.is_lost():
        assert broker.bound is not None, "the shadow says what it was filled with"
        broker.rows += beyond(broker.replaced, broker.bound)
        broker.replaced = None
        yield STEP


def beyond(rows: Sequence[ScoreRecord], bound: HealBound) -> list[ScoreRecord]:
    return [
        record for record in rows if record.emission.position > bound.position or record.emission.as_of > bound.clock
    ]


def bound_of(broker: Broker) -> HealBound:
    recovery = broker.recovered()
    offset, clock, _ = recovery.watermark
    return HealBound(position(broker.epoch, offset), clock, programmes_of(recovery.profiles.values()))


def histories(broker: Broker, upto: int) -> dict[str, FullHistory]:
    """The history of each relationship up to a position."""
    found: dict[str, FullHistory] = {}
    for offset, key, event in broker.log:
        log_position = position(broker.epoch, offset)
        if log_position <= upto and event is not None and not isinstance(event, OfPartition):
            found.setdefault(key, FullHistory()).add(event, log_position)
    return {name: history for name, history in found.items() if history.facts}


def split(broker: Broker, partitions: int) -> list[Broker]:
    """The partitions to which a log of one partition is copied, with their states. No worker runs, and everything is
    applied."""
    recovery = broker.recovered()
    return [_child(broker, recovery, number, partitions) for number in range(partitions)]


def lies_on(relationship: str, partitions: int) -> int:
    return crc32(relationship.encode()) % partitions


def _child(broker: Broker, recovery: Recovery, number: int, partitions: int) -> Broker:
    mine = [r for r in broker.log if isinstance(r.event, OfPartition) or lies_on(r.key, partitions) == number]
    child = Broker(
        log=[write_phases.LogRecord(offset, key, event) for offset, (_, key, event) in enumerate(mine)],
        scores=[record for record in broker.scores if lies_on(record.emission.relationship, partitions) == number],
        rows=[record for record in broker.rows if lies_on(record.emission.relationship, partitions) == number],
        epoch=broker.epoch + 1,
    )
    accounts, writer = histories(child, position(child.epoch, len(mine))), child.next_writer()
    for name, old in recovery.states.items():
        if lies_on(name, partitions) == number:
            state = repartitioned(old, accounts.get(name, FullHistory()))
            assert not isinstance(state, StateMismatch), f"{name}: {state}"
            child.changelog.append(state_entry(name, writer, state))
    child.changelog += [programme_entry(writer, applied) for applied in recovery.profiles.values()]
    child.changelog.append(watermark_entry(writer, carry_watermark(recovery.watermark, len(mine) - 1)))
    return child
