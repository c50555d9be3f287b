"""The log as every reader of ingest takes it: what is no event, or lies where its key does not belong, counts for
nothing. Scoring, which reads every record, puts it aside."""

from schemas.events import MENTORING_EVENT, MentoringEvent, partition_key
from services.runtime.kafka import Record
from services.runtime.log_place import Misplaced, misplaced


def event_at(record: Record, partitions: int) -> MentoringEvent | Misplaced:
    """`partitions` are those of the log. The clock's word is of a partition and has a copy on each. Raises pydantic's
    ValidationError."""
    event = MENTORING_EVENT.validate_json(record.value or b"")
    if event.type == "mentoring.clock.reached.v1":
        return event
    if event.partitionkey != partition_key(event.tenant, event.subject):
        return Misplaced("key", "its partitionkey is that of another relationship")
    return misplaced(record.key, record.partition, partitions, event.partitionkey) or event
