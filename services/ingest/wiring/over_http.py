"""The gateway: events, what tools send, and the directory, over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from fastapi import FastAPI

from schemas.topics import TOKENS
from services.ingest.domain.pace import Pace
from services.ingest.flow.intake import Intake, Writing
from services.ingest.flow.people.directory import Directory
from services.ingest.flow.room import Room
from services.ingest.flow.tokens import TokenFollower, TokenTable
from services.ingest.flow.tools.raw_intake import RawIntake
from services.ingest.flow.turns import Reading, Turns
from services.ingest.gateway.app import create_app
from services.ingest.gateway.body import InFlightBytes
from services.ingest.gateway.directory import DirectoryEndpoint
from services.ingest.gateway.directory_routes import serve_directory
from services.ingest.gateway.endpoint import Admission, EventsEndpoint
from services.ingest.gateway.guard import ConnectionGuard, ConnectionLimits
from services.ingest.gateway.senders import Senders
from services.ingest.gateway.server import Door, listen, run_server
from services.ingest.gateway.sources_endpoint import SourcesEndpoint
from services.ingest.wiring.knowledge import Known
from services.ingest.wiring.shared import Parts, Shared
from services.runtime.kafka import reading


@contextmanager
def over_http(shared: Shared, known: Known, stop: threading.Event) -> Iterator[Parts]:
    """Ready when every token is known: an unread one would be answered 401. Raises KafkaError or OSError."""
    settings, table = shared.settings, TokenTable()
    with reading(settings, [TOKENS.name]) as reader:
        follower = TokenFollower(reader, table, shared.readiness.part("gateway"))
        follower.catch_up(stop)
        if any(token.programs for token in table.tokens.values()):
            known.wanted.set()
        guard = _guard(shared)
        app = _app(shared, known, table, guard, stop)
        door = Door(listen(settings.host, settings.ingest_port), guard, settings.ingest_idle_seconds)
        yield {"http": partial(run_server, app, door, stop), "tokens": partial(follower.run, stop)}


def _guard(shared: Shared) -> ConnectionGuard:
    settings, metrics = shared.settings, shared.metrics
    limits = ConnectionLimits(
        settings.ingest_open_connections,
        settings.ingest_open_connections_per_address,
        settings.ingest_head_seconds,
        settings.ingest_body_seconds,
    )
    guard = ConnectionGuard(limits, metrics.connections_cut)
    metrics.connections.set_function(lambda: guard.number)
    return guard


def _app(shared: Shared, known: Known, table: TokenTable, guard: ConnectionGuard, stop: threading.Event) -> FastAPI:
    settings, metrics = shared.settings, shared.metrics
    writing = Writing(Room(settings.ingest_outstanding_bytes, settings.ingest_delivery_seconds, stop), Turns())
    metrics.outstanding.set_function(lambda: writing.room.outstanding)
    bodies, reading_aside = (
        InFlightBytes(settings.ingest_body_bytes, settings.ingest_sender_bytes),
        Reading(writing.turns),
    )

    def admission(rate: int) -> Admission:
        senders = Senders(Pace(rate), settings.ingest_sender_requests, bodies, writing.turns)
        return Admission(senders, reading_aside)

    tokens, tools = admission(settings.ingest_token_rate), admission(settings.ingest_connection_rate)
    unproven = InFlightBytes(settings.ingest_unproven_bytes, settings.ingest_unproven_bytes_per_address, guard.relieve)
    events = EventsEndpoint(table, Intake(shared.recorder, writing, shared.gate(known.programs)), tokens, metrics)
    raw = RawIntake(shared.producer, writing)
    app = create_app(events, SourcesEndpoint(shared.connections, raw, tools, unproven, metrics))
    serve_directory(app, DirectoryEndpoint(table, Directory(shared.producer), writing, tokens, metrics))
    return app
