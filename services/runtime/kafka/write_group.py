"""Appends records to kafka-python's batches: size limits per topic, and groups of records with one shared future. A
future with callbacks for each record, as in kafka-python, takes as long as sending it."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError
from kafka.record.default_records import DefaultRecordBatchBuilder

from services.runtime import log
from services.runtime.kafka.connecting import client_options
from services.runtime.kafka.records import OutgoingRecord, RecordTooLargeError, TopicSealedError, UnwritableRecordError
from services.runtime.settings import Settings

MAX_MESSAGE_BYTES = "max.message.bytes"
# Kafka's default; assumed where we may not ask the broker.
DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
REFRESH_SECONDS = 60.0
# On the caller's thread, which may run an event loop.
FETCH_SECONDS = 2.0
# At a start, which blocks nobody: as long as the producer waits for the partitions.
PRELOAD_SECONDS = 10.0


def record_size(outgoing: OutgoingRecord) -> int:
    """Return an upper bound of the record's bytes as an uncompressed batch of its own: key, value, headers and Kafka's
    overhead."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(outgoing.key, outgoing.value, outgoing.headers)
    return size


class TopicLimits:
    """Caches `max.message.bytes`, which is fetched when a topic is first written and then once a minute. Safe for any
    thread."""

    def __init__(self, settings: Settings, most: int) -> None:
        self._settings, self._most = settings, most
        self._limits: dict[str, int] = {}
        self._lock = threading.Lock()
        self._refresh_at = 0.0
        self._log = log.get(__name__)

    def check(self, outgoing: OutgoingRecord) -> None:
        """Raises RecordTooLargeError, TopicSealedError, and KafkaError when the broker does not answer."""
        limit = self._limits.get(outgoing.topic)
        if limit is None:
            self._fetch([outgoing.topic])
            limit = self._limits[outgoing.topic]
        elif time.monotonic() >= self._refresh_at:
            self._refresh_in_background()
        if limit == 0:
            raise TopicSealedError(f"{outgoing.topic} is sealed")
        limit = min(limit, self._most)
        # Counting the bytes exactly takes half as long as sending: of what is clearly small it is not worth it. Never
        # less than the exact size: characters have up to four bytes, lengths five, and a batch header has 82.
        most = len(outgoing.value or b"") + len(outgoing.key or b"") + 100
        for name, value in outgoing.headers:
            most += 4 * len(name) + len(value) + 10
        if most > limit and (size := record_size(outgoing)) > limit:
            raise RecordTooLargeError(outgoing.topic, size, limit)

    def preload(self, topics: Iterable[str]) -> None:
        """Fetch the limits of topics that are new. Raises KafkaError."""
        self._fetch([topic for topic in topics if topic not in self._limits], PRELOAD_SECONDS)

    def refresh(self) -> None:
        """Fetch all limits again. If the broker does not answer, the earlier limits stay."""
        self._refresh_at = time.monotonic() + REFRESH_SECONDS
        try:
            self._fetch(list(self._limits))
        except KafkaError as away:
            self._log.warning("topic_limits_not_refreshed", reason=str(away))

    def is_sealed(self, topic: str) -> bool:
        return self._limits.get(topic) == 0

    def _refresh_in_background(self) -> None:
        with self._lock:
            if time.monotonic() < self._refresh_at:
                return
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        threading.Thread(target=self.refresh, name="topic-limits", daemon=True).start()

    def _fetch(self, topics: Sequence[str], seconds: float = FETCH_SECONDS) -> None:
        if not topics:
            return
        timeout = round(seconds * 1000)
        options = client_options(self._settings) | {"request_timeout_ms": timeout, "bootstrap_timeout_ms": timeout}
        admin = KafkaAdminClient(**options)
        try:
            resources = [ConfigResource(ConfigResourceType.TOPIC, topic, [MAX_MESSAGE_BYTES]) for topic in topics]
            answer = admin.describe_configs(resources, config_filter="all")["topic"]
        finally:
            admin.close()
        for topic in topics:
            found = answer.get(topic, {})
            # kafka-python omits what the broker does not disclose: the topic is missing, or DescribeConfigs is denied.
            limit = (
                int(found[MAX_MESSAGE_BYTES]["value"])
                if MAX_MESSAGE_BYTES in found
                else self._limits.get(topic, DEFAULT_MAX_MESSAGE_BYTES)
            )
            if MAX_MESSAGE_BYTES not in found:
                self._log.warning("topic_limit_unknown", topic=topic, assumed=limit)
            self._limits[topic] = limit
        self._refresh_at = self._refresh_at or time.monotonic() + REFRESH_SECONDS


MAX_GATHERED = 100
"""Records that are appended in one go, which blocks the thread for half a millisecond."""

Settle = Callable[[Sequence["GroupedRecord"], Any], None]
"""Receives records of one batch and the result that kafka-python has of the batch. Runs on the client's thread."""


