"""Records that cannot be let in, kept on `mentoring.rejected` as they came, with the reason beside them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from schemas.topics import REJECTED
from services.ingest.domain.quarantined import ORIGINAL
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.acknowledged import acknowledged
from services.runtime.kafka import Headers, Producer, Record

# A broker takes 1 MiB by default, headers included. Whatever is larger is no event and is cut.
MOST_BYTES_KEPT = 900_000
MOST_HEADER_BYTES = 1_000
# Of the record's own headers together: nobody may make a record that cannot even be put aside.
MOST_ORIGINAL_HEADERS_BYTES = 16_000


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
    size = len(kept.value)
    if size > MOST_BYTES_KEPT:
        texts["cut_from_bytes"] = str(size)
    headers = [(name, text.encode(errors="replace")[:MOST_HEADER_BYTES]) for name, text in texts.items()]
    return headers if record.key is None else [*headers, ("origin_key", record.key[:MOST_HEADER_BYTES])]


def _original(headers: Headers) -> Iterator[tuple[str, bytes]]:
    left = MOST_ORIGINAL_HEADERS_BYTES
    for name, value in headers:
        left -= len(name.encode(errors="replace")) + len(value or b"")
        if left < 0:
            yield "headers_cut", b"1"
            return
        yield f"{ORIGINAL}{name}", value
