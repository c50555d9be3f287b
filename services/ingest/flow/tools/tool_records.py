"""Processes the raw topics of tools: each payload becomes events, is ignored for a reason, or is quarantined with
one."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import assert_never

from services.ingest.domain.activity import Pointer, Translation
from services.ingest.domain.admission import Clock
from services.ingest.domain.cloudevents import JSON
from services.ingest.domain.dead_letters import NOTHING_KEPT, REQUEUED_FROM
from services.ingest.domain.ids import is_plain
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.dead_letters import DeadLetterPart, quarantine
from services.ingest.flow.in_flight import UnexpectedFailures
from services.ingest.flow.log_reading import between, day_before
from services.ingest.flow.people.followers import ProjectionFollower
from services.ingest.flow.shared import IngestMetrics, ProjectionAccess, Shared
from services.ingest.flow.supervise import Parts
from services.ingest.flow.tools.fetched_resources import FetchedResources, Fetcher, SyncTokens
from services.ingest.flow.tools.pending_fetches import PendingFetches, fetch_of, note_of, oldest_noted
from services.ingest.flow.tools.statements import (
    CONNECTION,
    CONTENT_TYPE,
    NAME,
    DirectoryStatementWriter,
    OpenedPayload,
    Result,
    Statements,
    StoredStatements,
    Written,
    connection_of,
    header_of,
    open_payloads,
)
from services.ingest.sources.tool import Connection
from services.runtime import log
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Reader, Record
from services.runtime.loop import BatchLoop, TryLaterError, later_if_away
from services.runtime.partition_buffer import Batch, Limits
from services.runtime.unexpected import error_fields

GROUP = "rapport-ingest-tools"
# Records of one poll, which are handled before the next one.
MAX_RECORDS = 100
# How often a file without connections is checked for the first one.
CHECK_INTERVAL_SECONDS = 0.5
# The poll interval: a batch may take so long before the group revokes its partitions.
MAX_SECONDS = 900


@dataclass(frozen=True)
class Tools:
    """The connections, their raw topics and fetches. `day_before` reads the records of the day before an offset,
    `between` those from one offset up to another."""

    connections: Mapping[str, Connection]
    topics: "RawTopics"
    fetcher: Fetcher
    day_before: Callable[[Partition, int], Iterable[Record]]
    between: Callable[[Partition, int, int], Iterable[Record]]
    follower: ProjectionFollower


class FetchPending:
    """The outcome of a notification whose resource is fetched later, beside the batches."""


class ToolRecords:
    """The work of a BatchLoop: all writes of a batch are acknowledged when it is done."""

    def __init__(self, tools: Tools, statements: Statements, producer: Producer, metrics: IngestMetrics) -> None:
        self._tools, self._statements, self._producer, self._metrics = tools, statements, producer, metrics
        self._fetches = PendingFetches(tools.fetcher)
        self._unexpected = UnexpectedFailures()
        self._log = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Restores the pending fetches, and the activities of the last day: the next ones may be about the same
        meetings."""
        self._fetches.forget(partition)
        if committed is None:
            return

        def add_fetch(record: Record, payload: OpenedPayload, translation: Translation) -> None:
            if isinstance(translation, Pointer):
                self._fetches.add(fetch_of(record, payload, translation))

        def track(_: Record, payload: OpenedPayload, translation: Translation) -> None:
            for activity in translation if isinstance(translation, tuple) else ():
                self._statements.projection.track(activity, payload.connection.connection_scope)

        oldest = oldest_noted(committed.metadata)
        with later_if_away():
            for record in () if oldest is None else self._tools.between(partition, oldest, committed.offset):
                self._replay(record, add_fetch)
            for record in self._tools.day_before(partition, committed.offset):
                self._replay(record, track)

    def idle(self) -> None:
        """Finishes and starts fetches, and subscribes to the topics of new connections."""
        with later_if_away():
            self._tools.topics.subscribe()
        for fetch, outcome in self._fetches.done():
            self._statements.pending_writes.set_origin(partial(self._quarantine, fetch.record))
            try:
                label = self._settle(fetch.record, fetch.payload, outcome)
            except KafkaError as away:
                # It could not be quarantined, and is fetched once more.
                self._fetches.add(fetch)
                raise TryLaterError(f"the broker is away: {away}") from away
            self._metrics.payloads.labels(fetch.payload.connection.connection_scope.tool, "log", label).inc()
        self._fetches.start()
        self._metrics.fetches.set(len(self._fetches))
        self._statements.pending_writes.settle()

    def offset_metadata(self, partition: Partition) -> str:
        """The oldest pending fetch: all else before the committed offset is done."""
        return note_of(self._fetches.oldest(partition))

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        outcomes: Counter[str] = Counter()
        # A pair that began meanwhile would not be recognised.
        if time.monotonic() >= self._tools.follower.fresh_until:
            raise TryLaterError("the projection of the log is behind: does `rapport ingest work` run its projector?")
        # Failed writes of an earlier try come first: later events rely on them.
        self._statements.pending_writes.settle()
        with later_if_away():
            for record in batch.records:
                self._statements.pending_writes.set_origin(partial(self._quarantine, record))
                outcomes.update(self._outcomes(record))
        self._statements.pending_writes.settle()
        for outcome, count in outcomes.items():
            tool = batch.partition.topic.rpartition(".")[2]
            self._metrics.payloads.labels(tool, "log", outcome).inc(count)
        return outcomes

    def _replay(self, record: Record, apply: Callable[[Record, OpenedPayload, Translation], object]) -> None:
        """Any error was met before, when the record was processed and quarantined for it."""
        try:
            payloads = open_payloads(record, self._tools.connections)
            for payload in payloads if isinstance(payloads, list) else ():
                apply(record, payload, payload.translate())
        except KafkaError:
            raise
        except Exception as failure:  # noqa: BLE001 (logged; the record is skipped)
            position = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            self._log.error("record_not_heard_again", **position, **error_fields(failure))

    def _outcomes(self, record: Record) -> list[str]:
        """The outcome of each payload. Events that were written before it is rejected, or meets an error, stand."""
        try:
            payloads = open_payloads(record, self._tools.connections)
        except Exception as failure:  # noqa: BLE001 (quarantined, logged and counted)
            payloads = self._unexpected.rejected(record, failure)
        if isinstance(payloads, Rejected):
            return [self._reject(record, payloads)]
        outcomes: list[str] = []
        for payload in payloads:
            work = partial(self._result, record, payload)
            result = self._unexpected.attempt(record, work, KafkaError, TryLaterError)
            outcomes.append(self._settle(record, payload, result))
        return outcomes

    def _result(self, record: Record, payload: OpenedPayload) -> Result | FetchPending:
        match payload.translate():
            case Ignored() | Rejected() as nothing:
                return nothing
            case Pointer() as pointer:
                return self._fetches.add(fetch_of(record, payload, pointer)) or FetchPending()
            case activities:
                return self._statements.write(activities, payload.connection.connection_scope)

    def _settle(self, record: Record, payload: OpenedPayload, result: Result | FetchedResources | FetchPending) -> str:
        """Quarantines a rejected payload, and returns the outcome as a label."""
        match result:
            case Rejected() as rejected:
                return self._reject(record, rejected, payload)
            case Ignored(reason):
                if reason in payload.connection.tool.operator_reasons:
                    scope = payload.connection.connection_scope
                    self._log.warning(
                        "tool_needs_attention", tool=scope.tool, connection=scope.connection, reason=reason
                    )
                return f"ignored:{reason}"
            case Written(duplicate):
                return "duplicate" if duplicate else "admitted"
            case FetchedResources(rejected=unrecorded):
                return "fetched" if unrecorded is None else self._reject(record, unrecorded, payload)
            case FetchPending():
                return "waiting"
            case other:
                assert_never(other)

    def _reject(self, record: Record, rejected: Rejected, payload: OpenedPayload | None = None) -> str:
        send = partial(self._quarantine, record, rejected, payload)
        self._statements.pending_writes.add(send(), send)
        return f"rejected:{rejected.reason}"

    def _quarantine(self, record: Record, rejected: Rejected, payload: OpenedPayload | None = None) -> Future[None]:
        bare = strip_text(record, self._tools.connections)
        try:
            part = part_of(record, self._tools.connections, payload)
        except Exception as failure:  # noqa: BLE001 (logged; a value that cannot be freed of text is not kept)
            self._log.error("text_not_cut", topic=record.topic, offset=record.offset, **error_fields(failure))
            # Only its origin is kept.
            part = replace(_empty_part(record.value or b"", ()), number=payload.number if payload else None)
        return quarantine(self._producer, bare, rejected, part)


