"""The outcomes of sessions that the log holds already."""

from pydantic import ValidationError

from services.ingest.domain.meetings.attendance_fold import ATTENDANCE
from services.ingest.flow.log_events import event_at
from services.runtime.kafka import Partition, Record, partition_count, read_partition
from services.runtime.log_place import Misplaced
from services.runtime.settings import Settings

_SOURCE = f'"source":"{ATTENDANCE}"'.encode()


def outcomes(settings: Settings, partition: Partition) -> frozenset[str]:
    """Their ids. Raises KafkaError."""
    partitions = partition_count(settings, partition.topic)
    found = (record for record in read_partition(settings, partition) if _SOURCE in (record.value or b""))
    return frozenset(one for record in found if (one := _id_of(record, partitions)))


def _id_of(record: Record, partitions: int) -> str | None:
    """None: no event, which counts for nothing anywhere."""
    try:
        event = event_at(record, partitions)
    except ValidationError:
        return None
    return None if isinstance(event, Misplaced) else event.id
