"""Kafka records: decoding of fetched batches, the partition of a key, pending acknowledgements, and the errors of
records that the broker never accepts."""

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
    """A NamedTuple because there are many: a frozen dataclass takes four times as long to create."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True)
class Committed:
    """The next offset to read, and the metadata committed with it."""

    offset: int
    metadata: str = ""


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that producers choose: murmur2, as in Kafka's own clients."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def topic_partition(partition: Partition) -> Any:  # noqa: ANN401
    return TopicPartition(partition.topic, partition.number)


def offsets_and_metadata(offsets: Mapping[Partition, Committed]) -> dict[Any, Any]:
    # Leader epoch -1 means unknown; the broker's protocol refuses kafka-python's None.
    return {topic_partition(p): OffsetAndMetadata(c.offset, c.metadata, -1) for p, c in offsets.items()}


class FetchedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    r"""Replaces kafka-python's class and repeats its checks of batches step by step: which are corrupt, aborted or
    control batches. kafka-python creates three objects per record and makes some twenty checks of each; here one loop
    creates our record in less than half of the time.

    A header name that is not UTF-8 is read as \xNN. The broker accepts such names from any client, and kafka-python
    (3.0.12) then raises at every poll: one such record would stop its partition for ever."""

    def _unpack_records(self, tp: Any, batches: Any, *_deserializers: Any) -> Iterator[Record]:  # noqa: ANN401
        batch = None
        while (following := batches.next_batch()) is not None:
            batch = following
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"a batch of {tp} at offset {batch.base_offset} failed its check")
            try:
                if not isinstance(batch, DefaultRecordBatch):
                    yield from self._legacy_records(batch, tp)
                elif not self._is_skipped(batch):
                    yield from self._records(batch, tp)
            except (ValueError, IndexError) as broken:
                raise CorruptRecordError(f"a batch of {tp} at offset {batch.base_offset}: {broken}") from broken
            if isinstance(batch, DefaultRecordBatch):
                # Compaction may have removed the last record of a batch: the next fetch still begins after the batch.
                self.next_fetch_offset = batch.next_offset
        self.drain()

    def _is_skipped(self, batch: DefaultRecordBatch) -> bool:
        self.leader_epoch = batch.leader_epoch
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _records(self, batch: DefaultRecordBatch, tp: Any) -> Iterator[Record]:  # noqa: ANN401
        """Thin: a call for each field would cost as much as the whole loop."""
        batch._maybe_uncompress()  # noqa: SLF001 (there is no public way)
        buffer, at = bytes(batch._buffer), batch._pos  # noqa: SLF001
        # By these counters a partition that was read moves behind the others; else the last partitions would starve.
        self.bytes_read += len(buffer) - at
        self.records_read += batch.records_count
        topic, partition, base, first = tp.topic, tp.partition, batch.base_offset, batch.first_timestamp
        appended = batch.max_timestamp if batch.timestamp_type == batch.LOG_APPEND_TIME else None
        for _ in range(batch.records_count):
            size, at = decode_varint(buffer, at)
            end = at + size
            ahead, at = decode_varint(buffer, at + 1)  # skips the attributes byte, which is unused
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

    def _legacy_records(self, batch: Any, tp: Any) -> Iterator[Record]:  # noqa: ANN401
        """Message formats of before 2017, which kafka-python decodes."""
        for record in batch:
            if self.check_crcs and not record.validate_crc():
                raise CorruptRecordError(f"a record of {tp} at offset {record.offset} failed its check")
            self.next_fetch_offset = record.offset + 1
            self.bytes_read += record.size_in_bytes
            self.records_read += 1
            yield Record(tp.topic, tp.partition, record.offset, record.key, record.value, (), record.timestamp)


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
    """The record itself is at fault: other records can still be written, and this one belongs into the dead letters."""


class RecordTooLargeError(UnwritableRecordError):
    """Raised before sending: the record is larger than its topic or a request allows."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"a record of {topic} has at most {limit} bytes with all that Kafka adds, this one has {size}")
        self.size, self.limit = size, limit


class RecordRefusedError(UnwritableRecordError):
    """The broker refused the record when it was sent alone. `reason` is the name of the broker's error."""

    def __init__(self, topic: str, refusal: errors.KafkaError) -> None:
        super().__init__(f"the broker refuses this record of {topic}: {type(refusal).__name__}")
        self.reason = type(refusal).__name__


class ProducerReplacedError(errors.RetriableError):  # type: ignore[misc]
    """The producer is being replaced. The record may be sent again; it is unknown whether it is on the log."""


class TopicSealedError(errors.RetriableError):  # type: ignore[misc]
    """An operator has made the topic read-only, as `rapport scoring repartition` does: the record is not at fault."""


# Errors about a record. The broker refuses a whole batch: each of its records is then tried alone.
RECORD_ERRORS = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
    errors.InvalidRecordError,
    errors.CorruptRecordError,
    errors.PolicyViolationError,
    errors.UnsupportedForMessageFormatError,
    # "An unexpected server error": if it recurs for one record on a new producer, that record causes it.
    errors.UnknownError,
)
# Errors that an operator has to correct. They affect every record alike, so no record is dead-lettered: all wait.
AUTHORIZATION_ERRORS = (errors.AuthorizationError, errors.SaslAuthenticationFailedError)


_FENCES = (errors.ProducerFencedError, errors.InvalidProducerEpochError)
"""A broker answers with the second one where a record, and no request about the transaction, is the first to arrive."""


def is_fenced(failure: errors.KafkaError) -> bool:
    """Return whether another producer took over the transactional id; kafka-python also wraps this in other errors, and
    we raise others from it."""
    cause: BaseException | None = failure
    while cause is not None:
        if any(isinstance(one, _FENCES) for one in (cause, *cause.args)):
            return True
        cause = cause.__cause__
    return False


class OutgoingRecord(NamedTuple):
    """The arguments of `KafkaProducer.send`, in its order."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None = None
    timestamp_ms: int | None = None


class OutcomeListener(Protocol):
    """Receives the outcome of a record, on any thread."""

    def succeed(self, metadata: Any) -> None: ...  # noqa: ANN401 (kafka-python's RecordMetadata)

    def fail(self, failure: BaseException) -> None: ...


class PendingRecord:
    """A future. It is settled once, on any thread, which also runs the callbacks. Thin: there is one for each
    record."""

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
    """A pending acknowledgement: `get` waits for it and raises KafkaError if the record is not on the log."""

    def get(self, timeout: float | None = None) -> Any: ...  # noqa: ANN401 (kafka-python's RecordMetadata)

    def add_callback(self, callback: Any) -> Any: ...  # noqa: ANN401

    def add_errback(self, errback: Any) -> Any: ...  # noqa: ANN401


MAX_IN_FLIGHT = 5_000
"""Records in flight at once: a producer has no back-pressure of its own."""
ACKNOWLEDGE_TIMEOUT_SECONDS = 60
"""Seconds; the producer itself fails a record after 15."""


def await_acknowledged(records: Iterable[Sent], between: Callable[[], object] = lambda: None) -> None:
    """Iterate over the records, which sends them, and return when all are acknowledged. `between` is called after each
    MAX_IN_FLIGHT records. Raises KafkaError, and whatever the iterator or `between` raises."""
    sending = iter(records)
    while some := list(islice(sending, MAX_IN_FLIGHT)):
        for sent in some:
            sent.get(ACKNOWLEDGE_TIMEOUT_SECONDS)
        between()
