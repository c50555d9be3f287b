"""Writing: idempotent, acknowledged by all, in transactions where asked for. No record stops the writing of others."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, cast

from kafka import KafkaProducer, TopicPartition
from kafka.errors import IllegalStateError, KafkaError, KafkaTimeoutError

from services.runtime import log
from services.runtime.kafka.options import ask_for_topics_at_once, client_options
from services.runtime.kafka.outgoing import (
    OF_AUTHORIZATION,
    Awaited,
    OutgoingRecord,
    PendingRecord,
    ProducerReplacedError,
    Sent,
    TopicLimits,
    UnwritableRecordError,
)
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.records import Committed, Headers, Partition, Record, offsets_and_metadata
from services.runtime.kafka.replacement import Replacement, Suspect
from services.runtime.settings import Settings
from services.runtime.unexpected import described

TRANSACTION_SECONDS = 60.0
"""By default the broker itself gives up a transaction after so long."""

Trouble = Callable[[str | None], None]
"""Is told why nothing can be written for now, and None when it can be again."""


class HandedOver(NamedTuple):
    """A record that kafka-python has, its future there, and the client that has it."""

    outgoing: OutgoingRecord
    sent: Any
    client: KafkaProducer


class Producer:
    """An idempotent producer, acks=all: a record is on the log when its `Sent.get` returns.

    A record that cannot be written fails with UnwritableRecordError: when it is sent, if it is too large, else when the
    broker has refused it alone. kafka-python's own producer is of no use any more after any refusal: it is replaced.
    Meanwhile `send` raises ProducerReplacedError, what shared a batch with the refused record is sent again alone, and
    whatever else was under way fails with a KafkaError, for its sender to send again: it may come twice.

    With a transactional id its predecessor under the same id is fenced when `start_transactions` returns, nothing is
    replaced, and every failure ends the transaction."""

    def __init__(
        self,
        settings: Settings,
        transactional_id: str | None = None,
        trouble: Trouble = lambda _: None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        defaults: dict[str, Any] = {
            "acks": "all",
            "enable_idempotence": True,
            "transactional_id": transactional_id,
            "compression_type": "lz4",
            "linger_ms": 5,
            "batch_size": 256 * 1024,
            "max_request_size": 2 * 1024 * 1024,
            "delivery_timeout_ms": 15_000,
            "request_timeout_ms": 10_000,
            "max_block_ms": 10_000,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            # The default of 100 ms is a wait inside every transaction.
            "retry_backoff_ms": 5 if transactional_id else 100,
        }
        self._settings, self._options, self._trouble = settings, defaults | options, trouble
        self._limits = TopicLimits(settings, self._options["max_request_size"])
        self._is_transactional = transactional_id is not None
        self._lock = threading.Lock()
        self._client = self._connect()
        self._replacement: Replacement | None = None
        self._is_doubtful = False

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: Headers = (),
    ) -> Sent:
        """Raises RecordTooLargeError, and KafkaError when nothing can be written for now."""
        return self._send(OutgoingRecord(topic, value, key, list(headers), partition))

    def together(self) -> "SentTogether":
        """For many records that are waited for as one. Not in transactions."""
        return SentTogether(self.hand_over, self.failed)

    def copy(self, record: Record, target: Partition) -> Sent:
        """The same record again, its time and its headers included. Raises as `send`."""
        headers, time = list(record.headers), record.timestamp_ms
        return self._send(OutgoingRecord(target.topic, record.value, record.key, headers, target.number, time))

    def partitions(self, topic: str) -> list[int]:
        """Raises KafkaError when the topic does not exist or the broker is away."""
        try:
            return sorted(self._client.partitions_for(topic) or ())
        except KafkaTimeoutError as unknown:
            words = f"there is no topic {topic}, or the broker does not answer: run `rapport topics create`"
            raise KafkaError(words) from unknown

    def flush(self, timeout: float = 15) -> None:
        """Raises KafkaError when something is still under way."""
        replacement = self._replacement
        if replacement is not None and not replacement.wait(timeout):
            raise KafkaTimeoutError(f"the producer is being replaced for more than {timeout} s")
        self._client.flush(timeout=timeout)

    def start_transactions(self) -> None:
        self._client.init_transactions()

    def begin(self) -> None:
        self._client.begin_transaction()

    def commit(self, offsets: Mapping[Partition, Committed], reader: "Reader") -> None:
        """Commits the records sent since `begin` together with the offsets of their input. Raises KafkaError: whether
        it was committed may be unknown, and this producer is of no further use."""
        manager = self._client._transaction_manager  # noqa: SLF001
        if offsets:
            told = offsets_and_metadata(offsets), reader.group_metadata()
            self._settled(manager.send_offsets_to_transaction(*told), "the offsets of a transaction")
        self._settled(manager.begin_commit(), "a transaction")

    def _settled(self, result: Any, what: str) -> None:  # noqa: ANN401 (kafka-python's TransactionalRequestResult)
        """As kafka-python's own methods, which wait without end."""
        self._client._sender.wakeup()  # noqa: SLF001
        if not result.wait(timeout_ms=round(TRANSACTION_SECONDS * 1000)):
            raise KafkaTimeoutError(f"the broker has not taken {what} within {TRANSACTION_SECONDS:g} s")

    def close(self, timeout: float = 15) -> None:
        replacement = self._replacement
        if replacement is not None:
            replacement.stop()
            replacement.wait(timeout)
        self._client.close(timeout=timeout)

    def _connect(self) -> KafkaProducer:
        client = KafkaProducer(**(client_options(self._settings) | self._options))
        ask_for_topics_at_once(client._metadata)  # noqa: SLF001 (there is no public way)
        return client

    def _send(self, outgoing: OutgoingRecord) -> Sent:
        if self._is_transactional:
            self._limits.check(outgoing)
            return cast("Sent", self._client.send(*outgoing))
        pending, handed = PendingRecord(), self.hand_over(outgoing)
        handed.sent.add_callback(pending.succeed)
        handed.sent.add_errback(lambda _: self.failed(handed, pending))
        return pending

    def hand_over(self, outgoing: OutgoingRecord) -> HandedOver:
        """To kafka-python; whoever calls looks after what becomes of it. Raises as `send`."""
        self._limits.check(outgoing)
        client = self._client
        if self._replacement is not None:
            raise ProducerReplacedError("the producer is being replaced after a refusal")
        try:
            sent = _appended(client, outgoing)
        except IllegalStateError as closed:
            raise ProducerReplacedError(f"the producer has been replaced: {closed}") from closed
        if self._is_doubtful:
            sent.add_callback(self._succeeded)
        return HandedOver(outgoing, sent, client)

    def _succeeded(self, _: object) -> None:
        """After a refusal of authorization only a record that gets through shows that all is well again."""
        if self._is_doubtful:
            self._is_doubtful = False
            self._tell_trouble(None)

    def failed(self, handed: HandedOver, awaited: Awaited) -> None:
        """Runs on the thread of the client that has failed, for each of its records."""
        outgoing, sent, client = handed
        refusal = _refusal_of(client)
        if refusal is None:
            awaited.fail(sent.exception)
            return
        with self._lock:
            if self._replacement is None and self._client is client:
                self._replacement = self._start_replacing(client, refusal)
            replacement = self._replacement
        if replacement is None or not replacement.takes(client, batch_of(sent), Suspect(outgoing, awaited)):
            awaited.fail(ProducerReplacedError(f"the producer was replaced meanwhile: {refusal}"))

    def _start_replacing(self, client: KafkaProducer, refusal: Exception) -> Replacement:
        self._is_doubtful = isinstance(refusal, OF_AUTHORIZATION)
        self._tell_trouble(f"the producer is being replaced: {refusal}")
        replacement = Replacement(client, refusal, self._connect, self._limits)
        threading.Thread(target=self._replace, args=(replacement,), name="producer-replacement", daemon=True).start()
        return replacement

    def _replace(self, replacement: Replacement) -> None:
        client = replacement.run()
        with self._lock:
            self._client, self._replacement = client or self._client, None
        if client is not None and not self._is_doubtful:
            self._tell_trouble(None)
        replacement.end()

    def _tell_trouble(self, why: str | None) -> None:
        """On threads that settle records, which an error of who listens would end: nobody would hear of those."""
        try:
            self._trouble(why)
        except Exception as failure:  # noqa: BLE001 (whatever it is, it has nothing to do with what is written)
            log.get(__name__).error("producer_trouble_not_told", **described(failure))


