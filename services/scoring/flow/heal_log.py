"""What the log says of some relationships: only the partitions they lie on are read, and only their records decoded."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from schemas.events import ClockReached
from schemas.topics import position
from services.runtime.kafka import Partition, Record, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.account import Account
from services.scoring.domain.bounds import NONE
from services.scoring.flow.decoding import Refusal, event_of
from services.scoring.names import Names

SAID_EVERY = 5_000
"""Records between two words on how many were read."""
Passed = Callable[[int], object]
"""Learns how many more records were read."""


class LogCutOffError(Exception):
    """The log has lost its beginning: what rests on it would be taken for wrong."""


class Wanted(NamedTuple):
    """Relationships of one partition, and the offset up to which it is read."""

    number: int
    relationships: frozenset[str]
    upto: int


def accounts_of(settings: Settings, names: Names, wanted: Wanted, passed: Passed) -> dict[str, Account]:
    """Raises LogCutOffError, KafkaError."""
    accounts = {relationship.encode(): Account() for relationship in wanted.relationships}
    for record in _records(settings, Partition(names.events, wanted.number), wanted.upto, passed):
        account = accounts.get(record.key or b"")
        if account is None:
            continue
        event = event_of(record.value)
        if not isinstance(event, Refusal | ClockReached):
            account.add(event, position(names.epoch, record.offset))
    return {key.decode(): account for key, account in accounts.items()}


def _records(settings: Settings, place: Partition, upto: int, passed: Passed) -> Iterator[Record]:
    read = NONE
    for record in read_partition(settings, place):
        if read == NONE and record.offset > 0:
            raise LogCutOffError(f"{place.topic} {place.number} begins at offset {record.offset}: restore it first")
        if record.offset > upto:
            break
        read = record.offset
        if (read + 1) % SAID_EVERY == 0:
            passed(SAID_EVERY)
        yield record
    passed((read + 1) % SAID_EVERY)
