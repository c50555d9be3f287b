"""Records that cannot be let in, kept on `mentoring.rejected` as they came, with the reason beside them."""

from collections.abc import Sequence
from concurrent.futures import Future

from schemas.topics import REJECTED
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.acknowledged import acknowledged
from services.runtime.kafka import Producer, Record

# A broker takes 1 MiB by default, headers included. Whatever is larger is no event and is cut.
MOST_BYTES_KEPT = 900_000
MOST_HEADER_BYTES = 1_000


def quarantine(producer: Producer, record: Record, rejected: Rejected) -> Future[None]:
    """Completes when the rejected record is on the log. Keyed by its origin, so that a repeat is recognised."""
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    kept = (record.value or b"")[:MOST_BYTES_KEPT]
    return acknowledged(producer.send(REJECTED.name, origin.encode(), kept, headers=_headers(record, rejected)))


def _headers(record: Record, rejected: Rejected) -> Sequence[tuple[str, bytes]]:
    first = rejected.errors[0]
    texts = {
        "reason": rejected.reason,
        "path": first.path,
        "detail": first.reason,
        "origin_topic": record.topic,
        "origin_partition": str(record.partition),
        "origin_offset": str(record.offset),
        "tool": record.topic.rpartition(".")[2],
    }
    size = len(record.value or b"")
    if size > MOST_BYTES_KEPT:
        texts["cut_from_bytes"] = str(size)
    return [(name, text.encode(errors="replace")[:MOST_HEADER_BYTES]) for name, text in texts.items()]