def _appended(client: KafkaProducer, outgoing: OutgoingRecord) -> Any:  # noqa: ANN401 (kafka-python's future)
    """As `KafkaProducer.send` of a record whose partition is given. Two fifths of that go into looking once more
    whether all of it is bytes, and small enough, which is known here; no other call for an event costs as much."""
    topic, value, key, headers, number, timestamp_ms = outgoing
    # What a new client does not know yet it asks for, and waits.
    if number is None or number not in (client._metadata.partitions_for_topic(topic) or ()):  # noqa: SLF001
        return client.send(*outgoing)
    place = TopicPartition(topic, number)
    sent, is_full, is_new, _ = client._accumulator.append(place, timestamp_ms, key, value, headers)  # noqa: SLF001
    if is_full or is_new:
        client._sender.wakeup()  # noqa: SLF001
    return sent


class SentTogether:
    """One future for many records: `written` completes, on the client's thread, when all are on the log, and fails with
    an UnwritableRecordError if one of them can never be, else with the first failure: what is under way elsewhere fails
    before the refused record is found, and who sent all of it again would meet the same for ever. Of each batch only
    the last of them is waited for: a future or a callback for every record would take as long as sending it. One
    thread sends."""

    def __init__(
        self, hand_over: Callable[[OutgoingRecord], HandedOver], failed: Callable[[HandedOver, Awaited], None]
    ) -> None:
        self.written: Future[None] = Future()
        self.written.set_running_or_notify_cancel()  # a waiter that gives up cannot cancel it under our hands
        self._hand_over, self._failed = hand_over, failed
        self._handed: list[HandedOver] = []
        self._left, self._lock = 1, threading.Lock()
        self._failure: BaseException | None = None

    def send(self, outgoing: OutgoingRecord) -> None:
        """Raises as `Producer.send`; what was sent before is waited for nevertheless."""
        self._handed.append(self._hand_over(outgoing))

    def look_after(self) -> None:
        """What was sent until now is waited for from here on. Whoever makes a break calls it: of a batch that is
        refused while nobody looks, nobody would be told which record is at fault, and who sends all of it again would
        meet the same for ever."""
        handed, self._handed = self._handed, []
        with self._lock:
            self._left += len(handed)
        batches: dict[Any, list[HandedOver]] = {}
        for one in handed:
            batches.setdefault(batch_of(one.sent), []).append(one)
        for ours in batches.values():
            self._await(ours)

    def close(self) -> None:
        """Nothing more is sent. Until then `written` is open, even without any record."""
        self.look_after()
        self._count(1)

    def succeed(self, _: object) -> None:
        self._count(1)

    def fail(self, failure: BaseException) -> None:
        if self._failure is None or isinstance(failure, UnwritableRecordError):
            self._failure = failure
        self._count(1)

    def _await(self, ours: list[HandedOver]) -> None:
        """A batch settles its records in their order."""
        settle = partial(self._settle, ours)
        ours[-1].sent.add_callback(settle)
        ours[-1].sent.add_errback(settle)

    def _settle(self, ours: list[HandedOver], _: object) -> None:
        succeeded = 0
        for one in ours:
            if not one.sent.is_done:
                self._await([one])  # its batch was too large, and was split
            elif one.sent.exception is None:
                succeeded += 1
            else:
                self._failed(one, self)
        self._count(succeeded)

    def _count(self, settled: int) -> None:
        with self._lock:
            self._left -= settled
            last = settled and self._left == 0
        if last and self._failure is None:
            self.written.set_result(None)
        elif last:
            self.written.set_exception(self._failure)


def batch_of(sent: Any) -> Any:  # noqa: ANN401 (not typed)
    """Whatever was under way fails, often with the very error of the refused batch: only the future tells which."""
    return sent._produce_future  # noqa: SLF001


def _refusal_of(client: KafkaProducer) -> Exception | None:
    """What has made it useless: from then on it fails whatever it is given. There is no public word for it."""
    manager = client._transaction_manager  # noqa: SLF001
    return manager.last_error if manager is not None and manager.has_fatal_error() else None
