"""Writes rejected records to the dead-letter topic `mentoring.rejected`, with the reason in their headers, reads them,
and requeues them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from schemas.primitives import to_rfc3339
from schemas.topics import REJECTED
from services.ingest.domain.dead_letters import (
    HEADERS_CUT,
    KEY_CUT,
    ORIGINAL,
    REQUEUED,
    DeadLetter,
    DeadLetterFilter,
    hindrance,
    is_marker,
    parse_dead_letter,
)
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.in_flight import acknowledgement, record_time
from services.runtime import log
from services.runtime.kafka import Headers, Producer, Record, UnwritableRecordError, read_to_end
from services.runtime.settings import Settings

# A broker accepts 1 MiB by default, headers included. A larger value is no event and is cut.
MAX_BYTES_KEPT = 900_000
MAX_HEADER_BYTES = 1_000
# Limits of the record's own headers together, with Kafka's overhead for each: there must be no record that cannot be
# quarantined. An empty header is not free, neither there nor in the memory of a reader.
MAX_ORIGINAL_HEADERS = 100
MAX_ORIGINAL_HEADERS_BYTES = 16_000
HEADER_OVERHEAD = 10


@dataclass(frozen=True)
class DeadLetterPart:
    """The part of a record to quarantine: the full value, or one of its payloads. `notes` are further headers."""

    value: bytes
    number: int | None = None
    notes: tuple[tuple[str, str], ...] = ()


def quarantine(
    producer: Producer, record: Record, rejected: Rejected, part: DeadLetterPart | None = None
) -> Future[None]:
    """Completes when the record is on the topic. It is keyed by its origin, so that repeats are recognised."""
    kept = part or DeadLetterPart(record.value or b"")
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    key = origin if kept.number is None else f"{origin}#{kept.number}"
    headers = [*_headers(record, rejected, kept), *_original(record.headers)]
    return acknowledgement(producer.send(REJECTED.name, key.encode(), kept.value[:MAX_BYTES_KEPT], headers=headers))


def _headers(record: Record, rejected: Rejected, kept: DeadLetterPart) -> Sequence[tuple[str, bytes]]:
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
    if len(kept.value) > MAX_BYTES_KEPT:
        texts["cut_from_bytes"] = str(len(kept.value))
    if len(record.key or b"") > MAX_HEADER_BYTES:
        texts[KEY_CUT] = str(len(record.key or b""))
    headers = [(name, text.encode(errors="replace")[:MAX_HEADER_BYTES]) for name, text in texts.items()]
    return headers if record.key is None else [*headers, ("origin_key", record.key[:MAX_HEADER_BYTES])]


def _original(headers: Headers) -> Iterator[tuple[str, bytes]]:
    """Skips headers without a value: they carry nothing, and kafka-python cannot send them."""
    left = MAX_ORIGINAL_HEADERS_BYTES
    for number, (name, value) in enumerate(headers):
        kept = f"{ORIGINAL}{name}"
        left -= len(kept.encode(errors="replace")) + len(value or b"") + HEADER_OVERHEAD
        if left < 0 or number >= MAX_ORIGINAL_HEADERS:
            yield HEADERS_CUT, b"1"
            return
        if value is not None:
            yield kept, value


# Records that are sent, and then marked as sent, in one batch.
BATCH_SIZE = 500
ACKNOWLEDGED_SECONDS = 20


@dataclass
class Requeued:
    """Counts. `again`: sent again. `before`: requeued before. `hindered`: why others cannot be sent, and how many."""

    again: int = 0
    before: int = 0
    hindered: Counter[str] = field(default_factory=Counter)

    def hinder(self, failure: UnwritableRecordError) -> None:
        """Counts a record that was counted as sent, and that its topic refuses."""
        self.again -= 1
        self.hindered["its topic does not take it"] += 1
        log.get(__name__).error("not_requeued", reason=str(failure))


def read_rejected(settings: Settings, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
    """In the order of the topic, partition by partition, each key once. Raises KafkaError."""
    seen: set[str] = set()
    for one in _all(settings):
        if not is_marker(one) and one.key not in seen and wanted.matches(one):
            seen.add(one.key)
            yield one


def requeued_keys(settings: Settings) -> frozenset[str]:
    """Raises KafkaError."""
    return frozenset(one.key for one in _all(settings) if is_marker(one))


def requeue(settings: Settings, wanted: DeadLetterFilter, now: datetime) -> Requeued:
    """Sends each matching record once that was not requeued before. One that is rejected again becomes a new record.
    Raises KafkaError: then the next call may send records again, which is harmless."""
    producer = Producer(settings)
    try:
        return _requeue(settings, wanted, lambda batch, found: _send(producer, batch, found, now))
    finally:
        producer.close(5)


def requeue_dry_run(settings: Settings, wanted: DeadLetterFilter) -> Requeued:
    """What `requeue` would do. Raises KafkaError."""
    return _requeue(settings, wanted, lambda _batch, _found: None)


def _requeue(
    settings: Settings, wanted: DeadLetterFilter, send: Callable[[Sequence[DeadLetter], Requeued], None]
) -> Requeued:
    done, found = requeued_keys(settings), Requeued()
    batch: list[DeadLetter] = []
    for one in read_rejected(settings, wanted):
        words = hindrance(one)
        if one.key in done:
            found.before += 1
        elif words:
            found.hindered[words] += 1
        else:
            batch.append(one)
            found.again += 1
        if len(batch) == BATCH_SIZE:
            send(batch, found)
            batch = []
    send(batch, found)
    return found


def _send(producer: Producer, batch: Sequence[DeadLetter], found: Requeued, now: datetime) -> None:
    # 1. Send first: after a crash in between, the record is sent once more; the other order would lose it.
    sending = []
    for one in batch:
        try:
            sending.append((one, producer.send(one.topic, one.origin_key, one.value, headers=one.again())))
        except UnwritableRecordError as failure:
            found.hinder(failure)
    written = []
    for one, sent in sending:
        try:
            sent.get(ACKNOWLEDGED_SECONDS)
        except UnwritableRecordError as failure:
            found.hinder(failure)
        else:
            written.append(one)
    # 2. Mark as sent, so that it is not sent again.
    marker = [(REQUEUED, to_rfc3339(now).encode())]
    for sent in [producer.send(REJECTED.name, one.key.encode(), b"", headers=marker) for one in written]:
        sent.get(ACKNOWLEDGED_SECONDS)


def _all(settings: Settings) -> Iterator[DeadLetter]:
    for one in read_to_end(settings, [REJECTED.name]):
        yield parse_dead_letter(one.key, one.value, one.headers, record_time(one))
