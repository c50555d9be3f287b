"""The states of a new partition, from its log; each is compared with the state that it comes of."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

from schemas.events import OfPartition
from schemas.topics import SCORING_STATE, position
from services.runtime.kafka import Partition, Producer, Sent, partition_count, partition_of, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.changelog import ChangelogEntry, Recovery, programme_entry, state_entry, watermark_entry
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.repartition import Differs, carried, repartitioned
from services.scoring.domain.state import RelationshipState
from services.scoring.flow.decoding import Refusal, event_at
from services.scoring.flow.repartition.copying import UNDER_WAY, Digest, await_all
from services.scoring.flow.repartition.plan import NotRepartitionedError, Passed
from services.scoring.topics import Topics


class Found(NamedTuple):
    """A new partition as its log tells it."""

    digest: Digest
    accounts: Mapping[str, FullHistory]


def read_log(settings: Settings, names: Topics, number: int, passed: Passed) -> Found:
    digest, accounts = Digest(), defaultdict[str, FullHistory](FullHistory)
    partitions = partition_count(settings, names.events)
    for record in read_partition(settings, Partition(names.events, number)):
        digest.add(record)
        event = event_at(record, partitions)
        if not isinstance(event, Refusal | OfPartition):
            accounts[event.partitionkey].add(event, position(names.epoch, record.offset))
        passed(1)
    return Found(digest, {name: account for name, account in accounts.items() if account.facts})


def repartitioned_states(old: Mapping[str, RelationshipState], found: Found) -> dict[str, RelationshipState]:
    """Raises NotRepartitionedError where log and state do not say the same: whatever is rebuilt later would lose it."""
    states: dict[str, RelationshipState] = {}
    for name in old.keys() | found.accounts.keys():
        state = repartitioned(old.get(name, RelationshipState()), found.accounts.get(name, FullHistory()))
        if isinstance(state, Differs):
            raise NotRepartitionedError(
                f"{name}: of its state {state.state_only} facts are not on the log, of the log {state.log_only} not in "
                "its state; a log that has lost records must be restored before it grows"
            )
        states[name] = state
    return states


def write_states(settings: Settings, names: Topics, number: int, entries: Iterator[ChangelogEntry]) -> None:
    """Raises KafkaError."""
    waiting: list[Sent] = []
    with closing(Producer(settings, max_request_size=SCORING_STATE.most_bytes)) as producer:
        for entry in entries:
            waiting.append(producer.send(names.state, entry.key, entry.value, partition=number))
            if len(waiting) >= UNDER_WAY:
                await_all(waiting)
        await_all(waiting)


def entries_of(old: Recovery, states: Mapping[str, RelationshipState], records: int) -> Iterator[ChangelogEntry]:
    """What the changelog of a new partition begins with. The watermark comes last: it says that all of it is there."""
    generation = time.time_ns()
    for name, state in states.items():
        yield state_entry(name, generation, state)
    for applied in old.profiles.values():
        yield programme_entry(generation, applied)
    yield watermark_entry(generation, carried(old.watermark, records - 1))


def of_child(states: Mapping[str, RelationshipState], child: int, partitions: int) -> dict[str, RelationshipState]:
    return {name: state for name, state in states.items() if partition_of(name.encode(), partitions) == child}
