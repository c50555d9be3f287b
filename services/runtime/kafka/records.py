"""Records: what is read, out of the batches that kafka-python has fetched, and on which partition a key lies; what
becomes of what is under way, and which the broker will never take."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

from kafka import OffsetAndMetadata, TopicPartition, errors
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, KafkaTimeoutError
from kafka.partitioner.default import murmur2
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, order=True)
class Partition:
    topic: str
    number: int


class Record(NamedTuple):
    """A tuple because there are many: a frozen dataclass takes four times as long to make."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True)
class Committed:
    """The next offset to read, and what its writer noted beside it."""

    offset: int
    metadata: str = ""


def partition_of(key: bytes, partitions: int) -> int:
    """Where producers put it: murmur2, as Kafka's own clients do."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def topic_partition(partition: Partition) -> Any:  # noqa: ANN401
    return TopicPartition(partition.topic, partition.number)


def offsets_and_metadata(offsets: Mapping[Partition, Committed]) -> dict[Any, Any]:
    # Leader epoch -1: unknown; kafka-python's None is refused by the broker's protocol.
    return {topic_partition(p): OffsetAndMetadata(c.offset, c.metadata, -1) for p, c in offsets.items()}


class FetchedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    r"""In the place of kafka-python's own, whose judgement of whole batches is repeated here step by step: which are
    broken, aborted or only markers. It makes three objects of each record and asks each some twenty questions; here one
    loop makes the one that we hand on, in less than half of the time.

    A header's name that is no UTF-8 is read as \xNN. The broker takes such from any client, and kafka-python (3.0.12)
    raises at every poll then, for ever: one such record would stop its partition."""

    def _unpack_records(self, place: Any, batches: Any, *_deserializers: Any) -> Iterator[Record]:  # noqa: ANN401
        batch = None
        while (following := batches.next_batch()) is not None:
            batch = following
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"a batch of {place} at offset {batch.base_offset} failed its check")
            try:
                if not isinstance(batch, DefaultRecordBatch):
                    yield from self._of_old_format(batch, place)
                elif not self._is_left_out(batch):
                    yield from self._records(batch, place)
            except (ValueError, IndexError) as broken:
                raise CorruptRecordError(f"a batch of {place} at offset {batch.base_offset}: {broken}") from broken
            if isinstance(batch, DefaultRecordBatch):
                # Compaction may have taken the last record of a batch: the next fetch begins after it all the same.
                self.next_fetch_offset = batch.next_offset
        self.drain()

    def _is_left_out(self, batch: DefaultRecordBatch) -> bool:
        self.leader_epoch = batch.leader_epoch
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _records(self, batch: DefaultRecordBatch, place: Any) -> Iterator[Record]:  # noqa: ANN401
        """Thin: a call for each field would cost as much as all of this."""
        batch._maybe_uncompress()  # noqa: SLF001 (there is no public way)
        buffer, at = bytes(batch._buffer), batch._pos  # noqa: SLF001
        # By these a partition that was read goes behind the others: else the last of many wait for the first ones.
        self.bytes_read += len(buffer) - at
        self.records_read += batch.records_count
        topic, partition, base, first = place.topic, place.partition, batch.base_offset, batch.first_timestamp
        appended = batch.max_timestamp if batch.timestamp_type == batch.LOG_APPEND_TIME else None
        for _ in range(batch.records_count):
            size, at = decode_varint(buffer, at)
            end = at + size
            ahead, at = decode_varint(buffer, at + 1)  # after a byte of attributes, of which there are none
            delta, at = decode_varint(buffer, at)
            size, at = decode_varint(buffer, at)
            key = None if size < 0 else buffer[at : (at := at + size)]
            size, at = decode_varint(buffer, at)
            value = None if size < 0 else buffer[at : (at := at + size)]
            headers, at = ((), at + 1) if buffer[at] == 0 else _headers(buffer, at)
            if at != end:
                raise ValueError(f"a record ends at {at}, not at {end}")
            offset = base + delta
            self.next_fetch_offset = offset + 1
            yield Record(topic, partition, offset, key, value, headers, first + ahead if appended is None else appended)
        if at != len(buffer):
            raise ValueError(f"{len(buffer) - at} bytes follow the last record")

    def _of_old_format(self, batch: Any, place: Any) -> Iterator[Record]:  # noqa: ANN401
        """Of before 2017: kafka-python reads it."""
        for record in batch:
            if self.check_crcs and not record.validate_crc():
                raise CorruptRecordError(f"a record of {place} at offset {record.offset} failed its check")
            self.next_fetch_offset = record.offset + 1
            self.bytes_read += record.size_in_bytes
            self.records_read += 1
            yield Record(place.topic, place.partition, record.offset, record.key, record.value, (), record.timestamp)


def _headers(buffer: bytes, at: int) -> tuple[Headers, int]:
    count, at = decode_varint(buffer, at)
    headers: list[Any] = []
    for _ in range(count):
        size, at = decode_varint(buffer, at)
        name = buffer[at : (at := at + size)].decode("utf-8", "backslashreplace")
        size, at = decode_varint(buffer, at)
        headers.append((name, None if size < 0 else buffer[at : (at := at + size)]))
    return tuple(headers), at


class UnwritableRecordError(errors.KafkaError):  # type: ignore[misc]
    """A record cannot be written, and that is its own fault: others go on, and it belongs into quarantine."""


class RecordTooLargeError(UnwritableRecordError):
    """Known before it is sent: it is larger than its topic, or a request, may hold."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"a record of {topic} has at most {limit} bytes with all that Kafka adds, this one has {size}")
        self.size, self.limit = size, limit


