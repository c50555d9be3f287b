"""Typed doors to kafka-python: records, producers, group readers, compacted topics read to their end, topics."""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError

from services.runtime.settings import Settings

__all__ = ["KafkaError"]

Headers = Sequence[tuple[str, bytes]]
COORDINATOR_WITHIN = 30
"""Seconds a broker may take to be ready for consumer groups."""


@dataclass(frozen=True, order=True)
class Partition:
    topic: str
    number: int


@dataclass(frozen=True)
class Record:
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


class Sent(Protocol):
    """An acknowledgement to come: `get` waits for it and raises KafkaError if the record is not on the log."""

    def get(self, timeout: float | None = None) -> Any: ...  # noqa: ANN401 (kafka-python's RecordMetadata)

    def add_callback(self, callback: Any) -> Any: ...  # noqa: ANN401

    def add_errback(self, errback: Any) -> Any: ...  # noqa: ANN401


def client_options(settings: Settings) -> dict[str, Any]:
    """Addresses and credentials, the same for every kafka-python client."""
    password = settings.kafka_sasl_password
    return {
        "bootstrap_servers": settings.kafka.split(","),
        "client_id": f"rapport-{socket.gethostname()}",
        "security_protocol": settings.kafka_security_protocol,
        "ssl_cafile": settings.kafka_ssl_cafile,
        "ssl_certfile": settings.kafka_ssl_certfile,
        "ssl_keyfile": settings.kafka_ssl_keyfile,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }


class Producer:
    """An idempotent producer, acks=all: a record is on the log when its `Sent.get` returns.
    With a transactional id, its predecessor under the same id is fenced when `start_transactions` returns."""

    def __init__(self, settings: Settings, transactional_id: str | None = None, **options: Any) -> None:  # noqa: ANN401
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
        self._client = KafkaProducer(**(client_options(settings) | defaults | options))

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: Headers = (),
    ) -> Sent:
        sent = self._client.send(topic, value=value, key=key, partition=partition, headers=list(headers))
        return cast("Sent", sent)

    def partitions(self, topic: str) -> list[int]:
        """Raises KafkaError when the topic does not exist or the broker is away."""
        return sorted(self._client.partitions_for(topic) or ())

    def flush(self, timeout: float = 15) -> None:
        self._client.flush(timeout=timeout)

    def start_transactions(self) -> None:
        self._client.init_transactions()

    def begin(self) -> None:
        self._client.begin_transaction()

    def commit(self, offsets: Mapping[Partition, Committed], reader: "Reader") -> None:
        """Commits the records sent since `begin` together with the offsets of their input."""
        if offsets:
            self._client.send_offsets_to_transaction(_offsets(offsets), reader.group_metadata())
        self._client.commit_transaction()

    def abort(self) -> None:
        self._client.abort_transaction()

    def close(self, timeout: float = 15) -> None:
        self._client.close(timeout=timeout)


