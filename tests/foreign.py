"""A writer that is none of ours: it writes whatever Kafka takes, for the tests of those who have to read it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaProducer

from services.runtime.settings import Settings

ACKNOWLEDGED_SECONDS = 20
# Of all that a drill has sent: thousands of records of a megabyte.
FLUSHED_SECONDS = 300
MAX_REQUEST_BYTES = 32 * 2**20


class RawName(str):
    """A header's name of any bytes, one for each character, which Kafka takes and no good client writes."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return bytes(map(ord, self))


class ForeignProducer:
    """Compressed, as records of many bytes may be that stay small for the broker; nothing is checked before."""

    def __init__(self, client: KafkaProducer) -> None:
        self._client = client

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        **options: Any,  # noqa: ANN401 (partition, timestamp_ms)
    ) -> Any:  # noqa: ANN401 (kafka-python's future)
        return self._client.send(topic, key=key, value=value, headers=list(headers), **options)

    def put(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        **options: Any,  # noqa: ANN401
    ) -> str:
        """Returns the origin, when it is written."""
        sent = self.send(topic, key, value, headers, **options).get(ACKNOWLEDGED_SECONDS)
        return f"{topic}/{sent.partition}/{sent.offset}"

    def flush(self) -> None:
        self._client.flush(timeout=FLUSHED_SECONDS)


@contextmanager
def foreign_producer(settings: Settings) -> Iterator[ForeignProducer]:
    client = KafkaProducer(
        bootstrap_servers=settings.kafka,
        enable_idempotence=False,
        compression_type="lz4",
        max_request_size=MAX_REQUEST_BYTES,
        linger_ms=0,
        metadata_max_age_ms=1_000,
        metrics_enabled=False,
    )
    try:
        yield ForeignProducer(client)
    finally:
        client.close(timeout=5)
