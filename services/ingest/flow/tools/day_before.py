"""What a partition held before an offset: within a day, enough for whatever was still going on there; or from another
offset on."""

from collections.abc import Iterator

from services.runtime.kafka import Partition, Reader, Record
from services.runtime.settings import Settings

DAY_MS = 24 * 60 * 60 * 1000
POLL_SECONDS = 1.0


def day_before(settings: Settings, partition: Partition, offset: int) -> Iterator[Record]:
    """Up to that offset, by the time at which records came, however long ago that is. Raises KafkaError."""
    reader = Reader(settings, group=None)
    try:
        reader.take([partition])
        last = next(_read(reader, partition, (offset - 1, offset)), None) if offset > 0 else None
        first = reader.offset_at(partition, max(0, last.timestamp_ms - DAY_MS)) if last else None
        if first is not None:
            yield from _read(reader, partition, (first, offset))
    finally:
        reader.close()


def between(settings: Settings, partition: Partition, begin: int, end: int) -> Iterator[Record]:
    """From one offset up to another, as far as the topic still holds them. Raises KafkaError."""
    reader = Reader(settings, group=None)
    try:
        reader.take([partition])
        yield from _read(reader, partition, (begin, end))
    finally:
        reader.close()


def _read(reader: Reader, partition: Partition, span: tuple[int, int]) -> Iterator[Record]:
    begin, end = span
    reader.seek(partition, begin)
    while reader.position(partition) < end:
        yield from (record for record in reader.poll(POLL_SECONDS).get(partition, ()) if record.offset < end)
