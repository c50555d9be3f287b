"""Typed doors to kafka-python, which is imported nowhere else."""

from kafka.errors import KafkaError

from services.runtime.kafka.admin import create_topics
from services.runtime.kafka.connecting import BrokerUnreachableError, await_broker, client_options
from services.runtime.kafka.producer import Producer
from services.runtime.kafka.reader import (
    WAITING_FETCH_MS,
    Reader,
    latest_by_key,
    open_reader,
    partition_count,
    read_partition,
    read_to_end,
)
from services.runtime.kafka.records import (
    Committed,
    Headers,
    OutgoingRecord,
    Partition,
    ProducerReplacedError,
    Record,
    RecordRefusedError,
    RecordTooLargeError,
    Sent,
    TopicSealedError,
    UnwritableRecordError,
    await_acknowledged,
    is_fenced,
    partition_of,
)
from services.runtime.kafka.sign_in import SignInError, tls_context

__all__ = [
    "WAITING_FETCH_MS",
    "BrokerUnreachableError",
    "Committed",
    "Headers",
    "KafkaError",
    "OutgoingRecord",
    "Partition",
    "Producer",
    "ProducerReplacedError",
    "Reader",
    "Record",
    "RecordRefusedError",
    "RecordTooLargeError",
    "Sent",
    "SignInError",
    "TopicSealedError",
    "UnwritableRecordError",
    "await_acknowledged",
    "await_broker",
    "client_options",
    "create_topics",
    "is_fenced",
    "latest_by_key",
    "open_reader",
    "partition_count",
    "partition_of",
    "read_partition",
    "read_to_end",
    "tls_context",
]
