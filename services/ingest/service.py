"""The composition of `rapport ingest serve`: gateway, tokens and raw topic in one process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from schemas.topics import EVENTS, RAW_CLOUDEVENTS, REJECTED, TOKENS
from services.ingest.domain.clock import Clock
from services.ingest.flow.intake import Intake
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.raw import GROUP, RawEvents
from services.ingest.flow.readiness import Readiness
from services.ingest.flow.recorder import Recorder
from services.ingest.flow.together import run_together
from services.ingest.flow.tokens import TokenFollower, TokenTable
from services.ingest.gateway.app import create_app
from services.ingest.gateway.endpoint import EventsEndpoint
from services.ingest.gateway.server import listen, run_server
from services.ingest.settings import IngestSettings
from services.runtime import log
from services.runtime.health import Health, served
from services.runtime.kafka import KafkaError, Producer, Reader, reading
from services.runtime.loop import BatchLoop

# Everything that was promised is acknowledged by then; the rest was answered 503 or nothing.
CLOSE_SECONDS = 0.2
# kafka-python's `send` waits for lost metadata on the caller's thread, here that of the event loop.
METADATA_SECONDS = 2
# Records of the raw topic in one poll: few enough to stay well within the poll interval.
MOST_RAW_RECORDS = 1_000


@dataclass(frozen=True)
class _Shared:
    settings: IngestSettings
    producer: Producer
    recorder: Recorder
    metrics: Metrics
    readiness: Readiness

    def clock(self) -> Clock:
        return Clock(datetime.now(UTC), self.settings.clock)


def serve(settings: IngestSettings, stop: threading.Event) -> None:
    """Returns after `stop`. Raises KafkaError or OSError when it cannot start, and whatever is unexpected."""
    health = Health()
    with served(health, settings.host, settings.ingest_health_port), _producer(settings) as producer:
        producer.partitions(REJECTED.name)
        recorder = Recorder(producer, settings.ingest_remembered, EVENTS.at(settings.log_epoch))
        shared = _Shared(settings, producer, recorder, Metrics(health.metrics), Readiness(health))
        with reading(settings, [TOKENS.name]) as tokens, _raw_reader(settings) as raw:
            parts = _gateway(shared, tokens, stop) | _raw_topic(shared, raw, stop)
            log.get(__name__).info("serving", host=settings.host, port=settings.ingest_port, clock=settings.clock)
            run_together(parts, stop)
    log.get(__name__).info("stopped")


def _gateway(shared: _Shared, reader: Reader, stop: threading.Event) -> dict[str, Callable[[], None]]:
    """Returns when every token is known: an unread one would be answered 401."""
    settings, table = shared.settings, TokenTable()
    follower = TokenFollower(reader, table, shared.readiness.part("gateway"))
    follower.catch_up(stop)
    intake = Intake(shared.recorder, shared.clock, settings.ingest_outstanding_bytes, stop)
    shared.metrics.outstanding.set_function(lambda: intake.outstanding)
    app = create_app(EventsEndpoint(table, intake, shared.metrics))
    listener = listen(settings.host, settings.ingest_port)
    return {"http": partial(run_server, app, listener, stop), "tokens": partial(follower.run, stop)}


def _raw_topic(shared: _Shared, reader: Reader | None, stop: threading.Event) -> dict[str, Callable[[], None]]:
    health, scope = shared.readiness.part("raw topic"), shared.settings.raw_scope()
    if reader is None or scope is None:
        health.tell("ready", "not read, RAPPORT_INGEST_RAW_TENANT is not set")
        return {}
    work = RawEvents(shared.producer, shared.recorder, scope, shared.clock, shared.metrics)
    return {"raw": partial(BatchLoop(reader, work, health).run, stop)}


@contextmanager
def _producer(settings: IngestSettings) -> Iterator[Producer]:
    delivery = round(settings.ingest_delivery_seconds * 1000)
    producer = Producer(
        settings,
        delivery_timeout_ms=delivery,
        request_timeout_ms=min(10_000, delivery * 2 // 3),
        max_block_ms=METADATA_SECONDS * 1000,
    )
    try:
        yield producer
    finally:
        # Fails if the broker is away, and then nothing is left that anybody was told is recorded.
        with suppress(KafkaError):
            producer.close(CLOSE_SECONDS)


@contextmanager
def _raw_reader(settings: IngestSettings) -> Iterator[Reader | None]:
    if settings.raw_scope() is None:
        yield None
        return
    reader = Reader(settings, GROUP, max_poll_records=MOST_RAW_RECORDS)
    try:
        reader.subscribe([RAW_CLOUDEVENTS.name])
        yield reader
    finally:
        reader.close()
