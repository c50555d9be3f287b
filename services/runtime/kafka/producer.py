"""Writing: idempotent, acknowledged by all, in transactions where asked for."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

from kafka import KafkaProducer

from services.runtime.kafka.options import client_options
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.records import Committed, Headers, Partition, Record, offsets_and_metadata
from services.runtime.settings import Settings


class Sent(Protocol):
    """An acknowledgement to come: `get` waits for it and raises KafkaError if the record is not on the log."""

    def get(self, timeout: float | None = None) -> Any: ...  # noqa: ANN401 (kafka-python's RecordMetadata)

    def add_callback(self, callback: Any) -> Any: ...  # noqa: ANN401

    def add_errback(self, errback: Any) -> Any: ...  # noqa: ANN401


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

    def copy(self, record: Record, target: Partition) -> Sent:
        """The same record again, its time and its headers included."""
        sent = self._client.send(
            target.topic,
            value=record.value,
            key=record.key,
            partition=target.number,
            headers=list(record.headers),
            timestamp_ms=record.timestamp_ms,
        )
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
            self._client.send_offsets_to_transaction(offsets_and_metadata(offsets), reader.group_metadata())
        self._client.commit_transaction()

    def abort(self) -> None:
        self._client.abort_transaction()

    def close(self, timeout: float = 15) -> None:
        self._client.close(timeout=timeout)
