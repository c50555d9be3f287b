"""The raw topics of tools: each payload becomes events, is ignored for a reason, or goes to quarantine with one."""

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
    Directory,
    OpenedPayload,
    Result,
    Statements,
    StoredStatements,
    Written,
    connection_of,
    header_of,
    opened,
)
from services.ingest.sources.tool import Connection
from services.runtime import log
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Reader, Record
from services.runtime.loop import Batch, BatchLoop, Limits, TryLaterError, later_if_away
from services.runtime.unexpected import error_fields

GROUP = "rapport-ingest-tools"
# Of one batch: what is polled at once is handled before the next poll.
MOST_RECORDS = 100
# Until the first connection of a file that had none.
NOTICED_SECONDS = 0.5
# So long such a batch may take before the group gives its partitions away.
MOST_SECONDS = 900


@dataclass(frozen=True)
class Tools:
    """Who may speak, what has to be fetched for them, and what they said: `past` are the records of the last day before
    an offset, `between` those from one offset up to another. `fresh_until`: see the follower."""

    connections: Mapping[str, Connection]
    topics: "RawTopics"
    fetcher: Fetcher
    past: Callable[[Partition, int], Iterable[Record]]
    between: Callable[[Partition, int, int], Iterable[Record]]
    follower: ProjectionFollower


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
        """Hears once more what was not fetched yet; and who came and left within the last day: what comes now may be of
        the same meetings."""
        self._fetches.forget(partition)
        if committed is None:
            return

        def fetch(record: Record, payload: OpenedPayload, pointer: Translation) -> None:
            if isinstance(pointer, Pointer):
                self._fetches.add(fetch_of(record, payload, pointer))

        def attend(_: Record, payload: OpenedPayload, said: Translation) -> None:
            for statement in said if isinstance(said, tuple) else ():
                self._statements.projection.track(statement, payload.connection.connection_scope)

        oldest = oldest_noted(committed.metadata)
        with later_if_away():
            for record in () if oldest is None else self._tools.between(partition, oldest, committed.offset):
                self._once_more(record, fetch)
            for record in self._tools.past(partition, committed.offset):
                self._once_more(record, attend)

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

    def offset_metadata(self, partition: Partition) -> str:
        """All before the committed offset is done, but for fetches, of which this is the oldest."""
        return note_of(self._fetches.oldest(partition))

    def handle(self, batch: Batch) -> Mapping[str, object]:
        """Raises BadDeployError when an error of ours met too many records in a row."""
        outcomes: Counter[str] = Counter()
        # A pair that began meanwhile would be strangers.
        if time.monotonic() >= self._tools.follower.fresh_until:
            raise TryLaterError("the projection of the log is behind: does `rapport ingest work` run its projector?")
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

    def _once_more(self, record: Record, take: Callable[[Record, OpenedPayload, Translation], object]) -> None:
        """Whatever it meets it met before, and has been put aside for it."""
        try:
            payloads = opened(record, self._tools.connections)
            for payload in payloads if isinstance(payloads, list) else ():
                take(record, payload, payload.translated())
        except KafkaError:
            raise
        except Exception as failure:  # noqa: BLE001 (told; it counts for nothing)
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            self._log.error("record_not_heard_again", **place, **error_fields(failure))

    def _outcomes(self, record: Record) -> list[str]:
        """Of each payload. What was written of one before it met an error of ours stands, as with one that is
        rejected."""
        try:
            payloads = opened(record, self._tools.connections)
        except Exception as failure:  # noqa: BLE001 (put aside, told, and counted)
            payloads = self._unexpected.rejected(record, failure)
        if isinstance(payloads, Rejected):
            return [self._put_aside(record, payloads)]
        outcomes: list[str] = []
        for payload in payloads:
            work = partial(self._result, record, payload)
            result = self._unexpected.attempt(record, work, KafkaError, TryLaterError)
            outcomes.append(self._told(record, payload, result))
        return outcomes

    def _result(self, record: Record, payload: OpenedPayload) -> Result | Waiting:
        match payload.translated():
            case Ignored() | Rejected() as nothing:
                return nothing
            case Pointer() as pointer:
                return self._fetches.add(fetch_of(record, payload, pointer)) or Waiting()
            case said:
                return self._statements.write(said, payload.connection.connection_scope)

    def _told(self, record: Record, payload: OpenedPayload, result: Result | FetchedResources | Waiting) -> str:
        match result:
            case Rejected() as rejected:
                return self._put_aside(record, rejected, payload)
            case Ignored(reason):
                if reason in payload.connection.tool.loud:
                    scope = payload.connection.connection_scope
                    self._log.warning(
                        "tool_needs_attention", tool=scope.tool, connection=scope.connection, reason=reason
                    )
                return f"ignored:{reason}"
            case Written(repeat):
                return "duplicate" if repeat else "admitted"
            case FetchedResources(rejected=unrecorded):
                return "fetched" if unrecorded is None else self._put_aside(record, unrecorded, payload)
            case Waiting():
                return "waiting"
            case other:
                assert_never(other)

    def _put_aside(self, record: Record, rejected: Rejected, payload: OpenedPayload | None = None) -> str:
        send = partial(self._quarantined, record, rejected, payload)
        self._statements.pending_writes.owe(send(), send)
        return f"rejected:{rejected.reason}"

    def _quarantined(self, record: Record, rejected: Rejected, payload: OpenedPayload | None = None) -> Future[None]:
        bare = without_text(record, self._tools.connections)
        try:
            part = part_of(record, self._tools.connections, payload)
        except Exception as failure:  # noqa: BLE001 (told; what cannot be freed of text is not kept)
            self._log.error("text_not_cut", topic=record.topic, offset=record.offset, **error_fields(failure))
            # Where it was is kept, nothing else.
            part = replace(_nothing_of(record.value or b"", ()), number=payload.number if payload else None)
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
    """What is put aside: what may be kept of the payload, or of the record as a whole if it could not be opened."""
    known, whole = connection_of(record, connections), record.value or b""
    if isinstance(known, Rejected):
        name = header_of(record, CONNECTION)
        return _nothing_of(whole, ((CONNECTION, name),) if NAME.fullmatch(name) else ())
    kept = payload.kept if payload else known.kept(whole, header_of(record, CONTENT_TYPE) or JSON)
    notes = ((CONNECTION, known.connection_scope.connection),)
    number = payload.number if payload else None
    if isinstance(kept, Rejected):
        return replace(_nothing_of(whole, notes), number=number)
    is_cut = kept.was_cut or header_of(record, TEXT_CUT)
    return DeadLetterPart(kept.payload, number, (*notes, (TEXT_CUT, "1")) if is_cut else notes)


