"""The raw topics of tools: each payload becomes events, is ignored for a reason, or goes to quarantine with one."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import assert_never

from schemas.topics import raw_of
from services.ingest.domain.activity import Pointer
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.dead_letters import DeadLetterPart, UnexpectedFailures, quarantine, time_of
from services.ingest.flow.log_reading import between, day_before
from services.ingest.flow.metrics import IngestMetrics
from services.ingest.flow.shared import ProjectionAccess, Shared
from services.ingest.flow.supervise import Parts
from services.ingest.flow.tools.fetched_resources import FetchedResources, Fetcher, SyncTokens
from services.ingest.flow.tools.pending_fetches import Fetch, FetchKey, PendingFetches, note_of, oldest_noted
from services.ingest.flow.tools.raw_payloads import OpenedPayload, nothing_of, opened, part_of, without_text
from services.ingest.flow.tools.statements import Directory, Result, Statements, StoredStatements, Written
from services.ingest.sources.connections import Connection
from services.runtime import log
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Reader, Record
from services.runtime.loop import Batch, BatchLoop, Limits, TryLaterError, later_if_away
from services.runtime.unexpected import described

GROUP = "rapport-ingest-tools"
# Of one batch: what is polled at once is handled before the next poll.
MOST_RECORDS = 100
# Until the first connection of a file that had none.
NOTICED_SECONDS = 0.5
# So long such a batch may take before the group gives its partitions away.
MOST_SECONDS = 900
# Of a record that waits for its fetch.
KEPT_HEADERS, MOST_HEADERS = frozenset({"connection", "content-type", "text_cut", "requeued_from"}), 8


Past = Callable[[Partition, int], Iterable[Record]]
"""The records of the last day before an offset."""
Between = Callable[[Partition, int, int], Iterable[Record]]
"""The records from one offset up to another."""


@dataclass(frozen=True)
class Tools:
    """Who may speak, what has to be fetched for them, and what they said. `check_known` raises TryLaterError while
    relationships are not known up to now."""

    connections: Mapping[str, Connection]
    topics: "RawTopics"
    fetcher: Fetcher
    past: Past
    between: Between
    check_known: Callable[[], None]


class Waiting:
    """It is fetched beside the batches, as soon as its tool answers."""


class ToolRecords:
    """The work of a BatchLoop: what every record became is acknowledged when its batch is done."""

    def __init__(self, tools: Tools, statements: Statements, producer: Producer, metrics: IngestMetrics) -> None:
        self._tools, self._statements, self._producer, self._metrics = tools, statements, producer, metrics
        self._fetches = PendingFetches(tools.fetcher)
        self._unexpected = UnexpectedFailures()
        self._log = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Hears once more who came and left within the last day: what comes now may be of the same meetings; and what
        was not fetched yet."""
        with later_if_away():
            self._fetch_again(partition, committed)
            for record in self._tools.past(partition, committed.offset) if committed else ():
                self._once_more(self._attend, record)

    def idle(self) -> None:
        """What was pointed to is fetched by time, beside the batches; and who may speak by now is listened to."""
        with later_if_away():
            self._tools.topics.subscribe()
        for fetch, outcome in self._fetches.done():
            self._statements.pending_writes.of(partial(self._quarantined, fetch.record))
            try:
                told = self._told(fetch.record, fetch.payload, outcome)
            except KafkaError as away:
                # It could not be put aside, and is fetched once more.
                self._fetches.add(fetch)
                raise TryLaterError(f"the broker is away: {away}") from away
            self._metrics.payloads.labels(fetch.payload.connection.connection_scope.tool, "log", told).inc()
        self._fetches.start()
        self._metrics.fetches.set(len(self._fetches))
        self._statements.pending_writes.settle()

    def note(self, partition: Partition) -> str:
        """All before the committed offset is done, but for fetches, of which this is the oldest."""
        return note_of(self._fetches.oldest(partition))

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        outcomes: Counter[str] = Counter()
        self._tools.check_known()
        # What an earlier try wrote and the broker did not take comes first: what follows relies on it.
        self._statements.pending_writes.settle()
        with later_if_away():
            for record in batch.records:
                self._statements.pending_writes.of(partial(self._quarantined, record))
                outcomes.update(self._outcomes(record))
        self._statements.pending_writes.settle()
        for outcome, count in outcomes.items():
            tool = batch.partition.topic.rpartition(".")[2]
            self._metrics.payloads.labels(tool, "log", outcome).inc(count)
        return outcomes

    def _fetch_again(self, partition: Partition, committed: Committed | None) -> None:
        self._fetches.forget(partition)
        oldest = oldest_noted(committed.metadata) if committed else None
        if committed is None or oldest is None:
            return
        for record in self._tools.between(partition, oldest, committed.offset):
            self._once_more(self._fetch_pointers, record)

    def _fetch_pointers(self, record: Record) -> None:
        payloads = opened(record, self._tools.connections)
        for payload in payloads if isinstance(payloads, list) else ():
            pointer = payload.translated()
            if isinstance(pointer, Pointer):
                self._fetches.add(_fetch(record, payload, pointer))

    def _once_more(self, read: Callable[[Record], None], record: Record) -> None:
        """Whatever it meets it met before, and has been put aside for it."""
        try:
            read(record)
        except KafkaError:
            raise
        except Exception as failure:  # noqa: BLE001 (told; it counts for nothing)
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            self._log.error("record_not_heard_again", **place, **described(failure))

    def _attend(self, record: Record) -> None:
        payloads = opened(record, self._tools.connections)
        for payload in payloads if isinstance(payloads, list) else ():
            said = payload.translated()
            for statement in said if isinstance(said, tuple) else ():
                self._statements.projection.track(statement, payload.connection.connection_scope)

    def _outcomes(self, record: Record) -> list[str]:
        try:
            payloads = opened(record, self._tools.connections)
        except Exception as failure:  # noqa: BLE001 (put aside, told, and counted)
            payloads = self._unexpected.rejected(record, failure)
        if isinstance(payloads, Rejected):
            return [self._put_aside(record, payloads)]
        return [self._outcome(record, payload) for payload in payloads]

    def _outcome(self, record: Record, payload: OpenedPayload) -> str:
        """What was written of a payload before it met an error of ours stands, as with one that is rejected."""
        work = partial(self._result, record, payload)
        return self._told(record, payload, self._unexpected.attempt(record, work, KafkaError, TryLaterError))

    def _told(self, record: Record, payload: OpenedPayload, result: Result | FetchedResources | Waiting) -> str:
        match result:
            case Rejected() as rejected:
                return self._put_aside(record, rejected, payload)
            case Ignored(reason):
                self._say_if_loud(reason, payload.connection)
                return f"ignored:{reason}"
            case Written(repeat):
                return "duplicate" if repeat else "admitted"
            case FetchedResources(rejected=unrecorded):
                return "fetched" if unrecorded is None else self._put_aside(record, unrecorded, payload)
            case Waiting():
                return "waiting"
            case other:
                assert_never(other)

    def _result(self, record: Record, payload: OpenedPayload) -> Result | Waiting:
        connection = payload.connection
        match payload.translated():
            case Ignored() | Rejected() as nothing:
                return nothing
            case Pointer() as pointer:
                return self._fetches.add(_fetch(record, payload, pointer)) or Waiting()
            case said:
                return self._statements.write(said, connection.connection_scope)

    def _put_aside(self, record: Record, rejected: Rejected, payload: OpenedPayload | None = None) -> str:
        send = partial(self._quarantined, record, rejected, payload)
        self._statements.pending_writes.owe(send(), send)
        return f"rejected:{rejected.reason}"

    def _quarantined(self, record: Record, rejected: Rejected, payload: OpenedPayload | None = None) -> Future[None]:
        bare = without_text(record, self._tools.connections)
        return quarantine(self._producer, bare, rejected, self._part(record, payload))

    def _part(self, record: Record, payload: OpenedPayload | None = None) -> DeadLetterPart:
        try:
            return part_of(record, self._tools.connections, payload)
        except Exception as failure:  # noqa: BLE001 (told; what cannot be freed of text is not kept)
            self._log.error("text_not_cut", topic=record.topic, offset=record.offset, **described(failure))
            return nothing_of(record, payload)

    def _say_if_loud(self, reason: str, connection: Connection) -> None:
        if reason in connection.tool.loud:
            connection_scope = connection.connection_scope
            self._log.warning(
                "tool_needs_attention",
                tool=connection_scope.tool,
                connection=connection_scope.connection,
                reason=reason,
            )


