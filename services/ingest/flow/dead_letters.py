"""Records that cannot be let in, kept on `mentoring.rejected` as they came, with the reason beside them."""

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
    quarantined,
)
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.in_flight import acknowledgement, record_time
from services.runtime import log
from services.runtime.kafka import Headers, Producer, Record, UnwritableRecordError, read_to_end
from services.runtime.settings import Settings

# A broker takes 1 MiB by default, headers included. Whatever is larger is no event and is cut.
MOST_BYTES_KEPT = 900_000
MOST_HEADER_BYTES = 1_000
# Of the record's own headers together, with what Kafka adds to each: nobody may make a record that cannot even be put
# aside. An empty header is not free, neither there nor in the memory of whoever reads it.
MOST_ORIGINAL_HEADERS = 100
MOST_ORIGINAL_HEADERS_BYTES = 16_000
HEADER_OVERHEAD = 10


@dataclass(frozen=True)
class DeadLetterPart:
    """What is put aside of a record: all of it, or one of its payloads; `notes` are headers that say more of it."""

    value: bytes
    number: int | None = None
    notes: tuple[tuple[str, str], ...] = ()


def quarantine(
    producer: Producer, record: Record, rejected: Rejected, part: DeadLetterPart | None = None
) -> Future[None]:
    """Completes when the rejected record is on the log. Keyed by its origin, so that a repeat is recognised."""
    kept = part or DeadLetterPart(record.value or b"")
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    key = origin if kept.number is None else f"{origin}#{kept.number}"
    headers = [*_headers(record, rejected, kept), *_original(record.headers)]
    return acknowledgement(producer.send(REJECTED.name, key.encode(), kept.value[:MOST_BYTES_KEPT], headers=headers))


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


# Sent, and then marked as sent, together.
AT_ONCE = 500
ACKNOWLEDGED_SECONDS = 20


@dataclass
class Requeued:
    """`again`: sent again. `before`: had been already. `hindered`: why the others cannot be, and how many."""

    again: int = 0
    before: int = 0
    hindered: Counter[str] = field(default_factory=Counter)

    def hinder(self, failure: UnwritableRecordError) -> None:
        """It was taken for one that can be sent again, and its topic does not take it."""
        self.again -= 1
        self.hindered["its topic does not take it"] += 1
        log.get(__name__).error("not_requeued", reason=str(failure))


def read_rejected(settings: Settings, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
    """As they lie on the topic, partition by partition, each key once. Raises KafkaError."""
    seen: set[str] = set()
    for one in _all(settings):
        if not is_marker(one) and one.key not in seen and wanted.matches(one):
            seen.add(one.key)
            yield one


def requeued_keys(settings: Settings) -> frozenset[str]:
    """Raises KafkaError."""
    return frozenset(one.key for one in _all(settings) if is_marker(one))


def requeue(settings: Settings, wanted: DeadLetterFilter, now: datetime) -> Requeued:
    """What is there at the call, and was not sent again before, is sent once; what is rejected anew lies there anew.
    Raises KafkaError: then what was sent may be sent once more by the next call, which is harmless."""
    producer = Producer(settings)
    try:
        return _requeued(settings, wanted, lambda some, found: _send(producer, some, found, now))
    finally:
        producer.close(5)


def rehearse(settings: Settings, wanted: DeadLetterFilter) -> Requeued:
    """What `requeue` would do. Raises KafkaError."""
    return _requeued(settings, wanted, lambda _some, _found: None)


def _requeued(
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
        if len(batch) == AT_ONCE:
            send(batch, found)
            batch = []
    send(batch, found)
    return found


def _send(producer: Producer, some: Sequence[DeadLetter], found: Requeued, now: datetime) -> None:
    # 1. Sent first: a crash in between sends it once more, where the other order would lose it.
    sending = []
    for one in some:
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
    # 2. Marked, so that nobody sends it again.
    marker = [(REQUEUED, to_rfc3339(now).encode())]
    for sent in [producer.send(REJECTED.name, one.key.encode(), b"", headers=marker) for one in written]:
        sent.get(ACKNOWLEDGED_SECONDS)


def _all(settings: Settings) -> Iterator[DeadLetter]:
    for one in read_to_end(settings, [REJECTED.name]):
        yield quarantined(one.key, one.value, one.headers, record_time(one))
