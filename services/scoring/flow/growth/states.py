"""The states of a new partition, from its log; each is compared with the state that it comes of."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

from schemas.events import ClockReached
from schemas.topics import SCORING_STATE, position
from services.runtime.kafka import Partition, Producer, Record, Sent, partition_of, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.account import Account
from services.scoring.domain.changelog import Entry, Recovery, programme_entry, state_entry, watermark_entry
from services.scoring.domain.growth import Differs, carried, regrown
from services.scoring.domain.state import State
from services.scoring.flow.decoding import Refusal, event_of
from services.scoring.flow.growth.copying import UNDER_WAY, Digest, await_all
from services.scoring.flow.growth.plan import NotGrownError, Passed
from services.scoring.names import Names


class Found(NamedTuple):
    """A new partition as its log tells it."""

    digest: Digest
    accounts: Mapping[str, Account]


def read_log(settings: Settings, names: Names, number: int, passed: Passed) -> Found:
    digest, accounts = Digest(), defaultdict[str, Account](Account)
    for record in read_partition(settings, Partition(names.events, number)):
        digest.add(record)
        _add(accounts, record, names.epoch)
        passed(1)
    return Found(digest, {name: account for name, account in accounts.items() if account.facts})


def regrown_states(old: Mapping[str, State], found: Found) -> dict[str, State]:
    """Raises NotGrownError where log and state do not say the same: whatever is rebuilt later would lose it."""
    states: dict[str, State] = {}
    for name in old.keys() | found.accounts.keys():
        state = regrown(old.get(name, State()), found.accounts.get(name, Account()))
        if isinstance(state, Differs):
            raise NotGrownError(
                f"{name}: of its state {state.state_only} facts are not on the log, of the log {state.log_only} not in "
                "its state; a log that has lost records must be restored before it grows"
            )
        states[name] = state
    return states


def write_states(settings: Settings, names: Names, number: int, entries: Iterator[Entry]) -> None:
    """Raises KafkaError."""
    waiting: list[Sent] = []
    with closing(Producer(settings, max_request_size=SCORING_STATE.most_bytes)) as producer:
        for entry in entries:
            waiting.append(producer.send(names.state, entry.key, entry.value, partition=number))
            if len(waiting) >= UNDER_WAY:
                await_all(waiting)
        await_all(waiting)


def entries_of(old: Recovery, states: Mapping[str, State], records: int) -> Iterator[Entry]:
    """What the changelog of a new partition begins with. The watermark comes last: it says that all of it is there."""
    generation = time.time_ns()
    for name, state in states.items():
        yield state_entry(name, generation, state)
    for told in old.told.values():
        for later, record in enumerate(told):
            yield programme_entry(generation + later, record)
    yield watermark_entry(generation, carried(old.watermark, records - 1))


def of_child(states: Mapping[str, State], child: int, partitions: int) -> dict[str, State]:
    return {name: state for name, state in states.items() if partition_of(name.encode(), partitions) == child}


def _add(accounts: Mapping[str, Account], record: Record, epoch: int) -> None:
    event = event_of(record.value)
    if not isinstance(event, Refusal | ClockReached):
        accounts[event.partitionkey].add(event, position(epoch, record.offset))
