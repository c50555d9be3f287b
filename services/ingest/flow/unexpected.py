"""What becomes of a record that meets an error of ours: it is put aside, and the next one is read. Only a hundred of
them in a row are rather a bad deploy."""

from services.ingest.domain.verdict import Rejected, rejected
from services.runtime import log
from services.runtime.breaker import Breaker
from services.runtime.kafka import Partition, Record
from services.runtime.unexpected import described


class UnexpectedFailures:
    """For one thread. A record that is tried again, because the broker was away, counts once."""

    def __init__(self) -> None:
        self._breaker = Breaker()
        self._counted: dict[Partition, int] = {}
        self._log = log.get(__name__)

    def passed(self) -> None:
        self._breaker.passed()

    def rejected(self, record: Record, failure: Exception) -> Rejected:
        """Raises BadDeployError."""
        found = described(failure)
        self._log.error("record_failed", topic=record.topic, partition=record.partition, offset=record.offset, **found)
        place = Partition(record.topic, record.partition)
        if self._counted.get(place, -1) < record.offset:
            self._counted[place] = record.offset
            self._breaker.refused(f"{found['error']} at {found['raised_at']}")
        return rejected("failed", "", f"met an error of ours: {found['error']}")
