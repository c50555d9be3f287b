"""How large a record may be: known before it is sent, since a broker that refuses one ends kafka-python's producer."""

import threading
import time

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError
from kafka.record.default_records import DefaultRecordBatchBuilder

from services.runtime import log
from services.runtime.kafka.options import client_options
from services.runtime.kafka.pending import OutgoingRecord
from services.runtime.kafka.unwritable import RecordTooLargeError, TopicSealedError
from services.runtime.settings import Settings

OPTION = "max.message.bytes"
# What Kafka takes unless it is told otherwise; assumed where we may not ask the broker.
USUAL_LIMIT = 1_048_588
REFRESH_SECONDS = 60.0
# On the caller's thread, which may be that of an event loop.
ASK_SECONDS = 2.0


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
            limit = self._ask(outgoing.topic)
        elif time.monotonic() >= self._refresh_at:
            self._refresh_aside()
        if limit == 0:
            raise TopicSealedError(f"{outgoing.topic} is sealed")
        limit = min(limit, self._most)
        # Counting the bytes exactly takes half as long as sending: of what is clearly small it is not worth it.
        if _at_most(outgoing) > limit and (size := record_size(outgoing)) > limit:
            raise RecordTooLargeError(outgoing.topic, size, limit)

    def refresh(self) -> None:
        """Raises KafkaError."""
        self._refresh_at = time.monotonic() + REFRESH_SECONDS
        for topic in list(self._limits):
            self._ask(topic)

    def is_sealed(self, topic: str) -> bool:
        return self._limits.get(topic) == 0

    def _refresh_aside(self) -> None:
        with self._lock:
            if time.monotonic() < self._refresh_at:
                return
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        threading.Thread(target=self._refreshed, name="topic-limits", daemon=True).start()

    def _refreshed(self) -> None:
        try:
            self.refresh()
        except KafkaError as away:
            self._log.warning("topic_limits_not_refreshed", reason=str(away))

    def _ask(self, topic: str) -> int:
        timeout = round(ASK_SECONDS * 1000)
        options = client_options(self._settings) | {"request_timeout_ms": timeout, "bootstrap_timeout_ms": timeout}
        admin = KafkaAdminClient(**options)
        try:
            resource = ConfigResource(ConfigResourceType.TOPIC, topic, [OPTION])
            found = admin.describe_configs([resource], config_filter="all")["topic"].get(topic, {})
        finally:
            admin.close()
        # kafka-python leaves out what the broker refuses to tell: there is no such topic, or DescribeConfigs is denied.
        limit = int(found[OPTION]["value"]) if OPTION in found else self._limits.get(topic, USUAL_LIMIT)
        if OPTION not in found:
            self._log.warning("topic_limit_unknown", topic=topic, assumed=limit)
        self._limits[topic] = limit
        self._refresh_at = self._refresh_at or time.monotonic() + REFRESH_SECONDS
        return limit


def _at_most(outgoing: OutgoingRecord) -> int:
    """Never less than the exact size: characters have up to four bytes, lengths five, and a batch begins with 82."""
    size = len(outgoing.value or b"") + len(outgoing.key or b"") + 100
    for name, value in outgoing.headers:
        size += 4 * len(name) + len(value) + 10
    return size
