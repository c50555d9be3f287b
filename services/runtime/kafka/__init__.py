"""Typed doors to kafka-python, which is imported nowhere else."""

from kafka.errors import KafkaError

from services.runtime.kafka.one_partition import partition_count, partition_of
from services.runtime.kafka.options import client_options
from services.runtime.kafka.pending import Awaited, OutgoingRecord
from services.runtime.kafka.producer import Producer, Sent
from services.runtime.kafka.reader import Reader, read_partition, read_to_end, reading
from services.runtime.kafka.records import Committed, Headers, Partition, Record
from services.runtime.kafka.tls import SignInError, tls_context
from services.runtime.kafka.topics import create_topics
from services.runtime.kafka.unwritable import (
    ProducerReplacedError,
    RecordRefusedError,
    RecordTooLargeError,
    TopicSealedError,
    UnwritableRecordError,
)

__all__ = [
    "Awaited",
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
    "client_options",
    "create_topics",
    "partition_count",
    "partition_of",
    "read_partition",
    "read_to_end",
    "reading",
    "tls_context",
]
