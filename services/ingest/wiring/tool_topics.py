"""The raw topics of the tools that have a connection, and the knowledge by which their payloads are judged."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial

from schemas.topics import raw_of
from services.ingest.flow.people.directory import Directory
from services.ingest.flow.people.stored import StoredStatements
from services.ingest.flow.tools.day_before import between, day_before
from services.ingest.flow.tools.statements import Statements
from services.ingest.flow.tools.tool_records import GROUP, MOST_RECORDS, MOST_SECONDS, ToolRecords, Tools
from services.ingest.pointers.follow import Pointers
from services.ingest.pointers.sync_tokens import SyncTokens
from services.ingest.wiring.knowledge import Known
from services.ingest.wiring.shared import Parts, Shared
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Reader
from services.runtime.loop import BatchLoop, Limits


@contextmanager
def tool_topics(shared: Shared, known: Known, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    health = shared.readiness.part("tools")
    if not shared.connections:
        health.tell("ready", "no connections, RAPPORT_INGEST_CONNECTIONS is not set")
        yield {}
        return
    with _reader(shared) as reader, _work(shared, known) as work:
        loop = BatchLoop(reader, work, health, Limits(records=MOST_RECORDS))
        yield {"tools": partial(known.then, loop, stop)}


@contextmanager
def _reader(shared: Shared) -> Iterator[Reader]:
    topics = sorted({raw_of(connection.speaker.tool) for connection in shared.connections.values()})
    reader = Reader(shared.settings, GROUP, max_poll_records=MOST_RECORDS, max_poll_interval_ms=MOST_SECONDS * 1000)
    try:
        reader.subscribe(topics)
        yield reader
    finally:
        reader.close()


@contextmanager
def _work(shared: Shared, known: Known) -> Iterator[ToolRecords]:
    producer, settings = shared.producer, shared.settings
    with (
        closing(ClickHouse(settings)) as clickhouse,
        closing(Pointers(producer, SyncTokens(settings, producer), lambda: datetime.now(UTC))) as pointers,
    ):
        find = StoredStatements(clickhouse).find
        statements = Statements(shared.recorder, Directory(producer), known.knowledge, shared.clock, find)
        past, span = partial(day_before, settings), partial(between, settings)
        tools = Tools(shared.connections, pointers, past, span, known.follower.check_fresh)
        yield ToolRecords(tools, statements, producer, shared.metrics)
