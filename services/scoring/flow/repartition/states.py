"""The states of the new partitions, from their log; each is compared with the state that it comes of."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from schemas.topics import SCORING_STATE
from services.runtime.kafka import Partition, Producer, Record, acknowledged, partition_of, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.changelog import ChangelogEntry, Recovery, programme_entry, state_entry, watermark_entry
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.layout import RelationshipState
from services.scoring.domain.repartition import Differs, carried, repartitioned
from services.scoring.flow.log_reading import events_of, histories_of_events
from services.scoring.flow.repartition.copying import Digest
from services.scoring.flow.repartition.plan import NotRepartitionedError, Passed, Repartitioning, Tracked


@dataclass(frozen=True)
class Repartitioned:
    """What the new log holds."""

    records: int
    relationships: int


def rebuild_states(
    settings: Settings,
    repartitioning: Repartitioning,
    recovered: Mapping[int, Recovery],
    due: Mapping[int, Digest],
    told: Tracked,
) -> Repartitioned:
    """`recovered`: the old partitions; `due`: what each new one has to hold. Raises NotRepartitionedError where one is
    not what was copied, KafkaError."""
    names, records, relationships = repartitioning.new.names, sum(digest.count for digest in due.values()), 0
    passed = told("rebuilding the states", records)
    for child, digest in due.items():
        read = Digest()
        accounts = histories_of_events(
            events_of(_read(settings, Partition(names.events, child), read, passed), names, len(due))
        )
        if read.value != digest.value:
            raise NotRepartitionedError(f"{names.events} {child} is not what was copied: --abandon it and begin again")
        old = recovered[child % len(recovered)]
        of_child = {n: state for n, state in old.states.items() if partition_of(n.encode(), len(due)) == child}
        states = _states(of_child, accounts)
        repartitioning.check()
        with closing(Producer(settings, max_request_size=SCORING_STATE.most_bytes)) as producer:
            entries = _entries_of(old, states, digest.count)
            acknowledged(producer.send(names.state, entry.key, entry.value, child) for entry in entries)
        relationships += len(states)
    return Repartitioned(records, relationships)


def _read(settings: Settings, place: Partition, digest: Digest, passed: Passed) -> Iterator[Record]:
    for record in read_partition(settings, place):
        digest.add(record)
        yield record
        passed(1)


def _states(old: Mapping[str, RelationshipState], accounts: Mapping[str, FullHistory]) -> dict[str, RelationshipState]:
    """Raises NotRepartitionedError where log and state do not say the same: whatever is rebuilt later would lose it."""
    states: dict[str, RelationshipState] = {}
    for name in old.keys() | accounts.keys():
        state = repartitioned(old.get(name, RelationshipState()), accounts.get(name, FullHistory()))
        if isinstance(state, Differs):
            raise NotRepartitionedError(
                f"{name}: of its state {state.state_only} facts are not on the log, of the log {state.log_only} not in "
                "its state; a log that has lost records must be restored before it grows"
            )
        states[name] = state
    return states


def _entries_of(old: Recovery, states: Mapping[str, RelationshipState], records: int) -> Iterator[ChangelogEntry]:
    """What the changelog of a new partition begins with. The watermark comes last: it says that all of it is there."""
    generation = time.time_ns()
    for name, state in states.items():
        yield state_entry(name, generation, state)
    for applied in old.profiles.values():
        yield programme_entry(generation, applied)
    yield watermark_entry(generation, carried(old.watermark, records - 1))