def _fetch(record: Record, payload: OpenedPayload, pointer: Pointer) -> Fetch:
    """Of the record only what quarantine needs beside the payload: it may be held for long."""
    key = FetchKey(
        Partition(record.topic, record.partition), payload.connection.connection_scope.connection, pointer.resource
    )
    headers = tuple((name, value) for name, value in record.headers if name in KEPT_HEADERS)[:MOST_HEADERS]
    size = len(record.value or b"") + len(record.key or b"") + sum(len(value or b"") for _, value in record.headers)
    return Fetch(key, record.offset, replace(record, value=None, headers=headers), payload, time_of(record), size)


class RawTopics:
    """Those of the tools that may speak, of which there may be more while this runs. For the thread that reads."""

    def __init__(self, reader: Reader, connections: Mapping[str, Connection]) -> None:
        self._reader, self._connections = reader, connections
        self._subscribed = frozenset[str]()

    def subscribe(self) -> bool:
        """True when there is anything to read. Of a tool that may speak no longer the rest is still read. Raises
        KafkaError."""
        wanted = self._subscribed | topics_of(self._connections)
        if wanted != self._subscribed:
            self._reader.subscribe(sorted(wanted))
            self._subscribed = wanted
        return bool(wanted)


def topics_of(connections: Mapping[str, Connection]) -> frozenset[str]:
    return frozenset(raw_of(connection.connection_scope.tool) for connection in connections.values())


@contextmanager
def tool_topics(shared: Shared, known: ProjectionAccess, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    health = shared.readiness.part("tools")
    if not shared.connections and shared.settings.ingest_connections is None:
        health.tell("ready", "no connections, RAPPORT_INGEST_CONNECTIONS is not set")
        yield {}
        return
    producer, settings = shared.producer, shared.settings
    limits = {"max_poll_records": MOST_RECORDS, "max_poll_interval_ms": MOST_SECONDS * 1000}
    with (
        closing(Reader(settings, GROUP, **limits)) as reader,
        closing(ClickHouse(settings)) as clickhouse,
        closing(Fetcher(producer, SyncTokens(settings, producer), lambda: datetime.now(UTC))) as fetcher,
    ):
        topics, find = RawTopics(reader, shared.connections), StoredStatements(clickhouse).find
        statements = Statements(shared.event_writer, Directory(producer), known.projection, shared.clock, find)
        past, span = partial(day_before, settings), partial(between, settings)
        tools = Tools(shared.connections, topics, fetcher, past, span, known.follower.check_fresh)
        work = ToolRecords(tools, statements, producer, shared.metrics)
        loop = BatchLoop(reader, work, health, Limits(records=MOST_RECORDS))

        def run() -> None:
            while not topics.subscribe():
                health.tell("ready", "RAPPORT_INGEST_CONNECTIONS names a file without connections")
                if stop.wait(NOTICED_SECONDS):
                    return
            known.then(loop, stop)

        yield {"tools": run}