class RecordRefusedError(UnwritableRecordError):
    """The broker refused it when it was sent alone. `reason` is the broker's name for that."""

    def __init__(self, topic: str, refusal: errors.KafkaError) -> None:
        super().__init__(f"the broker refuses this record of {topic}: {type(refusal).__name__}")
        self.reason = type(refusal).__name__


class ProducerReplacedError(errors.RetriableError):  # type: ignore[misc]
    """The producer is being replaced: the same record may be sent again, and nobody knows whether it is on the log."""


class TopicSealedError(errors.RetriableError):  # type: ignore[misc]
    """An operator has closed the topic for every record, as `rapport scoring repartition` does: no record is at
    fault."""


# What a broker says of a record. A batch is refused as a whole: of its records each is to be tried alone.
OF_THE_RECORD = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
    errors.InvalidRecordError,
    errors.CorruptRecordError,
    errors.PolicyViolationError,
    errors.UnsupportedForMessageFormatError,
    # "An unexpected server error": alone on a new producer it is this record that the broker stumbles over.
    errors.UnknownError,
)
# What an operator has to mend. Every record alike meets it, hence none is put aside for it: all wait.
OF_AUTHORIZATION = (errors.AuthorizationError, errors.SaslAuthenticationFailedError)


def is_fenced(failure: errors.KafkaError) -> bool:
    """Whether another producer has taken over the transactional id; kafka-python also wraps that in other errors."""
    fenced = (failure, *failure.args)
    return any(isinstance(one, errors.ProducerFencedError) for one in fenced)


class OutgoingRecord(NamedTuple):
    """What `KafkaProducer.send` takes, in its order."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None = None
    timestamp_ms: int | None = None


class Awaited(Protocol):
    """Is told, on any thread, what became of each record that was sent for it."""

    def succeed(self, metadata: Any) -> None: ...  # noqa: ANN401 (kafka-python's RecordMetadata)

    def fail(self, failure: BaseException) -> None: ...


class PendingRecord:
    """Settled once, on any thread; callbacks run on the thread that settles it. Thin: there is one for each record."""

    __slots__ = ("_callbacks", "_errbacks", "_failure", "_lock", "_metadata", "_settled", "_waiter")

    def __init__(self) -> None:
        self._callbacks: tuple[Callable[[Any], object], ...] = ()
        self._errbacks: tuple[Callable[[BaseException], object], ...] = ()
        self._metadata: Any = None
        self._failure: BaseException | None = None
        self._settled = False
        self._waiter: threading.Event | None = None
        self._lock = threading.Lock()

    def add_callback(self, callback: Callable[[Any], object]) -> None:
        with self._lock:
            if not self._settled:
                self._callbacks = (*self._callbacks, callback)
                return
        if self._failure is None:
            callback(self._metadata)

    def add_errback(self, errback: Callable[[BaseException], object]) -> None:
        with self._lock:
            if not self._settled:
                self._errbacks = (*self._errbacks, errback)
                return
        if self._failure is not None:
            errback(self._failure)

    def get(self, timeout: float | None = None) -> Any:  # noqa: ANN401 (kafka-python's RecordMetadata)
        """Raises KafkaError if the record is not on the log."""
        with self._lock:
            if not self._settled and self._waiter is None:
                self._waiter = threading.Event()
            waiter = None if self._settled else self._waiter
        if waiter is not None and not waiter.wait(timeout):
            raise KafkaTimeoutError(f"not acknowledged within {timeout} s")
        if self._failure is not None:
            raise self._failure
        return self._metadata

    def succeed(self, metadata: Any) -> None:  # noqa: ANN401
        with self._lock:
            self._metadata, self._settled, called = metadata, True, self._callbacks
        if self._waiter is not None:
            self._waiter.set()
        for callback in called:
            callback(metadata)

    def fail(self, failure: BaseException) -> None:
        with self._lock:
            self._failure, self._settled, called = failure, True, self._errbacks
        if self._waiter is not None:
            self._waiter.set()
        for errback in called:
            errback(failure)


class Sent(Protocol):
    """An acknowledgement to come: `get` waits for it and raises KafkaError if the record is not on the log."""

    def get(self, timeout: float | None = None) -> Any: ...  # noqa: ANN401 (kafka-python's RecordMetadata)

    def add_callback(self, callback: Any) -> Any: ...  # noqa: ANN401

    def add_errback(self, errback: Any) -> Any: ...  # noqa: ANN401


UNDER_WAY = 5_000
"""Records at once: a producer has no back-pressure of its own."""
ACKNOWLEDGED_WITHIN = 60
"""Seconds; the producer itself gives up after 15."""


def acknowledged(records: Iterable[Sent], between: Callable[[], object] = lambda: None) -> None:
    """Asks for these records, which sends them, so many at once, and returns when all are on their topics. `between` is
    called after each so many. Raises KafkaError, and whatever either of them raises."""
    sending = iter(records)
    while some := list(islice(sending, UNDER_WAY)):
        for sent in some:
            sent.get(ACKNOWLEDGED_WITHIN)
        between()