class Reader:
    """A consumer that commits by hand, for one thread. With `assign` it reads what it is told and shares with nobody;
    with `subscribe` it is a member of its group."""

    def __init__(self, settings: Settings, group: str, **options: Any) -> None:  # noqa: ANN401
        defaults: dict[str, Any] = {
            "group_id": group,
            "group_instance_id": f"{group}-{settings.instance}" if settings.instance and group else None,
            # So long the partitions of a dead member wait for it; under an instance name it takes them up at once.
            "session_timeout_ms": 10_000,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_poll_records": 5_000,
            "fetch_max_wait_ms": 100,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
        }
        self._client = KafkaConsumer(**(client_options(settings) | defaults | options))

    def subscribe(self, topics: Sequence[str]) -> None:
        self._client.subscribe(list(topics))

    def assign(self, topics: Sequence[str]) -> list[Partition]:
        """Takes every partition of the topics. Raises KafkaError if one does not exist."""
        partitions = [Partition(t, n) for t in topics for n in sorted(self._partition_numbers(t))]
        self._client.assign([TopicPartition(p.topic, p.number) for p in partitions])
        return partitions

    def _partition_numbers(self, topic: str) -> set[int]:
        numbers = self._client.partitions_for_topic(topic)
        if not numbers:
            raise KafkaError(f"there is no topic {topic}: run `rapport topics create`")
        return set(numbers)

    def assignment(self) -> set[Partition]:
        return {Partition(tp.topic, tp.partition) for tp in self._client.assignment()}

    def poll(self, timeout: float, most: int | None = None) -> dict[Partition, list[Record]]:
        """What has arrived, by partition, in offset order; empty after `timeout` seconds."""
        polled = self._client.poll(timeout_ms=round(timeout * 1000), max_records=most)
        return {Partition(tp.topic, tp.partition): [_record(r) for r in rs] for tp, rs in polled.items() if rs}

    def position(self, partition: Partition) -> int:
        return int(self._client.position(_topic_partition(partition)))

    def seek(self, partition: Partition, offset: int) -> None:
        self._client.seek(_topic_partition(partition), offset)

    def pause(self, partitions: Sequence[Partition]) -> None:
        self._client.pause(*map(_topic_partition, partitions))

    def resume(self, partitions: Sequence[Partition]) -> None:
        self._client.resume(*map(_topic_partition, partitions))

    def committed(self, partition: Partition) -> Committed | None:
        found = self._client.committed(_topic_partition(partition), metadata=True)
        return None if found is None else Committed(found.offset, found.metadata or "")

    def commit(self, offsets: Mapping[Partition, Committed]) -> bool:
        """False during a rebalance: afterwards the partitions are still ours, or their new owner repeats the work."""
        try:
            self._client.commit(_offsets(offsets), timeout_ms=15_000)
        except (CommitFailedError, RebalanceInProgressError):
            return False
        return True

    def end_offsets(self, partitions: Sequence[Partition], timeout: float = 15) -> dict[Partition, int]:
        found = self._client.end_offsets(list(map(_topic_partition, partitions)), timeout_ms=round(timeout * 1000))
        return {Partition(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def beginning_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        found = self._client.beginning_offsets(list(map(_topic_partition, partitions)), timeout_ms=15_000)
        return {Partition(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def lag(self) -> int:
        """Records between what was read and the end of the assigned partitions, as the last fetches told; before the
        first fetch the broker is asked."""
        assigned = self._client.assignment()
        ends = {tp: self._client.highwater(tp) for tp in assigned}
        unknown = [tp for tp, end in ends.items() if end is None]
        if unknown:
            ends |= self._client.end_offsets(unknown, timeout_ms=5_000)
        return sum(max(0, end - self._client.position(tp)) for tp, end in ends.items())

    def group_metadata(self) -> Any:  # noqa: ANN401 (kafka-python's own token for send_offsets_to_transaction)
        return self._client.group_metadata()

    def close(self) -> None:
        self._client.close(autocommit=False)


@contextmanager
def reading(settings: Settings, topics: Sequence[str], **options: Any) -> Iterator[Reader]:  # noqa: ANN401
    """A reader without a group, at the beginning of every partition of the topics."""
    reader = Reader(settings, group=None, **options)  # type: ignore[arg-type]
    try:
        partitions = reader.assign(topics)
        for partition, offset in reader.beginning_offsets(partitions).items():
            reader.seek(partition, offset)
        yield reader
    finally:
        reader.close()


def read_to_end(settings: Settings, topics: Sequence[str], **options: Any) -> Iterator[Record]:  # noqa: ANN401
    """Every record from the beginning up to the end as it is at the call, partition by partition as they arrive."""
    with reading(settings, topics, **options) as reader:
        ends = reader.end_offsets(sorted(reader.assignment()))
        while any(reader.position(partition) < end for partition, end in ends.items()):
            for partition, records in reader.poll(1.0).items():
                yield from (record for record in records if record.offset < ends[partition])


def create_topics(settings: Settings, topics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Creates what does not exist yet, {name: {num_partitions, replication_factor, configs}}; returns the new names.
    Then consumer groups can be joined: a new broker makes the topic of their offsets at the first question."""
    admin = KafkaAdminClient(**client_options(settings))
    try:
        there = set(admin.list_topics())
        missing = {name: dict(options) for name, options in topics.items() if name not in there}
        if missing:
            admin.create_topics(missing, timeout_ms=30_000, wait_for_metadata=True)
        _await_coordinator(admin)
        return sorted(missing)
    finally:
        admin.close()


def _await_coordinator(admin: KafkaAdminClient) -> None:
    deadline = time.monotonic() + COORDINATOR_WITHIN
    while True:
        try:
            admin.list_group_offsets("rapport")
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _record(r: Any) -> Record:  # noqa: ANN401
    return Record(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers), r.timestamp)


def _topic_partition(partition: Partition) -> Any:  # noqa: ANN401
    return TopicPartition(partition.topic, partition.number)


def _offsets(offsets: Mapping[Partition, Committed]) -> dict[Any, Any]:
    # Leader epoch -1: unknown; kafka-python's None is refused by the broker's protocol.
    return {_topic_partition(p): OffsetAndMetadata(c.offset, c.metadata, -1) for p, c in offsets.items()}
