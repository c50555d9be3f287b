"""The directory of people on its compact topic."""

from concurrent.futures import Future

from schemas.directory import Participant
from schemas.events import partition_key
from schemas.topics import DIRECTORY
from services.ingest.flow.acknowledged import acknowledged
from services.runtime.kafka import Producer


class Directory:
    """For any thread. Futures complete when the record is on the log. Raises KafkaError when the broker is lost."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def write(self, participant: Participant) -> Future[None]:
        """Replaces what was known of them."""
        key = partition_key(participant.tenant, participant.id).encode()
        return acknowledged(self._producer.send(DIRECTORY.name, key, participant.model_dump_json().encode()))

    def erase(self, tenant: str, participant: str) -> Future[None]:
        """A tombstone: compaction takes away all that was written before."""
        return acknowledged(self._producer.send(DIRECTORY.name, partition_key(tenant, participant).encode(), None))
