"""The gateway: events, what tools send, and the directory, over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from fastapi import FastAPI

from schemas.topics import TOKENS
from services.ingest.domain.pace import Pace
from services.ingest.flow.intake import Intake
from services.ingest.flow.people.directory import Directory
from services.ingest.flow.room import Room
from services.ingest.flow.tokens import TokenFollower, TokenTable
from services.ingest.flow.tools.raw_intake import RawIntake
from services.ingest.gateway.app import create_app
from services.ingest.gateway.directory import DirectoryEndpoint
from services.ingest.gateway.directory_routes import serve_directory
from services.ingest.gateway.endpoint import EventsEndpoint
from services.ingest.gateway.server import listen, run_server
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
        app = _app(shared, known, table, stop)
        listener = listen(settings.host, settings.ingest_port)
        yield {"http": partial(run_server, app, listener, stop), "tokens": partial(follower.run, stop)}


def _app(shared: Shared, known: Known, table: TokenTable, stop: threading.Event) -> FastAPI:
    settings, metrics = shared.settings, shared.metrics
    room = Room(settings.ingest_outstanding_bytes, settings.ingest_delivery_seconds, stop)
    metrics.outstanding.set_function(lambda: room.outstanding)
    intake = Intake(shared.recorder, room, shared.gate(known.programs))
    events = EventsEndpoint(table, intake, Pace(settings.ingest_token_rate), metrics)
    sources = SourcesEndpoint(
        shared.connections, RawIntake(shared.producer, room), Pace(settings.ingest_connection_rate), metrics
    )
    app = create_app(events, sources)
    serve_directory(app, DirectoryEndpoint(table, Directory(shared.producer), room, metrics))
    return app
