"""What a heal writes: first what it found, then that it did."""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from schemas.topics import SCORING_STATE
from services.runtime.kafka import Producer, Sent
from services.runtime.settings import Settings
from services.scoring.domain.healing import Healing, healed_entry
from services.scoring.domain.telling import score_event
from services.scoring.flow.records import STRUCTURED
from services.scoring.names import Names

UNDER_WAY = 2_000
"""Records that are under way at once: some MB."""
ACKNOWLEDGED_WITHIN = 20
"""Seconds; the producer itself gives up after 15."""


class HealTelling:
    """Writes the healings of some relationships at a time."""

    def __init__(self, settings: Settings, names: Names) -> None:
        self._names, self._producer = names, Producer(settings, max_request_size=SCORING_STATE.most_bytes)

    def tell(self, healings: Mapping[str, Healing], partition_of: Mapping[str, int]) -> None:
        """Returns when everything is acknowledged. Raises KafkaError: then the relationships stay stale."""
        # 1. The rows. 2. That they are told: a crash in between repeats them.
        _acknowledged(self._rows(healings, partition_of))
        _acknowledged(self._marks(healings, partition_of))

    def close(self) -> None:
        self._producer.close()

    def _rows(self, healings: Mapping[str, Healing], partition_of: Mapping[str, int]) -> Iterator[Sent]:
        for name, found in healings.items():
            for emission in found.emissions:
                value = score_event(emission, "heal")
                yield self._producer.send(self._names.scores, name.encode(), value, partition_of[name], STRUCTURED)

    def _marks(self, healings: Mapping[str, Healing], partition_of: Mapping[str, int]) -> Iterator[Sent]:
        for name, found in healings.items():
            entry = healed_entry(name, found.state, time.time_ns())
            yield self._producer.send(self._names.state, entry.key, entry.value, partition_of[name])


def _acknowledged(sent: Iterable[Sent]) -> None:
    sending = iter(sent)
    while some := list(islice(sending, UNDER_WAY)):
        for acknowledgement in some:
            acknowledgement.get(ACKNOWLEDGED_WITHIN)
