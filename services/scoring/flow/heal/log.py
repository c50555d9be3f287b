"""What the log says of some relationships: only the partitions they lie on are read, and only their records decoded."""

from typing import NamedTuple

from schemas.events import ClockReached
from schemas.topics import position
from services.runtime.kafka import Partition, partition_count
from services.runtime.settings import Settings
from services.scoring.domain.account import Account
from services.scoring.flow.decoding import Refusal, event_at
from services.scoring.flow.whole_log import Passed, records_up_to
from services.scoring.names import Names


class Wanted(NamedTuple):
    """Relationships of one partition, and the offset up to which it is read."""

    number: int
    relationships: frozenset[str]
    upto: int


def accounts_of(settings: Settings, names: Names, wanted: Wanted, passed: Passed) -> dict[str, Account]:
    """Raises LogCutOffError, KafkaError."""
    accounts = {relationship.encode(): Account() for relationship in wanted.relationships}
    partitions = partition_count(settings, names.events)
    for record in records_up_to(settings, Partition(names.events, wanted.number), wanted.upto, passed):
        account = accounts.get(record.key or b"")
        if account is None:
            continue
        event = event_at(record, partitions)
        if not isinstance(event, Refusal | ClockReached):
            account.add(event, position(names.epoch, record.offset))
    return {key.decode(): account for key, account in accounts.items()}
