"""The outcomes of sessions that the log holds already."""

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT
from services.ingest.domain.meetings.attendance_fold import ATTENDANCE
from services.runtime.kafka import Partition, read_partition
from services.runtime.settings import Settings

_SOURCE = f'"source":"{ATTENDANCE}"'.encode()


def outcomes(settings: Settings, partition: Partition) -> frozenset[str]:
    """Their ids. Raises KafkaError."""
    found = (record.value for record in read_partition(settings, partition) if _SOURCE in (record.value or b""))
    return frozenset(one for value in found if (one := _id_of(value or b"")))


def _id_of(value: bytes) -> str | None:
    """None: no event, which counts for nothing anywhere."""
    try:
        return MENTORING_EVENT.validate_json(value).id
    except ValidationError:
        return None