class WriteGroup:
    """Many records with one shared future. `written` completes on the client's thread when the outcome of every record
    is known. If a record can never be written it fails with its UnwritableRecordError, else with the first failure.
    `failures` maps the index of each failed record, in the order of sending, to its error; all other records are on the
    log. Only one thread may send."""

    def __init__(
        self, check: Callable[[OutgoingRecord], None], append: Callable[[Sequence["GroupedRecord"]], None]
    ) -> None:
        self.written: Future[None] = Future()
        self.written.set_running_or_notify_cancel()  # a waiter that gives up cannot cancel it under our hands
        self.failures: dict[int, BaseException] = {}
        self._check, self._append = check, append
        self._gathered: list[GroupedRecord] = []
        self._sent, self._left, self._lock = 0, 1, threading.Lock()

    def send(self, outgoing: OutgoingRecord) -> int:
        """Return the record's index. Raises as `Producer.send`; records that were sent before are still awaited."""
        self._check(outgoing)
        position = self._sent
        self._sent += 1
        self._gathered.append(GroupedRecord(outgoing, self, position))
        if len(self._gathered) >= MAX_GATHERED:
            self.submit_pending()
        return position

    def submit_pending(self) -> None:
        """Pass the records that were sent so far to the client. Callers call it before they pause."""
        gathered, self._gathered = self._gathered, []
        with self._lock:
            self._left += len(gathered)
        if gathered:
            self._append(gathered)

    def close(self) -> None:
        """End the group. Until then `written` stays pending, even if no record was sent."""
        try:
            self.submit_pending()
        finally:
            self.succeed(1)

    def succeed(self, settled: int) -> None:
        """Count `settled` records as written."""
        with self._lock:
            self._left -= settled
            is_last = self._left == 0
        if is_last and not self.failures:
            self.written.set_result(None)
        elif is_last:
            found = list(self.failures.values())
            unwritable = (one for one in found if isinstance(one, UnwritableRecordError))
            self.written.set_exception(next(unwritable, found[0]))

    def fail(self, position: int, failure: BaseException) -> None:
        self.failures[position] = failure
        self.succeed(1)


class GroupedRecord:
    """One record of a group; it stands where kafka-python keeps a future in its batch. Thin: there is one for each
    record."""

    __slots__ = ("batch", "group", "index", "outgoing", "position", "settle")
    index: int
    settle: Settle

    def __init__(self, outgoing: OutgoingRecord, group: WriteGroup, position: int) -> None:
        self.outgoing, self.group, self.position = outgoing, group, position
        self.batch: Any = None

    def rebind(self, batch: Any, index: int) -> None:  # noqa: ANN401
        """kafka-python calls it after it has split a batch that was too large for its topic; the old batch never
        completes."""
        self.batch, self.index = batch, index
        _await_batch(batch, [self], self.settle)

    def succeed(self, _: object) -> None:
        self.group.succeed(1)

    def fail(self, failure: BaseException) -> None:
        self.group.fail(self.position, failure)


def missing_topic_error(client: KafkaProducer, topic: str) -> KafkaError | None:
    """Return why the client's own `send` would block on this topic, or None. Requests its metadata as `send` does."""
    if client._metadata.partitions_for_topic(topic) is not None:  # noqa: SLF001
        return None
    client._sender.add_topic(topic)  # noqa: SLF001
    client._metadata.request_update()  # noqa: SLF001
    client._sender.wakeup()  # noqa: SLF001
    if topic in client._metadata.unauthorized_topics:  # noqa: SLF001
        return TopicAuthorizationFailedError({topic})
    return KafkaTimeoutError(f"there is no topic {topic}, or the broker has not told of it yet")


def append_record(client: KafkaProducer, outgoing: OutgoingRecord) -> tuple[Any, bool]:
    """Like `KafkaProducer.send` for a record whose partition is given. Returns its future, and whether the client's
    thread must be woken. `send` spends two fifths of its time on repeating checks of type and size, which our callers
    have done."""
    topic, value, key, headers, number, timestamp_ms = outgoing
    # A new client does not know these partitions yet: its `send` fetches the metadata and waits.
    if number is None or number not in (client._metadata.partitions_for_topic(topic) or ()):  # noqa: SLF001
        return client.send(*outgoing), False
    tp = TopicPartition(topic, number)
    sent, is_full, is_new, _ = client._accumulator.append(tp, timestamp_ms, key, value, headers)  # noqa: SLF001
    return sent, is_full or is_new


def append_to_open_batch(client: KafkaProducer, records: Sequence[GroupedRecord], settle: Settle) -> int:
    """Append records of one partition to its open batch. Returns how many fitted."""
    accumulator, first = client._accumulator, records[0].outgoing  # noqa: SLF001 (there is no public way)
    tp, appended = TopicPartition(first.topic, first.partition), 0
    accumulator._appends_in_progress.increment()  # noqa: SLF001 (a client that closes waits for it)
    try:
        # While it is locked, the batch is neither sent nor split.
        with accumulator._tp_lock(tp):  # noqa: SLF001
            batches = accumulator._batches.get(tp)  # noqa: SLF001
            if not batches or accumulator._closed:  # noqa: SLF001
                return 0
            batch = batches[-1]
            append, await_one = batch.records.append, batch._record_futures.append  # noqa: SLF001
            try:
                for one in records:
                    _topic, value, key, headers, _number, timestamp_ms = one.outgoing
                    found = append(timestamp_ms, key, value, headers)
                    if found is None:
                        break
                    one.batch, one.index, one.settle = batch.produce_future, found.offset, settle
                    await_one(one)
                    appended += 1
            finally:
                # Also if kafka-python cannot write one of them: those before it are sent.
                if appended:
                    _await_batch(batch.produce_future, records[:appended], settle)
    finally:
        accumulator._appends_in_progress.decrement()  # noqa: SLF001
    return appended


def batch_of(sent: Any) -> Any:  # noqa: ANN401 (not typed)
    """Every pending record fails, often with the error of the refused batch: only the future identifies its batch."""
    return sent._produce_future  # noqa: SLF001


def _await_batch(batch: Any, ours: Sequence[GroupedRecord], settle: Settle) -> None:  # noqa: ANN401 (not typed)
    def fail(failure: BaseException) -> None:
        settle(ours, (-1, -1, lambda _index: failure))

    batch._add_cb_eb(partial(settle, ours), fail)  # noqa: SLF001 (it takes one lock for both)
