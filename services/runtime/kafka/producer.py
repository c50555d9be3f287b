"""Writing: idempotent, acknowledged by all, in transactions where asked for. No record stops the writing of others."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

from kafka import KafkaProducer
from kafka.errors import IllegalStateError, KafkaError, KafkaTimeoutError

from services.runtime import log
from services.runtime.kafka.connecting import ask_for_another_id, ask_for_topics_at_once, client_options
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.records import (
    OF_AUTHORIZATION,
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
from services.runtime.kafka.replacement import Replacement, Suspect
from services.runtime.kafka.together import (
    RecordAmongOthers,
    SentTogether,
    TopicLimits,
    absence,
    append_to_open_batch,
    appended,
    batch_of,
)
from services.runtime.settings import Settings
from services.runtime.unexpected import described

TRANSACTION_SECONDS = 60.0
"""By default the broker itself gives up a transaction after so long."""

Trouble = Callable[[str | None], None]
"""Is told why nothing can be written for now, and None when it can be again."""


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
        self._known = set[str]()
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

    def together(self) -> SentTogether:
        """For many records that are waited for as one. Not in transactions. Where `know` was called of their topics it
        waits for nothing, as an event loop needs it: a topic that is not there any more fails its own records at once,
        and delays no others."""
        return SentTogether(self._check_known, self._append)

    def know(self, topics: Collection[str]) -> None:
        """Waits for their partitions and limits, so that nobody does who sends to them. Raises KafkaError as
        `partitions`."""
        for topic in topics:
            self.partitions(topic)
        self._limits.know(topics)
        self._known.update(topics)

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
        ask_for_another_id(client._transaction_manager)  # noqa: SLF001
        # In place of another one: those who send together do not wait for what it does not know. One question tells of
        # all topics.
        known = tuple(self._known)  # of other threads, which add to it meanwhile
        for topic in known:
            client._sender.add_topic(topic)  # noqa: SLF001
        if known:
            with suppress(KafkaError):
                client.partitions_for(known[0])
        return client

    def _send(self, outgoing: OutgoingRecord) -> Sent:
        if self._is_transactional:
            self._limits.check(outgoing)
            return cast("Sent", self._client.send(*outgoing))
        self._check(outgoing)
        pending, client = PendingRecord(), self._client
        try:
            sent, is_awaited = appended(client, outgoing)
        except IllegalStateError as closed:
            raise _replaced(closed) from closed
        if is_awaited:
            client._sender.wakeup()  # noqa: SLF001
        self._await(client, sent, Suspect(outgoing, pending))
        return pending

    def _check_known(self, outgoing: OutgoingRecord) -> None:
        """Raises as `send`."""
        if outgoing.topic not in self._known:
            self.know([outgoing.topic])
        self._check(outgoing)

    def _check(self, outgoing: OutgoingRecord) -> None:
        """Raises as `send`."""
        self._limits.check(outgoing)
        if self._replacement is not None:
            raise ProducerReplacedError("the producer is being replaced after a refusal")

    def _append(self, records: Sequence[RecordAmongOthers]) -> None:
        """Each hears what becomes of it. Those of one partition stay in their order."""
        client, by_partition = self._client, dict[tuple[str, int | None], list[RecordAmongOthers]]()
        for one in records:
            by_partition.setdefault((one.outgoing.topic, one.outgoing.partition), []).append(one)
        failure: BaseException = ProducerReplacedError("it could not be handed over")
        is_awaited, absent = True, dict[str, KafkaError | None]()
        try:
            # Those of a topic that is not there fail by themselves, whatever they are handed over with.
            absent = {topic: absence(client, topic) for topic, _ in by_partition}
            awaited = [
                self._append_to_partition(client, ours)
                for (topic, _), ours in by_partition.items()
                if absent[topic] is None
            ]
            is_awaited = any(awaited)
        except IllegalStateError as closed:
            failure = _replaced(closed)
        except KafkaError as away:
            failure = away
        finally:
            # Also where only some were handed over: those would lie there until they expire.
            if is_awaited:
                client._sender.wakeup()  # noqa: SLF001
            for one in records:
                if one.batch is None:
                    one.fail(absent.get(one.outgoing.topic) or failure)

    def _append_to_partition(self, client: KafkaProducer, records: Sequence[RecordAmongOthers]) -> bool:
        """Whether the client's thread has to hear of it."""
        at, is_awaited, settle = 0, False, partial(self._settle, client)
        while at < len(records):
            at += append_to_open_batch(client, records[at:], settle)
            if at < len(records):
                # The next one does not fit, or there is no open batch: kafka-python makes one.
                sent, is_new = appended(client, records[at].outgoing)
                records[at].batch = batch_of(sent)
                self._await(client, sent, Suspect(records[at].outgoing, records[at]))
                at, is_awaited = at + 1, is_awaited or is_new
        return is_awaited

    def _settle(self, client: KafkaProducer, ours: Sequence[RecordAmongOthers], result: Any) -> None:  # noqa: ANN401
        """Runs on the thread of the client, once for all of a batch that were handed over together: a future and
        callbacks for each of them would take as long as sending it."""
        _offset, _timestamp_ms, failure_of = result
        if failure_of is None:
            self._succeeded(client)
            ours[0].among.succeed(len(ours))
        else:
            for one in ours:
                self._failed(client, one.batch, Suspect(one.outgoing, one), failure_of(one.index))

    def _await(self, client: KafkaProducer, sent: Any, suspect: Suspect) -> None:  # noqa: ANN401
        """One record, by kafka-python's own future."""

        def succeed(metadata: Any) -> None:  # noqa: ANN401
            self._succeeded(client)
            suspect.awaited.succeed(metadata)

        sent.add_callback(succeed)
        # Its batch is asked for when it has failed: one that is too large for its topic is split.
        sent.add_errback(lambda failure: self._failed(client, batch_of(sent), suspect, failure))

    def _succeeded(self, client: KafkaProducer) -> None:
        """After a refusal of authorization only a record that gets through shows that all is well again."""
        if self._is_doubtful and client is self._client and self._replacement is None:
            self._is_doubtful = False
            self._tell_trouble(None)

    def _failed(self, client: KafkaProducer, batch: object, suspect: Suspect, failure: BaseException) -> None:
        """Runs on the thread of the client that has failed, for each of its records."""
        refusal = _refusal_of(client)
        if refusal is None:
            suspect.awaited.fail(failure)
            return
        with self._lock:
            if self._replacement is None and self._client is client:
                self._replacement = self._start_replacing(client, refusal)
            replacement = self._replacement
        if replacement is None or not replacement.takes(client, batch, suspect):
            suspect.awaited.fail(ProducerReplacedError(f"the producer was replaced meanwhile: {refusal}"))

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


def _replaced(closed: IllegalStateError) -> ProducerReplacedError:
    return ProducerReplacedError(f"the producer has been replaced: {closed}")


def _refusal_of(client: KafkaProducer) -> Exception | None:
    """What has made it useless: from then on it fails whatever it is given. There is no public word for it."""
    manager = client._transaction_manager  # noqa: SLF001
    return manager.last_error if manager is not None and manager.has_fatal_error() else None
