"""`rapport scoring heal`: recompute stale relationships, whose rows the bounded memory could not compute, from the full
log.

Only one heal runs at a time, and no replay beside it: late writes of an abandoned heal would look newer than what is
stored. So it checks before each step that writes that it still may (`HealEnvironment.check`)."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby

from schemas.topics import SCORING_STATE, position
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Partition, Producer, Sent, await_acknowledged, partition_count
from services.runtime.settings import Settings
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.maintenance import HealBound, Healing, healed_entry, healing, is_within_reach
from services.scoring.domain.serialization import score_event
from services.scoring.flow.decoding import STRUCTURED
from services.scoring.flow.log_reading import Passed, Stored, events_of, histories_of_events, records_up_to, stored
from services.scoring.flow.sink import GROUP, await_sink, stored_rows
from services.scoring.topics import Topics

PASSES = 3
"""Relationships that become stale during a heal are healed in further passes, up to this many."""
READ_BATCH = 2_000
"""Relationships whose full log is in memory at once: some hundred MB."""
HEAL_BATCH = 50
"""Relationships that are compared with the table, emitted and marked as healed in one batch."""

Progress = Callable[[str, int, int], object]
"""The current step, how much of it is done, and its total (0: unknown)."""


class NoStateError(Exception):
    """Scoring has no state of the relationship."""


@dataclass
class HealReport:
    """`healed`: rows emitted and rows deleted, by relationship. `again`: stale again by later records. `left`: still
    stale; scoring has not yet applied what made them so."""

    healed: dict[str, tuple[int, int]] = field(default_factory=dict)
    again: Sequence[str] = ()
    left: Sequence[str] = ()


@dataclass(frozen=True)
class HealEnvironment:
    """Where the log, the states and the table are; `sink`: the group that fills the table. `check` raises if exclusive
    maintenance is lost (maintenance)."""

    settings: Settings
    topics: Topics
    sink: str = GROUP
    check: Callable[[], object] = lambda: None


def heal(environment: HealEnvironment, asked: Collection[str], progress: Progress) -> HealReport:
    """Heal the stale relationships, all or those requested. After an interruption, the next heal does the rest. Raises
    NoStateError, LogCutOffError, SinkBehindError, MaintenanceLostError, KafkaError, ClickHouseError."""
    report = HealReport()
    for passes in range(PASSES + 1):
        progress("reading the stored states", 0, 0)
        stored_states = stored(environment.settings, environment.topics)
        if unknown := next((name for name in asked if name not in stored_states.states), None):
            raise NoStateError(f"there is no relationship {unknown} among {len(stored_states.states)} (tenant/id)")
        stale = [name for name in stored_states.stale if not asked or name in asked]
        ready = [
            name
            for name in stale
            if is_within_reach(stored_states.states[name], _bound_of(environment, stored_states, name))
        ]
        if not ready or passes == PASSES:
            break
        progress("waiting for the warehouse to store what was emitted", 0, 0)
        await_sink(environment.settings, environment.topics.scores, environment.sink)
        for name, found in _healed(environment, stored_states, ready, progress):
            deleted = sum(emission.row is None for emission in found.emissions)
            report.healed[name] = len(found.emissions) - deleted, deleted
    report.again = [name for name in stale if name in report.healed]
    report.left = [name for name in stale if name not in report.healed]
    return report


def _bound_of(environment: HealEnvironment, stored_states: Stored, name: str) -> HealBound:
    number = stored_states.partition_of[name]
    offset, clock, _ = stored_states.watermarks[number]
    return HealBound(position(environment.topics.epoch, offset), clock, stored_states.programmes[number])


def _healed(
    environment: HealEnvironment, stored_states: Stored, ready: Sequence[str], progress: Progress
) -> Iterator[tuple[str, Healing]]:
    """Each relationship, once its rows are emitted and it is marked as healed."""
    done = read = total = 0

    def passed(count: int) -> None:
        nonlocal read
        read += count
        progress("reading the log", read, total)

    with (
        closing(ClickHouse(environment.settings)) as table,
        closing(Producer(environment.settings, max_request_size=SCORING_STATE.most_bytes)) as producer,
    ):
        # Partition by partition, so that none is read more often than necessary.
        in_order = sorted(ready, key=lambda name: (stored_states.partition_of[name], name))
        for some in _chunks(in_order, READ_BATCH):
            wanted = {
                number: list(relationships)
                for number, relationships in groupby(some, key=stored_states.partition_of.__getitem__)
            }
            total, read = sum(stored_states.watermarks[number].offset + 1 for number in wanted), 0
            histories = {name: FullHistory() for name in some}
            for of_partition in wanted.values():
                histories |= histories_of_log(environment, stored_states, of_partition, passed)
            for relationships in _chunks(some, HEAL_BATCH):
                progress("healing", done, len(ready))
                bounds = {name: _bound_of(environment, stored_states, name) for name in relationships}
                stored_history = stored_rows(table, relationships, max(bound.clock for bound in bounds.values()))
                found = {}
                for name, bound in bounds.items():
                    # Each relationship's rows up to its own bound.
                    rows = {at: row for at, row in stored_history.get(name, {}).items() if at <= bound.clock}
                    found[name] = healing(name, histories[name], rows, bound)
                _write_healings(environment, producer, stored_states, found)
                yield from found.items()
                done += len(relationships)


def _chunks(relationships: Sequence[str], length: int) -> Iterator[Sequence[str]]:
    return (relationships[begin : begin + length] for begin in range(0, len(relationships), length))


def histories_of_log(
    environment: HealEnvironment, stored_states: Stored, wanted: Collection[str], passed: Passed
) -> dict[str, FullHistory]:
    """Of relationships of one partition, up to what is applied. Raises LogCutOffError, KafkaError."""
    (number,), keys = {stored_states.partition_of[name] for name in wanted}, {name.encode() for name in wanted}
    settings, topics = environment.settings, environment.topics
    partitions = partition_count(settings, topics.events)
    records = records_up_to(settings, Partition(topics.events, number), stored_states.watermarks[number].offset, passed)
    return histories_of_events(events_of((one for one in records if one.key in keys), topics, partitions))


def _write_healings(
    environment: HealEnvironment, producer: Producer, stored_states: Stored, healings: Mapping[str, Healing]
) -> None:
    """Return when everything is acknowledged. Raises KafkaError: then the relationships stay stale."""

    def rows() -> Iterator[Sent]:
        for name, found in healings.items():
            for emission in found.emissions:
                value = score_event(emission, "heal")
                yield producer.send(
                    environment.topics.scores, name.encode(), value, stored_states.partition_of[name], STRUCTURED
                )

    def bounds() -> Iterator[Sent]:
        for name, found in healings.items():
            entry = healed_entry(name, found.state, time.time_ns())
            yield producer.send(environment.topics.state, entry.key, entry.value, stored_states.partition_of[name])

    # 1. The rows. 2. The healed states: a crash in between repeats both.
    for sent in (rows(), bounds()):
        environment.check()
        await_acknowledged(sent, between=environment.check)