TEXT_CUT = "text_cut"
HEADERS: Mapping[str, re.Pattern[bytes]] = {
    CONNECTION: re.compile(NAME.pattern.encode()),
    TEXT_CUT: re.compile(rb"1"),
    REQUEUED_FROM: re.compile(rb"[a-z0-9._/#-]{1,300}"),
}


def part_of(
    record: Record, connections: Mapping[str, Connection], payload: OpenedPayload | None = None
) -> DeadLetterPart:
    """The part to quarantine: what may be kept of the payload, or of the full record if it could not be opened."""
    connection, value = connection_of(record, connections), record.value or b""
    if isinstance(connection, Rejected):
        name = header_of(record, CONNECTION)
        return _empty_part(value, ((CONNECTION, name),) if NAME.fullmatch(name) else ())
    kept = payload.kept if payload else connection.redact(value, header_of(record, CONTENT_TYPE) or JSON)
    notes = ((CONNECTION, connection.connection_scope.connection),)
    number = payload.number if payload else None
    if isinstance(kept, Rejected):
        return replace(_empty_part(value, notes), number=number)
    is_cut = kept.was_cut or header_of(record, TEXT_CUT)
    return DeadLetterPart(kept.payload, number, (*notes, (TEXT_CUT, "1")) if is_cut else notes)


