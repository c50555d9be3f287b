"""How far the log has come in its own time."""

from datetime import UTC, datetime

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS
from services.runtime.kafka import Reader, reading
from services.runtime.settings import Settings

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LOOKED_AT = 1_000
"""Records at the end of each partition: a history is imported in the order of its times, the latest is among them."""


def log_end(settings: Settings) -> datetime:
    """The latest time of recording; BEGINNING when the log is empty. Raises KafkaError."""
    with reading(settings, [EVENTS.at(settings.log_epoch)]) as reader:
        return max(_last_times(reader), default=BEGINNING)


def _last_times(reader: Reader) -> list[datetime]:
    ends = reader.end_offsets(sorted(reader.assignment()))
    for partition, end in ends.items():
        reader.seek(partition, max(reader.position(partition), end - LOOKED_AT))
    found: list[datetime] = []
    while any(reader.position(partition) < end for partition, end in ends.items()):
        for records in reader.poll(1.0).values():
            found += [time for record in records if (time := _recorded(record.value))]
    return found


def _recorded(value: bytes | None) -> datetime | None:
    """None: no event, which counts for nothing anywhere."""
    try:
        return MENTORING_EVENT.validate_json(value or b"").recordedtime
    except ValidationError:
        return None
