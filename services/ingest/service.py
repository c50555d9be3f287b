"""The composition of `rapport ingest serve`, the gateway, and of `rapport ingest work`, all that reads topics."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from schemas.topics import DIRECTORY, EVENTS, REJECTED, raw_of
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.readiness import Readiness
from services.ingest.flow.recorder import Recorder
from services.ingest.flow.together import run_together
from services.ingest.settings import AnyPart, IngestSettings
from services.ingest.sources.connection import Connection
from services.ingest.sources.connections import load_connections
from services.ingest.wiring.attendance import attendance
from services.ingest.wiring.knowledge import knowledge
from services.ingest.wiring.over_http import over_http
from services.ingest.wiring.projector import projector
from services.ingest.wiring.raw_cloudevents import raw_cloudevents
from services.ingest.wiring.shared import Parts, Shared
from services.ingest.wiring.tool_topics import tool_topics
from services.runtime import log
from services.runtime.health import Health, served
from services.runtime.kafka import KafkaError, Producer

# Everything that was promised is acknowledged by then; the rest was answered 503 or nothing.
CLOSE_SECONDS = 0.2
# Much longer than a request waits: while the producer still tries, what is sent again is recognised and written once.
DELIVERY_SECONDS = 600
# kafka-python's `send` waits for lost metadata on the caller's thread, here that of the event loop.
METADATA_SECONDS = 2


def connections_of(settings: IngestSettings) -> Mapping[str, Connection]:
    """Raises ConnectionsError."""
    file = settings.ingest_connections
    return {} if file is None else load_connections(file, os.environ, settings.ingest_digest_key.get_secret_value())


def serve(settings: IngestSettings, stop: threading.Event, connections: Mapping[str, Connection]) -> None:
    """The gateway. Returns after `stop`. Raises KafkaError or OSError when it cannot start, and whatever is
    unexpected."""
    run_parts(Composition(settings, connections, frozenset({"http"}), settings.ingest_health_port), stop)


def work(settings: IngestSettings, stop: threading.Event, connections: Mapping[str, Connection]) -> None:
    """The workers that the settings choose, as `serve`."""
    chosen = frozenset[AnyPart](settings.ingest_parts)
    run_parts(Composition(settings, connections, chosen, settings.ingest_work_health_port), stop)


@dataclass(frozen=True)
class Composition:
    """What runs in one process."""

    settings: IngestSettings
    connections: Mapping[str, Connection]
    parts: frozenset[AnyPart]
    health_port: int


def run_parts(composition: Composition, stop: threading.Event) -> None:
    settings, health = composition.settings, Health()
    readiness = Readiness(health)
    writing = readiness.part("producer")
    with served(health, settings.host, composition.health_port), _producer(settings, writing) as producer:
        for topic in _written_to(composition.connections):
            # The first record of a topic would else wait for its metadata, on the event loop.
            if not producer.partitions(topic):
                raise MissingTopicError(f"there is no topic {topic}: rapport topics create")
        recorder = Recorder(producer, settings.ingest_remembered, EVENTS.at(settings.log_epoch))
        shared = Shared(settings, producer, recorder, Metrics(health.metrics), readiness, composition.connections)
        with _chosen(shared, composition.parts, stop) as parts:
            # Not before every other part has said that it is starting, or the whole would be ready without them.
            writing.tell("ready")
            log.get(__name__).info("serving", parts=sorted(composition.parts), clock=settings.clock)
            run_together(parts, stop)
    log.get(__name__).info("stopped")


class MissingTopicError(Exception):
    """The message names the topic, and the command that makes it."""


def _written_to(connections: Mapping[str, Connection]) -> list[str]:
    tools = sorted({connection.tool.name for connection in connections.values()})
    return [REJECTED.name, DIRECTORY.name, *map(raw_of, tools)]


@contextmanager
def _chosen(shared: Shared, chosen: frozenset[AnyPart], stop: threading.Event) -> Iterator[Parts]:
    parts = dict[str, Callable[[], None]]()
    with ExitStack() as stack:
        known = stack.enter_context(knowledge(shared))
        parts |= known.parts(stop)
        if "projector" in chosen:
            parts |= stack.enter_context(projector(shared.settings, shared.readiness.part("projector"), stop))
        if "http" in chosen:
            parts |= stack.enter_context(over_http(shared, known, stop))
        if "raw" in chosen:
            parts |= stack.enter_context(raw_cloudevents(shared, known, stop))
        if "tools" in chosen:
            parts |= stack.enter_context(tool_topics(shared, known, stop))
        if "attendance" in chosen:
            parts |= stack.enter_context(attendance(shared, known, stop))
        yield parts


@contextmanager
def _producer(settings: IngestSettings, writing: Health) -> Iterator[Producer]:
    """`writing` is red while nothing can be written."""
    producer = Producer(
        settings,
        trouble=lambda why: writing.tell("degraded", why) if why else writing.tell("ready"),
        delivery_timeout_ms=DELIVERY_SECONDS * 1000,
        max_block_ms=METADATA_SECONDS * 1000,
    )
    try:
        yield producer
    finally:
        # Fails if the broker is away, and then nothing is left that anybody was told is recorded.
        with suppress(KafkaError):
            producer.close(CLOSE_SECONDS)
