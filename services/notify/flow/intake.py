"""Takes score events from the topic in batches that are worth a transaction."""

import time
from collections.abc import Mapping, Sequence

from services.runtime.kafka import Partition, Reader, Record

MOST_RECORDS = 5_000
BATCH_SECONDS = 0.5
"""A transaction costs as much as hundreds of records: while many keep coming, a batch waits for more."""
MANY = 100
"""Records in one answer of the broker, of more than which others are on their way."""
LINGER_SECONDS = 0.005
"""How long a batch of fewer waits for more: somebody may have asked for support."""
BUSY_SECONDS = 0.05
"""How long to wait for the next records within a batch, or while a delivery is on its way."""
IDLE_SECONDS = 0.5

Polled = Mapping[Partition, Sequence[Record]]


def gathered(reader: Reader, first_wait: float) -> Polled:
    """Up to MOST_RECORDS, or what comes within the time that a batch of its size waits, or what there is when no more
    comes."""
    found: dict[Partition, list[Record]] = {}
    began: float | None = None
    wait, left = first_wait, MOST_RECORDS
    while left > 0 and (polled := reader.poll(wait, left)):
        for partition, records in polled.items():
            found.setdefault(partition, []).extend(records)
        count = sum(map(len, polled.values()))
        left -= count
        now = time.monotonic()
        began = now if began is None else began
        rest = began + (BATCH_SECONDS if count >= MANY else LINGER_SECONDS) - now
        if rest <= 0:
            break
        wait = min(BUSY_SECONDS, rest)
    return found