def strip_text(record: Record, connections: Mapping[str, Connection]) -> Record:
    """The record with the key and headers that quarantine may keep: headers that are read here, with values of the form
    that is written here. The kept value is JSON, in whichever format it was sent."""
    connection = connection_of(record, connections)
    headers = [
        (name, value) for name, value in record.headers if name in HEADERS and HEADERS[name].fullmatch(value or b"")
    ]
    headers = [*headers, (CONTENT_TYPE, JSON.encode())]
    key = record.key
    if key is not None and not is_plain(key.decode(errors="replace")):
        key = None if isinstance(connection, Rejected) else connection.connection_scope.connection.encode()
    return record._replace(key=key, headers=tuple(dict(reversed(headers)).items()))


def _empty_part(value: bytes, notes: tuple[tuple[str, str], ...]) -> DeadLetterPart:
    """For an unknown connection or an unreadable value. The original stays on its topic for its retention."""
    words = f"all {len(value)} bytes: free text cannot be separated from the rest"
    return DeadLetterPart(b"", notes=(*notes, (NOTHING_KEPT, words)))


class RawTopics:
    """The raw topics of all connections, to which a reload may add. For the thread that reads."""

    def __init__(self, reader: Reader, connections: Mapping[str, Connection]) -> None:
        self._reader, self._connections = reader, connections
        self._subscribed = frozenset[str]()

    def subscribe(self) -> bool:
        """True if there is any topic to read. The rest of a topic is still read after its last connection was removed.
        Raises KafkaError."""
        topics = self._subscribed | topics_of(self._connections)
        if topics != self._subscribed:
            self._reader.subscribe(sorted(topics))
            self._subscribed = topics
        return bool(topics)


def topics_of(connections: Mapping[str, Connection]) -> frozenset[str]:
    return frozenset(connection.connection_scope.raw_topic for connection in connections.values())


@contextmanager
def tool_topics(shared: Shared, access: ProjectionAccess, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    health = shared.readiness.part("tools")
    if not shared.connections and shared.settings.ingest_connections is None:
        health.report("ready", "no connections, RAPPORT_INGEST_CONNECTIONS is not set")
        yield {}
        return
    producer, settings = shared.producer, shared.settings
    limits = {"max_poll_records": MAX_RECORDS, "max_poll_interval_ms": MAX_SECONDS * 1000}
    with (
        closing(Reader(settings, GROUP, **limits)) as reader,
        closing(ClickHouse(settings)) as clickhouse,
        closing(Fetcher(producer, SyncTokens(settings, producer), lambda: datetime.now(UTC))) as fetcher,
    ):
        topics, find = RawTopics(reader, shared.connections), StoredStatements(clickhouse).find

        def clock() -> Clock:
            return Clock(datetime.now(UTC), settings.clock)

        statements = Statements(shared.event_writer, DirectoryStatementWriter(producer), access.projection, clock, find)
        history = partial(day_before, settings), partial(between, settings)
        tools = Tools(shared.connections, topics, fetcher, *history, access.follower)
        work = ToolRecords(tools, statements, producer, shared.metrics)
        loop = BatchLoop(reader, work, health, Limits(records=MAX_RECORDS))

        def run() -> None:
            while not topics.subscribe():
                health.report("ready", "RAPPORT_INGEST_CONNECTIONS names a file without connections")
                if stop.wait(CHECK_INTERVAL_SECONDS):
                    return
            access.run_caught_up(loop, stop)

        yield {"tools": run}
