"""Writes events to the log, each one once as far as this process can remember."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import blake2b
from typing import NamedTuple, Protocol

from schemas.events import MentoringEvent, OfPartition, OfRelationship
from schemas.primitives import Instant
from schemas.topics import EVENTS
from services.ingest.domain.ids import DIGEST_BYTES
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.in_flight import UnavailableError, rejection_of, when_all_complete
from services.runtime.kafka import Headers, KafkaError, OutgoingRecord, UnwritableRecordError, partition_of

STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
# As kafka-python takes it, one list for all records.
_HEADERS = list(STRUCTURED)

MAX_KEYS = 50_000
MAX_SOURCES = 10_000
"""Sources whose progress was not drained yet."""
CONFLICT = "this source has already said something else under this id; retract it, then use a new id"

# In JSON no text can hold this: its quotes would be escaped. The first occurrence is the event's own, data come later.
_RECORDED_TIME = b',"recordedtime":"'


class PreparedEvent(NamedTuple):
    """An event as it goes to the log. `key` None: to every partition. `identity` is a digest of tenant, source and id,
    which identifies repeats. `content` is a digest of everything but `recordedtime`, over normalised text:
    12:00+02:00 and 10:00Z are the same."""

    identity: bytes
    key: bytes | None
    value: bytes
    content: bytes
    event: MentoringEvent


def prepare(event: MentoringEvent) -> PreparedEvent:
    # Neither tenant nor source can hold the separator.
    name = f"{event.tenant}\0{event.source}\0{event.id}".encode()
    # As `schemas.events.to_json`, without one more call for each event.
    value = event.__pydantic_serializer__.to_json(event, by_alias=True, exclude_none=True)
    before, _, rest = value.partition(_RECORDED_TIME)
    content = before + rest[rest.index(b'"') :]
    key = None if isinstance(event, OfPartition) else event.partitionkey.encode()
    identity = blake2b(name, digest_size=DIGEST_BYTES).digest()
    return PreparedEvent(identity, key, value, blake2b(content, digest_size=DIGEST_BYTES).digest(), event)


class ProducerBatch(Protocol):
    """Records sent as one batch, as `WriteGroup` of the runtime. `failures`: by the index that `send` returned."""

    written: Future[None]
    failures: dict[int, BaseException]

    def send(self, outgoing: OutgoingRecord) -> int: ...

    def submit_pending(self) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Receipt:
    """Where an event was sent: `index` is that of its last record in the batch `sending`. An event for all partitions
    has several records. `sending` is None for a duplicate of an event that is on the log already."""

    sending: ProducerBatch | None
    index: int = 0
    records: int = 1
    duplicate: bool = False

    @property
    def written(self) -> Future[None]:
        """Completes when the whole batch is settled. For an event that was sent alone: when it is on the log."""
        return _WRITTEN if self.sending is None else self.sending.written

    def failure(self) -> BaseException | None:
        """Why the event is not on the log, as far as that is known."""
        if self.sending is None or not (failures := self.sending.failures):
            return None
        indexes = range(self.index - self.records + 1, self.index + 1)
        found = [failures[index] for index in indexes if index in failures]
        return next((one for one in found if isinstance(one, UnwritableRecordError)), found[0] if found else None)

    def outcome(self) -> "Receipt | Rejected | UnavailableError":
        """The receipt itself if the event is on the log. Otherwise why it is not, or that this is not known yet."""
        # In this order: a failure between the two questions would otherwise count as written.
        settled = self.written.done()
        failure = self.failure()
        if isinstance(failure, UnwritableRecordError):
            return rejection_of(failure)
        if failure is not None or not settled:
            return UnavailableError(f"the broker does not acknowledge{f': {failure}' if failure else ''}")
        return self


class _PendingEvent(NamedTuple):
    content: bytes
    receipt: Receipt
    event: MentoringEvent


class LogProducer(Protocol):
    """As the producer of the runtime."""

    def partitions(self, topic: str) -> list[int]: ...

    def write_group(self) -> ProducerBatch: ...


class EventWriter:
    """For any thread. The memory of written events is bounded (LRU); a repeat of a forgotten event is written again,
    which is harmless downstream. Pending events are never forgotten: their senders bound them by bytes."""

    def __init__(self, producer: LogProducer, remembered: int, topic: str = EVENTS.name) -> None:
        """Raises KafkaError when the topic of events does not exist or the broker is away."""
        self._producer, self._remembered, self._topic = producer, remembered, topic
        self._partitions = producer.partitions(topic)
        # A day has few distinct keys, and computing a key's partition takes a tenth of the time of sending.
        self._partition_of = lru_cache(MAX_KEYS)(partial(partition_of, partitions=len(self._partitions)))
        self._pending: dict[bytes, _PendingEvent] = {}
        # The content of events on the log, by identity.
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._progress: OrderedDict[tuple[str, str], SourceProgress] = OrderedDict()
        self._lock = threading.Lock()

    def drain_progress(self) -> Mapping[tuple[str, str], "SourceProgress"]:
        """The progress of each tenant's source on the log since the last call."""
        with self._lock:
            found, self._progress = self._progress, OrderedDict()
        return found

    def record(self, event: MentoringEvent) -> Receipt | Rejected:
        """Rejects an event that is too large for the log. Raises KafkaError when nothing can be written for now. Later
        failures complete `written`."""
        with self.batch() as batch:
            return self.record_in(batch, prepare(event))

    def record_again(self, event: MentoringEvent) -> Future[None] | Rejected:
        """Resends an event that failed. A failed event was forgotten, so that nothing conflicts with it. It may have
        become too large for the log."""
        receipt = self.record(event)
        return receipt if isinstance(receipt, Rejected) else receipt.written

    @contextmanager
    def batch(self) -> Iterator["EventBatch"]:
        """For events of one request, by one thread."""
        batch = EventBatch(self._producer.write_group())
        try:
            yield batch
        finally:
            # Outside of the lock, which the callback takes: it runs at once if all is settled already.
            sending = batch.sending
            sending.written.add_done_callback(partial(self._settle, batch.new, sending.failures))
            sending.close()

    def record_in(self, batch: "EventBatch", prepared: PreparedEvent) -> Receipt | Rejected:
        """As `record`. When it raises, earlier events of the batch may have been sent."""
        with self._lock:
            pending = self._pending.get(prepared.identity)
            content = pending.content if pending else self._recent.get(prepared.identity)
            if content is None:
                return self._send(batch, prepared)
            if pending is None:
                self._recent.move_to_end(prepared.identity)
        if content != prepared.content:
            return rejected("conflict", "id", CONFLICT)
        if pending is None:
            return _WRITTEN_BEFORE
        batch.others[pending.receipt.written] = None
        return replace(pending.receipt, duplicate=True)

    def _send(self, batch: "EventBatch", prepared: PreparedEvent) -> Receipt | Rejected:
        partitions = self._partitions if prepared.key is None else (self._partition_of(prepared.key),)
        sending, index = batch.sending, 0
        try:
            for number in partitions:
                index = sending.send(OutgoingRecord(self._topic, prepared.value, prepared.key, _HEADERS, number))
        except UnwritableRecordError as failure:
            return rejection_of(failure)
        receipt = Receipt(sending, index, len(partitions))
        pending = _PendingEvent(prepared.content, receipt, prepared.event)
        batch.new[prepared.identity] = self._pending[prepared.identity] = pending
        return receipt

    def _settle(self, new: dict[bytes, _PendingEvent], failures: Mapping[int, BaseException], _: Future[None]) -> None:
        """Remembers each event that is on the log, and forgets each that is not, so that it can be sent again."""
        written = {key: one for key, one in new.items() if one.receipt.failure() is None} if failures else new
        with self._lock:
            for key in new:
                del self._pending[key]
            for key, one in written.items():
                self._recent[key] = one.content
                if not isinstance(one.event, OfPartition):
                    self._advance_progress(one.event)
            while len(self._recent) > self._remembered:
                self._recent.popitem(last=False)
        # The future keeps `new`, whose receipts keep the future: only Python's collector would free these events.
        new.clear()

    def _advance_progress(self, event: OfRelationship) -> None:
        # An event dated in the future advances its source only to now.
        at, recorded = min(event.time, event.recordedtime), event.recordedtime
        before = self._progress.get((event.tenant, event.source))
        if before is not None:
            at, recorded = max(at, before.time), max(recorded, before.recorded)
        elif len(self._progress) >= MAX_SOURCES:
            self._progress.popitem(last=False)
        self._progress[event.tenant, event.source] = SourceProgress(at, recorded)


class SourceProgress(NamedTuple):
    """`time`: of the latest event of a source. `recorded`: when one was recorded last."""

    time: Instant
    recorded: Instant


class EventBatch:
    """Events recorded as one batch. `new` are sent with it; `others` are futures of earlier batches that hold the same
    events, and are waited for as well."""

    def __init__(self, sending: ProducerBatch) -> None:
        self.sending = sending
        self.new: dict[bytes, _PendingEvent] = {}
        self.others: dict[Future[None], None] = {}

    def abort(self, failure: KafkaError) -> None:
        """The rest cannot be sent. The cause may be an earlier record of the batch that the broker refused: then
        `written` fails with that refusal, or its sender would send all of it again for ever."""
        rest: Future[None] = Future()
        rest.set_exception(failure)
        self.others[rest] = None

    @property
    def written(self) -> Future[None]:
        """Completes when all events are on the log. Read it after the last event was recorded."""
        return when_all_complete([self.sending.written, *self.others]) if self.others else self.sending.written


# One for all: an event that is on the log already needs no future of its own.
_WRITTEN = Future[None]()
_WRITTEN.set_result(None)
_WRITTEN_BEFORE = Receipt(sending=None, duplicate=True)
