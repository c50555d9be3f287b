"""How records get into the batches of kafka-python: how large one may be, and many that are waited for as one, each
with an outcome of its own. A future and callbacks for each of them, as kafka-python has them, would take as long as
sending it."""

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
        """Where the broker does not say, what it said before counts."""
        self._refresh_at = time.monotonic() + REFRESH_SECONDS
        try:
            self._ask(list(self._limits))
        except KafkaError as away:
            self._log.warning("topic_limits_not_refreshed", reason=str(away))

    def is_sealed(self, topic: str) -> bool:
        return self._limits.get(topic) == 0

    def _refresh_aside(self) -> None:
        with self._lock:
            if time.monotonic() < self._refresh_at:
                return
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        threading.Thread(target=self.refresh, name="topic-limits", daemon=True).start()

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


MOST_GATHERED = 100
"""Records that are handed to the client in one go: it takes half a millisecond, during which nothing else runs."""

Settle = Callable[[Sequence["RecordAmongOthers"], Any], None]
"""Is given records of one batch, on the client's thread, and what kafka-python says of the batch."""


class SentTogether:
    """Many records that are waited for as one. `written` completes, on the client's thread, when it is known of all
    what became of them. It fails with an UnwritableRecordError if one of them can never be written, else with the first
    failure; `failures` then tells which are not on the log, and why, by their places in the order in which they were
    sent. All others are. One thread sends."""

    def __init__(
        self, check: Callable[[OutgoingRecord], None], append: Callable[[Sequence["RecordAmongOthers"]], None]
    ) -> None:
        self.written: Future[None] = Future()
        self.written.set_running_or_notify_cancel()  # a waiter that gives up cannot cancel it under our hands
        self.failures: dict[int, BaseException] = {}
        self._check, self._append = check, append
        self._gathered: list[RecordAmongOthers] = []
        self._sent, self._left, self._lock = 0, 1, threading.Lock()

    def send(self, outgoing: OutgoingRecord) -> int:
        """Its place. Raises as `Producer.send`; what was sent before is waited for nevertheless."""
        self._check(outgoing)
        place = self._sent
        self._sent += 1
        self._gathered.append(RecordAmongOthers(outgoing, self, place))
        if len(self._gathered) >= MOST_GATHERED:
            self.hand_over()
        return place

    def hand_over(self) -> None:
        """What was sent until now goes to the client. Whoever makes a break calls it."""
        gathered, self._gathered = self._gathered, []
        with self._lock:
            self._left += len(gathered)
        if gathered:
            self._append(gathered)

    def close(self) -> None:
        """Nothing more is sent. Until then `written` is open, even without any record."""
        try:
            self.hand_over()
        finally:
            self.succeed(1)

    def succeed(self, settled: int) -> None:
        """So many of them."""
        with self._lock:
            self._left -= settled
            is_last = self._left == 0
        if is_last and not self.failures:
            self.written.set_result(None)
        elif is_last:
            found = list(self.failures.values())
            unwritable = (one for one in found if isinstance(one, UnwritableRecordError))
            self.written.set_exception(next(unwritable, found[0]))

    def fail(self, place: int, failure: BaseException) -> None:
        self.failures[place] = failure
        self.succeed(1)


class RecordAmongOthers:
    """One of those that are handed over together, where kafka-python has a future in its batch. Thin: there is one for
    each record."""

    __slots__ = ("among", "batch", "index", "outgoing", "place", "settle")
    index: int
    settle: Settle

    def __init__(self, outgoing: OutgoingRecord, among: SentTogether, place: int) -> None:
        self.outgoing, self.among, self.place = outgoing, among, place
        self.batch: Any = None

    def rebind(self, batch: Any, index: int) -> None:  # noqa: ANN401
        """kafka-python calls it when the batch was too large for its topic and was split; that one never completes."""
        self.batch, self.index = batch, index
        _await_batch(batch, [self], self.settle)

    def succeed(self, _: object) -> None:
        self.among.succeed(1)

    def fail(self, failure: BaseException) -> None:
        self.among.fail(self.place, failure)


def absence(client: KafkaProducer, topic: str) -> KafkaError | None:
    """Why the client's own `send` would wait, if it would; asks as that does."""
    if client._metadata.partitions_for_topic(topic) is not None:  # noqa: SLF001
        return None
    client._sender.add_topic(topic)  # noqa: SLF001
    client._metadata.request_update()  # noqa: SLF001
    client._sender.wakeup()  # noqa: SLF001
    if topic in client._metadata.unauthorized_topics:  # noqa: SLF001
        return TopicAuthorizationFailedError({topic})
    return KafkaTimeoutError(f"there is no topic {topic}, or the broker has not told of it yet")


def appended(client: KafkaProducer, outgoing: OutgoingRecord) -> tuple[Any, bool]:
    """As `KafkaProducer.send` of a record whose partition is given: its future, and whether the client's thread has to
    hear of it. Two fifths of what that takes go into looking once more whether all of it is bytes, and small enough,
    which is known here."""
    topic, value, key, headers, number, timestamp_ms = outgoing
    # What a new client does not know yet it asks for, and waits.
    if number is None or number not in (client._metadata.partitions_for_topic(topic) or ()):  # noqa: SLF001
        return client.send(*outgoing), False
    place = TopicPartition(topic, number)
    sent, is_full, is_new, _ = client._accumulator.append(place, timestamp_ms, key, value, headers)  # noqa: SLF001
    return sent, is_full or is_new


def append_to_open_batch(client: KafkaProducer, records: Sequence[RecordAmongOthers], settle: Settle) -> int:
    """How many of these records, which are of one partition, have gone into the batch that gathers them now."""
    accumulator, first = client._accumulator, records[0].outgoing  # noqa: SLF001 (there is no public way)
    place, taken = TopicPartition(first.topic, first.partition), 0
    accumulator._appends_in_progress.increment()  # noqa: SLF001 (a client that closes waits for it)
    try:
        # While it is locked, the batch is neither sent nor split.
        with accumulator._tp_lock(place):  # noqa: SLF001
            batches = accumulator._batches.get(place)  # noqa: SLF001
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
                    taken += 1
            finally:
                # Also where one of them is none that kafka-python can write: those before it are sent.
                if taken:
                    _await_batch(batch.produce_future, records[:taken], settle)
    finally:
        accumulator._appends_in_progress.decrement()  # noqa: SLF001
    return taken


def batch_of(sent: Any) -> Any:  # noqa: ANN401 (not typed)
    """Whatever was under way fails, often with the very error of the refused batch: only the future tells which."""
    return sent._produce_future  # noqa: SLF001


def _await_batch(batch: Any, ours: Sequence[RecordAmongOthers], settle: Settle) -> None:  # noqa: ANN401 (not typed)
    def fail(failure: BaseException) -> None:
        settle(ours, (-1, -1, lambda _index: failure))

    batch._add_cb_eb(partial(settle, ours), fail)  # noqa: SLF001 (it takes one lock for both)
