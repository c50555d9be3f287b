"""What the log and the directory know as of now, read once, for the command line."""

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT
from schemas.topics import DIRECTORY, EVENTS
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.flow.people.followers import TELLING
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings


def known_now(settings: Settings) -> Knowledge:
    """Raises KafkaError."""
    knowledge = Knowledge()
    for record in read_to_end(settings, [DIRECTORY.name]):
        _learn(knowledge, record)
    for record in read_to_end(settings, [EVENTS.at(settings.log_epoch)]):
        _hear(knowledge, record)
    return knowledge


def _learn(knowledge: Knowledge, record: Record) -> None:
    if record.value is None:
        tenant, _, participant = (record.key or b"").decode(errors="replace").partition("/")
        knowledge.forget(tenant, participant)
        return
    try:
        knowledge.learn(Participant.model_validate_json(record.value))
    except Exception:  # noqa: BLE001
        return  # what is no participant names nobody; the service, which follows the topic, reports it


def _hear(knowledge: Knowledge, record: Record) -> None:
    value = record.value or b""
    if not TELLING.search(value):
        return
    try:
        knowledge.hear(MENTORING_EVENT.validate_json(value))
    except Exception:  # noqa: BLE001
        return  # what is no event counts for nothing anywhere; scoring puts it aside
