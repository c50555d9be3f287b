"""What the log and the directory know as of now, read once, for the command line."""

from pydantic import ValidationError

from schemas.directory import Participant
from schemas.topics import DIRECTORY, EVENTS
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.flow.log_events import event_at
from services.ingest.flow.people.followers import TELLING
from services.runtime.kafka import Record, partition_count, read_to_end
from services.runtime.log_place import Misplaced
from services.runtime.settings import Settings


def known_now(settings: Settings) -> Knowledge:
    """Raises KafkaError."""
    knowledge = Knowledge()
    for record in read_to_end(settings, [DIRECTORY.name]):
        _learn(knowledge, record)
    events = EVENTS.at(settings.log_epoch)
    partitions = partition_count(settings, events)
    for record in read_to_end(settings, [events]):
        _hear(knowledge, record, partitions)
    return knowledge


def _learn(knowledge: Knowledge, record: Record) -> None:
    if record.value is None:
        tenant, _, participant = (record.key or b"").decode(errors="replace").partition("/")
        knowledge.forget(tenant, participant)
        return
    try:
        knowledge.learn(Participant.model_validate_json(record.value))
    except ValidationError:
        return  # what is no participant names nobody; the service, which follows the topic, reports it


def _hear(knowledge: Knowledge, record: Record, partitions: int) -> None:
    if not TELLING.search(record.value or b""):
        return
    try:
        event = event_at(record, partitions)
    except ValidationError:
        return  # what is no event counts for nothing anywhere; scoring puts it aside
    if not isinstance(event, Misplaced):
        knowledge.hear(event)
