"""The producer: idempotent, acks=all, optionally transactional. A refused record does not block others."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from kafka import KafkaProducer
from kafka.errors import IllegalStateError, KafkaError, KafkaTimeoutError

from services.runtime import log
from services.runtime.kafka.connecting import client_options, load_metadata, renew_producer_id, request_metadata_at_once
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.records import (
    AUTHORIZATION_ERRORS,
    Committed,
    Headers,
    OutgoingRecord,
    Partition,
    PendingRecord,
    ProducerReplacedError,
    Record,
    Sent,
    offsets_and_metadata,
)
from services.runtime.kafka.replacement import Replacement, Suspect, refusal_of, replaced_error
from services.runtime.kafka.write_group import (
    GroupedRecord,
    TopicLimits,
    WriteGroup,
    append_record,
    append_to_open_batch,
    batch_of,
    missing_topic_error,
)
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields

TRANSACTION_SECONDS = 60.0
"""By default the broker itself aborts a transaction after this long."""

AvailabilityListener = Callable[[str | None], None]
"""Called with the reason when nothing can be written for now, and with None when writing works again."""


class Producer:
    """An idempotent producer, acks=all: a record is on the log when its `Sent.get` returns.

    A record that cannot be written fails with UnwritableRecordError: in `send` if it is too large, otherwise when the
    broker has refused it alone. After any refusal kafka-python's producer is unusable and is replaced. Meanwhile `send`
    raises ProducerReplacedError, the records of the refused batch are resent one by one, and all other pending records
    fail with a KafkaError. Their senders send them again, so they may be duplicated.

    With a transactional id, `start_transactions` fences the predecessor under the same id, the producer is never
    replaced, and every failure ends the transaction."""

    def __init__(
        self,
        settings: Settings,
        transactional_id: str | None = None,
        on_availability: AvailabilityListener = lambda _: None,
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
            # With the default of 100 ms every transaction would wait that long.
            "retry_backoff_ms": 5 if transactional_id else 100,
        }
        self._settings, self._options, self._on_availability = settings, defaults | options, on_availability
        self._limits = TopicLimits(settings, self._options["max_request_size"])
        self._is_transactional = transactional_id is not None
        self._preloaded = set[str]()
        self._lock = threading.Lock()
        self._client = self._connect()
        self._replacement: Replacement | None = None
        self._is_unconfirmed = False
        self._first_failure: BaseException | None = None

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

    def write_group(self) -> WriteGroup:
        """Open a group of records that share one future. Not in transactions. For topics that were passed to `preload`
        it never blocks, as an event loop needs it. If one of the topics has been deleted, its records fail at once and
        delay no others."""
        return WriteGroup(self._check_preloaded, self._append)

    def preload(self, topics: Collection[str]) -> None:
        """Fetch the partitions and limits of the topics, so that later sends do not block. Raises KafkaError as
        `partitions`."""
        for topic in topics:
            self.partitions(topic)
        self._limits.preload(topics)
        self._preloaded.update(topics)

    def copy(self, record: Record, target: Partition) -> Sent:
        """Write the record again, with its timestamp and headers. Raises as `send`."""
        headers, time = list(record.headers), record.timestamp_ms
        return self._send(OutgoingRecord(target.topic, record.value, record.key, headers, target.number, time))

    def partitions(self, topic: str) -> list[int]:
        """Raises KafkaError when the topic does not exist or the broker is unavailable."""
        try:
            return sorted(self._client.partitions_for(topic) or ())
        except KafkaTimeoutError as unknown:
            words = f"there is no topic {topic}, or the broker does not answer: run `rapport topics create`"
            raise KafkaError(words) from unknown

    def flush(self, timeout: float = 15) -> None:
        """Raises KafkaError when records are still in flight after `timeout` seconds."""
        replacement = self._replacement
        if replacement is not None and not replacement.wait(timeout):
            raise KafkaTimeoutError(f"the producer is being replaced for more than {timeout} s")
        self._client.flush(timeout=timeout)

    def start_transactions(self) -> None:
        self._client.init_transactions()

    def begin(self) -> None:
        with self._naming_the_cause():
            self._client.begin_transaction()

    def commit(self, offsets: Mapping[Partition, Committed], reader: "Reader") -> None:
        """Commit the records sent since `begin` together with the offsets of their input. After a KafkaError it may be
        unknown whether the transaction was committed, and this producer is unusable."""
        manager = self._client._transaction_manager  # noqa: SLF001
        with self._naming_the_cause():
            if offsets:
                arguments = offsets_and_metadata(offsets), reader.group_metadata()
                self._await_result(manager.send_offsets_to_transaction(*arguments), "the offsets of a transaction")
            self._await_result(manager.begin_commit(), "a transaction")

    @contextmanager
    def _naming_the_cause(self) -> Iterator[None]:
        """Where a step fails because an earlier one did, kafka-python keeps the text of its cause at most."""
        try:
            yield
        except KafkaError as failure:
            cause = refusal_of(self._client) or self._first_failure
            if failure.__cause__ is not None or cause is failure:
                raise
            raise failure from cause

    def _await_result(self, result: Any, what: str) -> None:  # noqa: ANN401 (kafka-python's TransactionalRequestResult)
        """Wait with a timeout; kafka-python's own methods wait without end."""
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
        request_metadata_at_once(client._metadata)  # noqa: SLF001 (there is no public way)
        renew_producer_id(client._transaction_manager)  # noqa: SLF001
        load_metadata(client, tuple(self._preloaded))  # a copy: other threads add to it
        return client

    def _send(self, outgoing: OutgoingRecord) -> Sent:
        if self._is_transactional:
            self._limits.check(outgoing)
            with self._naming_the_cause():
                sent = self._client.send(*outgoing)
            sent.add_errback(self._note_failure)
            return cast("Sent", sent)
        self._check(outgoing)
        pending, client = PendingRecord(), self._client
        try:
            sent, is_awaited = append_record(client, outgoing)
        except IllegalStateError as closed:
            raise replaced_error(closed) from closed
        if is_awaited:
            client._sender.wakeup()  # noqa: SLF001
        self._await(client, sent, Suspect(outgoing, pending))
        return pending

    def _note_failure(self, failure: BaseException) -> None:
        """Of a record in a transaction: nothing succeeds any more."""
        self._first_failure = self._first_failure or failure

    def _check_preloaded(self, outgoing: OutgoingRecord) -> None:
        """Raises as `send`."""
        if outgoing.topic not in self._preloaded:
            self.preload([outgoing.topic])
        self._check(outgoing)

    def _check(self, outgoing: OutgoingRecord) -> None:
        """Raises as `send`."""
        self._limits.check(outgoing)
        if (replacement := self._replacement) is not None:
            raise replaced_error(replacement.refusal)

    def _append(self, records: Sequence[GroupedRecord]) -> None:
        """Append the records; each receives its outcome. Records of one partition keep their order."""
        client, by_partition = self._client, dict[tuple[str, int | None], list[GroupedRecord]]()
        for one in records:
            by_partition.setdefault((one.outgoing.topic, one.outgoing.partition), []).append(one)
        failure: BaseException = ProducerReplacedError("it could not be handed over")
        is_awaited, absent = True, dict[str, KafkaError | None]()
        try:
            # Records of a missing topic fail on their own and do not affect the others.
            absent = {topic: missing_topic_error(client, topic) for topic, _ in by_partition}
            awaited = [
                self._append_to_partition(client, ours)
                for (topic, _), ours in by_partition.items()
                if absent[topic] is None
            ]
            is_awaited = any(awaited)
        except IllegalStateError as closed:
            failure = replaced_error(closed)
        except KafkaError as away:
            failure = away
        finally:
            # Also if only some were appended: without a wake-up they would stay there until they expire.
            if is_awaited:
                client._sender.wakeup()  # noqa: SLF001
            for one in records:
                if one.batch is None:
                    one.fail(absent.get(one.outgoing.topic) or failure)

    def _append_to_partition(self, client: KafkaProducer, records: Sequence[GroupedRecord]) -> bool:
        """Return whether the client's thread must be woken."""
        at, is_awaited, settle = 0, False, partial(self._settle, client)
        while at < len(records):
            at += append_to_open_batch(client, records[at:], settle)
            if at < len(records):
                # The record does not fit, or there is no open batch: kafka-python creates one.
                sent, is_new = append_record(client, records[at].outgoing)
                records[at].batch = batch_of(sent)
                self._await(client, sent, Suspect(records[at].outgoing, records[at]))
                at, is_awaited = at + 1, is_awaited or is_new
        return is_awaited

    def _settle(self, client: KafkaProducer, ours: Sequence[GroupedRecord], result: Any) -> None:  # noqa: ANN401
        """Settle all records of one batch that were appended together, on the client's thread. A future with callbacks
        for each record would take as long as sending it."""
        _offset, _timestamp_ms, failure_of = result
        if failure_of is None:
            self._succeeded(client)
            ours[0].group.succeed(len(ours))
        else:
            for one in ours:
                self._failed(client, one.batch, Suspect(one.outgoing, one), failure_of(one.index))

    def _await(self, client: KafkaProducer, sent: Any, suspect: Suspect) -> None:  # noqa: ANN401
        """Settle one record through kafka-python's own future."""

        def succeed(metadata: Any) -> None:  # noqa: ANN401
            self._succeeded(client)
            suspect.listener.succeed(metadata)

        sent.add_callback(succeed)
        # The batch is looked up after the failure: a batch that is too large for its topic is split.
        sent.add_errback(lambda failure: self._failed(client, batch_of(sent), suspect, failure))

    def _succeeded(self, client: KafkaProducer) -> None:
        """After an authorization failure, only a written record proves that writing works again."""
        if self._is_unconfirmed and client is self._client and self._replacement is None:
            self._is_unconfirmed = False
            self._report_availability(None)

    def _failed(self, client: KafkaProducer, batch: object, suspect: Suspect, failure: BaseException) -> None:
        """Runs on the thread of the failed client, for each of its records."""
        refusal = refusal_of(client)
        if refusal is None:
            suspect.listener.fail(failure)
            return
        with self._lock:
            if self._replacement is None and self._client is client:
                self._replacement = self._start_replacing(client, refusal)
            replacement = self._replacement
        if replacement is None or not replacement.accepts(client, batch, suspect):
            suspect.listener.fail(replaced_error(refusal))

    def _start_replacing(self, client: KafkaProducer, refusal: Exception) -> Replacement:
        self._is_unconfirmed = isinstance(refusal, AUTHORIZATION_ERRORS)
        self._report_availability(f"the producer is being replaced: {refusal}")
        replacement = Replacement(client, refusal, self._connect, self._limits)
        threading.Thread(target=self._replace, args=(replacement,), name="producer-replacement", daemon=True).start()
        return replacement

    def _replace(self, replacement: Replacement) -> None:
        client = replacement.run()
        with self._lock:
            self._client, self._replacement = client or self._client, None
        if client is not None and not self._is_unconfirmed:
            self._report_availability(None)
        replacement.end()

    def _report_availability(self, why: str | None) -> None:
        """Runs on threads that settle records: an error of the listener must not end them."""
        try:
            self._on_availability(why)
        except Exception as failure:  # noqa: BLE001 (the listener's error does not concern the records)
            log.get(__name__).error("producer_trouble_not_told", **error_fields(failure))
