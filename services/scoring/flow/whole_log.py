"""A partition of the log from its very beginning, for whoever tells from all of it."""

from collections.abc import Callable, Iterator

from services.runtime.kafka import Partition, Record, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.bounds import NONE

SAID_EVERY = 5_000
"""Records between two words on how many were read."""
Passed = Callable[[int], object]
"""Learns how many more records were read."""


class LogCutOffError(Exception):
    """The log has lost its beginning: what rests on it would be taken for wrong."""


def records_up_to(settings: Settings, place: Partition, upto: int, passed: Passed) -> Iterator[Record]:
    """Up to an offset, which is included. Raises LogCutOffError, KafkaError."""
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
