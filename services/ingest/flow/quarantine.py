"""Records that cannot be let in, kept on `mentoring.rejected` as they came, with the reason beside them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from schemas.topics import REJECTED
from services.ingest.domain.quarantined import HEADERS_CUT, KEY_CUT, ORIGINAL
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.acknowledged import acknowledged
from services.runtime.kafka import Headers, Producer, Record, RecordTooLargeError, UnwritableRecordError

# A broker takes 1 MiB by default, headers included. Whatever is larger is no event and is cut.
MOST_BYTES_KEPT = 900_000
MOST_HEADER_BYTES = 1_000
# Of the record's own headers together, with what Kafka adds to each: nobody may make a record that cannot even be put
# aside. An empty header is not free, neither there nor in the memory of whoever reads it.
MOST_ORIGINAL_HEADERS = 100
MOST_ORIGINAL_HEADERS_BYTES = 16_000
HEADER_OVERHEAD = 10


@dataclass(frozen=True)
class Part:
    """What is put aside of a record: all of it, or one of its payloads; `notes` are headers that say more of it."""

    value: bytes
    number: int | None = None
    notes: tuple[tuple[str, str], ...] = ()


def quarantine(producer: Producer, record: Record, rejected: Rejected, part: Part | None = None) -> Future[None]:
    """Completes when the rejected record is on the log. Keyed by its origin, so that a repeat is recognised."""
    kept = part or Part(record.value or b"")
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    key = origin if kept.number is None else f"{origin}#{kept.number}"
    headers = [*_headers(record, rejected, kept), *_original(record.headers)]
    return acknowledged(producer.send(REJECTED.name, key.encode(), kept.value[:MOST_BYTES_KEPT], headers=headers))


def unwritable(failure: UnwritableRecordError) -> Rejected:
    """What becomes of something whose record can never be written."""
    return rejected("too_large" if isinstance(failure, RecordTooLargeError) else "refused", "", str(failure))


def _headers(record: Record, rejected: Rejected, kept: Part) -> Sequence[tuple[str, bytes]]:
    first = rejected.errors[0]
    texts = {
        "reason": rejected.reason,
        "path": first.path,
        "detail": first.reason,
        "origin_topic": record.topic,
        "origin_partition": str(record.partition),
        "origin_offset": str(record.offset),
        "tool": record.topic.rpartition(".")[2],
        **dict(kept.notes),
    }
    if len(kept.value) > MOST_BYTES_KEPT:
        texts["cut_from_bytes"] = str(len(kept.value))
    if len(record.key or b"") > MOST_HEADER_BYTES:
        texts[KEY_CUT] = str(len(record.key or b""))
    headers = [(name, text.encode(errors="replace")[:MOST_HEADER_BYTES]) for name, text in texts.items()]
    return headers if record.key is None else [*headers, ("origin_key", record.key[:MOST_HEADER_BYTES])]


def _original(headers: Headers) -> Iterator[tuple[str, bytes]]:
    """Those of no value say nothing, and kafka-python cannot send them."""
    left = MOST_ORIGINAL_HEADERS_BYTES
    for number, (name, value) in enumerate(headers):
        kept = f"{ORIGINAL}{name}"
        left -= len(kept.encode(errors="replace")) + len(value or b"") + HEADER_OVERHEAD
        if left < 0 or number >= MOST_ORIGINAL_HEADERS:
            yield HEADERS_CUT, b"1"
            return
        if value is not None:
            yield kept, value
