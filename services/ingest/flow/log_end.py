"""How far the log has come in its own time."""

from datetime import UTC, datetime

from pydantic import ValidationError

from schemas.topics import EVENTS
from services.ingest.flow.log_events import event_at
from services.runtime.kafka import Reader, Record, reading
from services.runtime.log_place import Misplaced
from services.runtime.settings import Settings

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LOOKED_AT = 1_000
"""Records at the end of each partition: a history is imported in the order of its times, the latest is among them."""


def log_end(settings: Settings) -> datetime:
    """The latest time of recording; BEGINNING when the log is empty. Raises KafkaError."""
    events = EVENTS.at(settings.log_epoch)
    with reading(settings, [events]) as reader:
        return max(_last_times(reader, reader.partition_count(events)), default=BEGINNING)


def _last_times(reader: Reader, partitions: int) -> list[datetime]:
    ends = reader.end_offsets(sorted(reader.assignment()))
    for partition, end in ends.items():
        reader.seek(partition, max(reader.position(partition), end - LOOKED_AT))
    found: list[datetime] = []
    while any(reader.position(partition) < end for partition, end in ends.items()):
        for records in reader.poll(1.0).values():
            found += [time for record in records if (time := _recorded(record, partitions))]
    return found


def _recorded(record: Record, partitions: int) -> datetime | None:
    """None: no event, which counts for nothing anywhere."""
    try:
        event = event_at(record, partitions)
    except ValidationError:
        return None
    return None if isinstance(event, Misplaced) else event.recordedtime
