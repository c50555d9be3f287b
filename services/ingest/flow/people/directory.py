"""The directory of people on its compact topic."""

from concurrent.futures import Future

from schemas.directory import Participant
from schemas.events import partition_key
from schemas.topics import DIRECTORY
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.acknowledged import acknowledged
from services.ingest.flow.quarantine import unwritable
from services.runtime.kafka import Producer, UnwritableRecordError


class Directory:
    """For any thread. Futures complete when the record is on the log. Raises KafkaError when the broker is lost."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def write(self, participant: Participant) -> Future[None] | Rejected:
        """Replaces what was known of them; rejected where it is more than a record may hold."""
        key = partition_key(participant.tenant, participant.id).encode()
        try:
            return acknowledged(self._producer.send(DIRECTORY.name, key, participant.model_dump_json().encode()))
        except UnwritableRecordError as failure:
            return unwritable(failure)

    def erase(self, tenant: str, participant: str) -> Future[None]:
        """A tombstone: compaction takes away all that was written before."""
        return acknowledged(self._producer.send(DIRECTORY.name, partition_key(tenant, participant).encode(), None))
