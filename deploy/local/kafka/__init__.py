"""A single-node Apache Kafka in KRaft mode, run from jars that Maven resolves once."""

from deploy.local.kafka.broker import KafkaConfig, LocalKafka, StorageUnformattedError
from deploy.local.kafka.jars import JarsUnresolvedError, MissingToolError

__all__ = ["JarsUnresolvedError", "KafkaConfig", "LocalKafka", "MissingToolError", "StorageUnformattedError"]
