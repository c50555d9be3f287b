"""Writing: idempotent, acknowledged by all, in transactions where asked for. No record stops the writing of others."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, cast

from kafka import KafkaProducer, TopicPartition
from kafka.errors import IllegalStateError, KafkaError, KafkaTimeoutError

from services.runtime import log
from services.runtime.kafka.options import ask_for_topics_at_once, client_options
from services.runtime.kafka.outgoing import (
    OF_AUTHORIZATION,
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

MOST_GATHERED = 100
"""Records that are handed to the client in one go: it takes half a millisecond, during which nothing else runs."""

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
        return SentTogether(self._check, self._append)

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
        self._check(outgoing)
        pending, client = PendingRecord(), self._client
        try:
            sent, is_awaited = _appended(client, outgoing)
        except IllegalStateError as closed:
            raise _replaced(closed) from closed
        if is_awaited:
            client._sender.wakeup()  # noqa: SLF001
        self._await(client, sent, Suspect(outgoing, pending))
        return pending

    def _check(self, outgoing: OutgoingRecord) -> None:
        """Raises as `send`."""
        self._limits.check(outgoing)
        if self._replacement is not None:
            raise ProducerReplacedError("the producer is being replaced after a refusal")

    def _append(self, records: Sequence["RecordAmongOthers"]) -> None:
        """Each hears what becomes of it. Those of one partition stay in their order."""
        client, by_partition = self._client, dict[tuple[str, int | None], list[RecordAmongOthers]]()
        for one in records:
            by_partition.setdefault((one.outgoing.topic, one.outgoing.partition), []).append(one)
        failure: BaseException = ProducerReplacedError("it could not be handed over")
        try:
            awaited = [self._append_to_partition(client, ours) for ours in by_partition.values()]
            if any(awaited):
                client._sender.wakeup()  # noqa: SLF001
        except IllegalStateError as closed:
            failure = _replaced(closed)
        except KafkaError as away:
            failure = away
        finally:
            for one in records:
                if one.batch is None:
                    one.fail(failure)

    def _append_to_partition(self, client: KafkaProducer, records: Sequence["RecordAmongOthers"]) -> bool:
        """Whether the client's thread has to hear of it."""
        at, is_awaited, settle = 0, False, partial(self._settle, client)
        while at < len(records):
            ours = _appended_to_open_batch(client, records[at:], settle)
            if ours:
                _await_batch(ours[0].batch, ours, settle)
                at += len(ours)
            if at < len(records):
                # The next one does not fit, or there is no open batch: kafka-python makes one.
                sent, is_new = _appended(client, records[at].outgoing)
                records[at].batch = batch_of(sent)
                self._await(client, sent, Suspect(records[at].outgoing, records[at]))
                at, is_awaited = at + 1, is_awaited or is_new
        return is_awaited

    def _settle(self, client: KafkaProducer, ours: Sequence["RecordAmongOthers"], result: Any) -> None:  # noqa: ANN401
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


def _appended(client: KafkaProducer, outgoing: OutgoingRecord) -> tuple[Any, bool]:
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


def _appended_to_open_batch(
    client: KafkaProducer, records: Sequence["RecordAmongOthers"], settle: "Settle"
) -> Sequence["RecordAmongOthers"]:
    """As many of these records, which are of one partition, as fit into the batch that gathers them now."""
    accumulator, first = client._accumulator, records[0].outgoing  # noqa: SLF001
    place, taken = TopicPartition(first.topic, first.partition), 0
    accumulator._appends_in_progress.increment()  # noqa: SLF001 (a client that closes waits for it)
    try:
        with accumulator._tp_lock(place):  # noqa: SLF001
            batches = accumulator._batches.get(place)  # noqa: SLF001
            if not batches or accumulator._closed:  # noqa: SLF001
                return ()
            batch = batches[-1]
            append, awaiting = batch.records.append, batch._record_futures.append  # noqa: SLF001
            for one in records:
                outgoing = one.outgoing
                found = append(outgoing.timestamp_ms, outgoing.key, outgoing.value, outgoing.headers)
                if found is None:
                    break
                one.batch, one.index, one.settle = batch.produce_future, found.offset, settle
                awaiting(one)
                taken += 1
    finally:
        accumulator._appends_in_progress.decrement()  # noqa: SLF001
    return records[:taken]


Settle = Callable[[Sequence["RecordAmongOthers"], Any], None]
"""Is given records of one batch, and what kafka-python says of the batch."""


def _await_batch(batch: Any, ours: Sequence["RecordAmongOthers"], settle: Settle) -> None:  # noqa: ANN401
    def fail(failure: BaseException) -> None:
        settle(ours, (-1, -1, lambda _index: failure))

    batch._add_cb_eb(partial(settle, ours), fail)  # noqa: SLF001 (it takes one lock for both)


class RecordAmongOthers:
    """One of those that are handed over together, where kafka-python has a future in its batch. Thin: there is one for
    each record."""

    __slots__ = ("among", "batch", "index", "outgoing", "place", "settle")
    index: int
    settle: Settle

    def __init__(self, outgoing: OutgoingRecord, among: "SentTogether", place: int) -> None:
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


class SentTogether:
    """Many records that are waited for as one. `written` completes, on the client's thread, when it is known of all
    what became of them. It fails with an UnwritableRecordError if one of them can never be written, else with the first
    failure; `failures` then tells which are not on the log, and why, by their places in the order in which they were
    sent. All others are. One thread sends."""

    def __init__(
        self, check: Callable[[OutgoingRecord], None], append: Callable[[Sequence[RecordAmongOthers]], None]
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
        self.hand_over()
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


def batch_of(sent: Any) -> Any:  # noqa: ANN401 (not typed)
    """Whatever was under way fails, often with the very error of the refused batch: only the future tells which."""
    return sent._produce_future  # noqa: SLF001


def _refusal_of(client: KafkaProducer) -> Exception | None:
    """What has made it useless: from then on it fails whatever it is given. There is no public word for it."""
    manager = client._transaction_manager  # noqa: SLF001
    return manager.last_error if manager is not None and manager.has_fatal_error() else None