def without_text(record: Record, connections: Mapping[str, Connection]) -> Record:
    """Its key and its headers as they may stand in quarantine: those that we read, with values such as we write. What
    is kept beside them is JSON, in whichever form it came."""
    known = connection_of(record, connections)
    headers = [
        (name, value) for name, value in record.headers if name in HEADERS and HEADERS[name].fullmatch(value or b"")
    ]
    headers = [*headers, (CONTENT_TYPE, JSON.encode())]
    key = record.key
    if key is not None and not is_plain(key.decode(errors="replace")):
        key = None if isinstance(known, Rejected) else known.connection_scope.connection.encode()
    return record._replace(key=key, headers=tuple(dict(reversed(headers)).items()))


def _nothing_of(value: bytes, notes: tuple[tuple[str, str], ...]) -> DeadLetterPart:
    """Of an unknown connection, or unreadable. The original lies on its topic for a while."""
    words = f"all {len(value)} bytes: what people wrote cannot be told from the rest"
    return DeadLetterPart(b"", notes=(*notes, (NOTHING_KEPT, words)))


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
    return frozenset(connection.connection_scope.raw_topic for connection in connections.values())


@contextmanager
def tool_topics(shared: Shared, known: ProjectionAccess, stop: threading.Event) -> Iterator[Parts]:
    """Raises KafkaError."""
    health = shared.readiness.part("tools")
    if not shared.connections and shared.settings.ingest_connections is None:
        health.report("ready", "no connections, RAPPORT_INGEST_CONNECTIONS is not set")
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

        def clock() -> Clock:
            return Clock(datetime.now(UTC), settings.clock)

        statements = Statements(shared.event_writer, Directory(producer), known.projection, clock, find)
        past, span = partial(day_before, settings), partial(between, settings)
        tools = Tools(shared.connections, topics, fetcher, past, span, known.follower)
        work = ToolRecords(tools, statements, producer, shared.metrics)
        loop = BatchLoop(reader, work, health, Limits(records=MOST_RECORDS))

        def run() -> None:
            while not topics.subscribe():
                health.report("ready", "RAPPORT_INGEST_CONNECTIONS names a file without connections")
                if stop.wait(NOTICED_SECONDS):
                    return
            known.then(loop, stop)

        yield {"tools": run}
