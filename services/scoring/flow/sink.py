"""The warehouse as scoring sees it: a consumer group that stores what is told, and may be behind."""

import time
from contextlib import closing

from services.runtime.kafka import Reader
from services.runtime.settings import Settings

GROUP = "rapport-warehouse"
WITHIN = 120
"""Seconds that the sink may take to store what was told before."""


class SinkBehindError(Exception):
    """The warehouse does not catch up."""


def await_sink(settings: Settings, scores: str, group: str = GROUP) -> None:
    """Returns when all is stored that was told on this topic before the call. Raises SinkBehindError, KafkaError."""
    deadline = time.monotonic() + WITHIN
    with closing(Reader(settings, group)) as reader:
        ends = reader.end_offsets(reader.assign([scores]))
        # While it is told on, one partition may be stored beyond its end of then: that makes up for no other.
        while behind := reader.behind(ends):
            if time.monotonic() > deadline:
                raise SinkBehindError(
                    f"the warehouse is {behind} records behind; is `rapport warehouse serve` running?"
                )
            time.sleep(0.2)
