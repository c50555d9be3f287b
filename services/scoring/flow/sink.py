"""The warehouse as scoring sees it: a consumer group that stores what is told, and may be behind."""

import time
from collections.abc import Mapping

from services.runtime.kafka import Partition, Reader
from services.runtime.settings import Settings

GROUP = "rapport-warehouse"
WITHIN = 120
"""Seconds that the sink may take to store what was told before."""


class SinkBehindError(Exception):
    """The warehouse does not catch up."""


def await_sink(settings: Settings, scores: str, group: str = GROUP) -> None:
    """Returns when all is stored that was told on this topic before the call. Raises SinkBehindError, KafkaError."""
    deadline = time.monotonic() + WITHIN
    reader = Reader(settings, group)
    try:
        ends = reader.end_offsets(reader.assign([scores]))
        while behind := _behind(reader, ends):
            if time.monotonic() > deadline:
                raise SinkBehindError(
                    f"the warehouse is {behind} records behind; is `rapport warehouse serve` running?"
                )
            time.sleep(0.2)
    finally:
        reader.close()


def _behind(reader: Reader, ends: Mapping[Partition, int]) -> int:
    behind = 0
    for partition, end in ends.items():
        committed = reader.committed(partition)
        # While it is told on, one partition may be stored beyond its end of then: that makes up for no other.
        behind += max(0, end - (committed.offset if committed else 0))
    return behind
