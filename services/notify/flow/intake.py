"""Takes score events from the topic in batches that are worth a transaction."""

import time
from collections.abc import Mapping, Sequence

from services.runtime.kafka import Partition, Reader, Record

MOST_RECORDS = 5_000
BATCH_SECONDS = 0.5
"""A transaction costs as much as hundreds of records: while records keep coming, a batch waits for more."""
BUSY_SECONDS = 0.05
"""How long to wait for the next records within a batch, or while a delivery is on its way."""
IDLE_SECONDS = 0.5

Polled = Mapping[Partition, Sequence[Record]]


def gathered(reader: Reader, first_wait: float) -> Polled:
    """Up to MOST_RECORDS, or what comes within BATCH_SECONDS, or what there is when no more comes."""
    found: dict[Partition, list[Record]] = {}
    until, wait, left = time.monotonic() + BATCH_SECONDS, first_wait, MOST_RECORDS
    while left > 0 and (polled := reader.poll(wait, left)):
        for partition, records in polled.items():
            found.setdefault(partition, []).extend(records)
            left -= len(records)
        if time.monotonic() >= until:
            break
        wait = BUSY_SECONDS
    return found
