"""The processes of ingest: the gateway over HTTP, and the workers, each composed of the parts that settings choose."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from schemas.topics import DIRECTORY_STATEMENTS, EVENTS, REJECTED, SOURCES
from services.ingest.flow.attendance import attendance
from services.ingest.flow.connections_reload import PATH, reload_act
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.people.projector import projector
from services.ingest.flow.raw_cloudevents import raw_cloudevents
from services.ingest.flow.shared import IngestMetrics, Shared, projection_access
from services.ingest.flow.source_watermarks import SourceWatermarks
from services.ingest.flow.supervise import Parts, supervise
from services.ingest.flow.tools.tool_records import tool_topics, topics_of
from services.ingest.settings import AnyPart, IngestSettings
from services.ingest.sources.connections import ConnectionsError, ConnectionsFile, load_connections
from services.ingest.sources.tool import Connection
from services.runtime import log
from services.runtime.health import Health, PartsReadiness, serve_health
from services.runtime.kafka import KafkaError, Producer, await_broker

# Every event that was answered 202 is acknowledged by then; the others were answered 503 or nothing.
CLOSE_SECONDS = 0.2
# Much longer than a request waits: while the producer still tries, a repeated request is recognised and written once.
DELIVERY_SECONDS = 600
# kafka-python's `send` waits for lost metadata on the caller's thread, here that of the event loop.
METADATA_SECONDS = 2


def connections_of(settings: IngestSettings) -> Mapping[str, Connection]:
    """Raises ConnectionsError."""
    file = settings.ingest_connections
    return {} if file is None else load_connections(file, os.environ, settings.ingest_digest_key.get_secret_value())


def serve(
    settings: IngestSettings,
    stop: threading.Event,
    connections: Mapping[str, Connection],
    listener: socket.socket | None = None,
) -> None:
    """Runs the gateway, on the listener of its parent if it is one of several workers. Returns after `stop`. Raises
    KafkaError or OSError when it cannot start, and any unexpected error."""
    port = settings.ingest_health_port
    run_parts(Composition(settings, connections, frozenset({"http"}), port, listener), stop)


def work(settings: IngestSettings, stop: threading.Event, connections: Mapping[str, Connection]) -> None:
    """Runs the parts that the settings choose, as `serve`."""
    chosen = frozenset[AnyPart](settings.ingest_parts)
    run_parts(Composition(settings, connections, chosen, settings.ingest_work_health_port), stop)


@dataclass(frozen=True)
class Composition:
    """The parts of one process."""

    settings: IngestSettings
    connections: Mapping[str, Connection]
    parts: frozenset[AnyPart]
    health_port: int
    listener: socket.socket | None = None


def run_parts(composition: Composition, stop: threading.Event) -> None:
    settings, health = composition.settings, Health()
    readiness = PartsReadiness(health)
    writing = readiness.part("producer")
    with ExitStack() as stack:
        stack.enter_context(serve_health(health, settings.host, composition.health_port))
        if not await_broker(settings, writing, stop):
            return
        producer = stack.enter_context(_producer(settings, writing))
        # Loads the topics' metadata: otherwise the first record of each would wait for it on the event loop. The error
        # names the missing topic.
        log_topic = EVENTS.at(settings.log_epoch)
        topics = [log_topic, REJECTED.name, DIRECTORY_STATEMENTS.name, SOURCES.name]
        producer.preload([*topics, *topics_of(composition.connections)])
        connections = _connections_file(composition, producer)
        if connections is not None:
            health.post_actions[PATH] = reload_act(connections, settings.ingest_digest_key.get_secret_value())
        event_writer = EventWriter(producer, settings.ingest_remembered, log_topic)
        watermarks = SourceWatermarks(producer, event_writer.drain_progress)
        current = composition.connections if connections is None else connections
        shared = Shared(settings, producer, event_writer, IngestMetrics(health.metrics), readiness, current)
        with _open_parts(shared, composition, stop) as parts:
            # After every other part has reported that it is starting, or the process would be ready without them.
            writing.report("ready")
            log.get(__name__).info("serving", parts=sorted(composition.parts), clock=settings.clock)
            watching = {} if connections is None else {"connections": partial(connections.run, stop)}
            beside = {**watching, "watermarks": partial(watermarks.run, stop)}
            watched = {name: partial(_run_watched, health.loop(name), run) for name, run in beside.items()}
            supervise({**parts, **watched}, stop)
    log.get(__name__).info("stopped")


def _run_watched(loop: AbstractContextManager[object], run: Callable[[], None]) -> None:
    """For loops that note their own turns, but report no health."""
    with loop:
        run()


def _connections_file(composition: Composition, producer: Producer) -> ConnectionsFile | None:
    settings = composition.settings
    if settings.ingest_connections is None:
        return None

    def load() -> Mapping[str, Connection]:
        found = connections_of(settings)
        try:
            producer.preload(topics_of(found))
        except KafkaError as missing:
            raise ConnectionsError(str(missing)) from missing
        return found

    reload_on_miss = "tools" in composition.parts
    return ConnectionsFile(settings.ingest_connections, composition.connections, load, reload_on_miss=reload_on_miss)


@contextmanager
def _open_parts(shared: Shared, composition: Composition, stop: threading.Event) -> Iterator[Parts]:
    chosen, parts = composition.parts, dict[str, Callable[[], None]]()
    with ExitStack() as stack:
        # The gateway needs the programme of each relationship; only tools need bookings.
        access = stack.enter_context(projection_access(shared, roster_only=chosen == {"http"}))
        parts |= access.parts(stop)
        if "projector" in chosen:
            health, snapshots = shared.readiness.part("projector"), access.follower.snapshots
            parts |= stack.enter_context(projector(shared.settings, health, stop, snapshots))
        if "http" in chosen:
            # Workers serve no HTTP, and importing it would be a quarter of their start.
            from services.ingest.gateway.app import http_gateway  # noqa: PLC0415

            parts |= stack.enter_context(http_gateway(shared, access, stop, composition.listener))
        if "raw" in chosen:
            parts |= stack.enter_context(raw_cloudevents(shared, access, stop))
        if "tools" in chosen:
            parts |= stack.enter_context(tool_topics(shared, access, stop))
        if "attendance" in chosen:
            parts |= stack.enter_context(attendance(shared, access, stop))
        yield parts


@contextmanager
def _producer(settings: IngestSettings, writing: Health) -> Iterator[Producer]:
    """`writing` is red while nothing can be written."""
    producer = Producer(
        settings,
        on_availability=lambda why: writing.report("degraded", why) if why else writing.report("ready"),
        delivery_timeout_ms=DELIVERY_SECONDS * 1000,
        max_block_ms=METADATA_SECONDS * 1000,
    )
    try:
        yield producer
    finally:
        # Fails if the broker is away, and then no acknowledged event is lost.
        with suppress(KafkaError):
            producer.close(CLOSE_SECONDS)
