"""Records: what is read, and on which partition a key lies; of what is under way how large it may be, what becomes of
it, and which the broker will never take."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

from kafka import KafkaAdminClient, OffsetAndMetadata, TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.partitioner.default import murmur2
from kafka.record.default_records import DefaultRecordBatchBuilder

from services.runtime import log
from services.runtime.kafka.connecting import client_options
from services.runtime.settings import Settings

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


OPTION = "max.message.bytes"
# What Kafka takes unless it is told otherwise; assumed where we may not ask the broker.
USUAL_LIMIT = 1_048_588
REFRESH_SECONDS = 60.0
# On the caller's thread, which may be that of an event loop.
ASK_SECONDS = 2.0
# By a start, which nobody waits behind: as long as its producer waits for the partitions.
KNOW_SECONDS = 10.0


def record_size(outgoing: OutgoingRecord) -> int:
    """In bytes, as a batch of its own and not compressed: key, value, headers, and what Kafka adds. An upper bound."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(outgoing.key, outgoing.value, outgoing.headers)
    return size


class TopicLimits:
    """For any thread. Asked of the broker when a topic is first written, and again once a minute."""

    def __init__(self, settings: Settings, most: int) -> None:
        self._settings, self._most = settings, most
        self._limits: dict[str, int] = {}
        self._lock = threading.Lock()
        self._refresh_at = 0.0
        self._log = log.get(__name__)

    def check(self, outgoing: OutgoingRecord) -> None:
        """Raises RecordTooLargeError, TopicSealedError, and KafkaError when the broker does not say."""
        limit = self._limits.get(outgoing.topic)
        if limit is None:
            self._ask([outgoing.topic])
            limit = self._limits[outgoing.topic]
        elif time.monotonic() >= self._refresh_at:
            self._refresh_aside()
        if limit == 0:
            raise TopicSealedError(f"{outgoing.topic} is sealed")
        limit = min(limit, self._most)
        # Counting the bytes exactly takes half as long as sending: of what is clearly small it is not worth it. Never
        # less than the exact size: characters have up to four bytes, lengths five, and a batch begins with 82.
        most = len(outgoing.value or b"") + len(outgoing.key or b"") + 100
        for name, value in outgoing.headers:
            most += 4 * len(name) + len(value) + 10
        if most > limit and (size := record_size(outgoing)) > limit:
            raise RecordTooLargeError(outgoing.topic, size, limit)

    def know(self, topics: Iterable[str]) -> None:
        """Of those that are new. Raises KafkaError."""
        self._ask([topic for topic in topics if topic not in self._limits], KNOW_SECONDS)

    def refresh(self) -> None:
        """Raises KafkaError."""
        self._refresh_at = time.monotonic() + REFRESH_SECONDS
        self._ask(list(self._limits))

    def is_sealed(self, topic: str) -> bool:
        return self._limits.get(topic) == 0

    def _refresh_aside(self) -> None:
        with self._lock:
            if time.monotonic() < self._refresh_at:
                return
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        threading.Thread(target=self._refreshed, name="topic-limits", daemon=True).start()

    def _refreshed(self) -> None:
        try:
            self.refresh()
        except KafkaError as away:
            self._log.warning("topic_limits_not_refreshed", reason=str(away))

    def _ask(self, topics: Sequence[str], seconds: float = ASK_SECONDS) -> None:
        if not topics:
            return
        timeout = round(seconds * 1000)
        options = client_options(self._settings) | {"request_timeout_ms": timeout, "bootstrap_timeout_ms": timeout}
        admin = KafkaAdminClient(**options)
        try:
            resources = [ConfigResource(ConfigResourceType.TOPIC, topic, [OPTION]) for topic in topics]
            answer = admin.describe_configs(resources, config_filter="all")["topic"]
        finally:
            admin.close()
        for topic in topics:
            found = answer.get(topic, {})
            # kafka-python leaves out what the broker refuses to tell: there is no such topic, or DescribeConfigs is
            # denied.
            limit = int(found[OPTION]["value"]) if OPTION in found else self._limits.get(topic, USUAL_LIMIT)
            if OPTION not in found:
                self._log.warning("topic_limit_unknown", topic=topic, assumed=limit)
            self._limits[topic] = limit
        self._refresh_at = self._refresh_at or time.monotonic() + REFRESH_SECONDS
