"""The raw topics of tools: each payload becomes events, is ignored for a reason, or goes to quarantine with one."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import assert_never

from services.ingest.domain.tools.said import Pointer
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.quarantine import quarantine
from services.ingest.flow.tools.pending_fetches import Fetch, Key, PendingFetches, note_of, oldest_noted
from services.ingest.flow.tools.raw_payloads import Payload, opened, part_of, time_of
from services.ingest.flow.tools.statements import Result, Statements, Written
from services.ingest.pointers.follow import Followed, Pointers
from services.ingest.sources.connection import Connection
from services.runtime import log
from services.runtime.kafka import Committed, KafkaError, Partition, Producer, Record
from services.runtime.loop import Batch, TryLaterError

GROUP = "rapport-ingest-tools"
# Of one batch: what is polled at once is handled before the next poll.
MOST_RECORDS = 100
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
    """Who may speak, what has to be fetched for them, and what they said."""

    connections: Mapping[str, Connection]
    pointers: Pointers
    past: Past
    between: Between


class Waiting:
    """It is fetched beside the batches, as soon as its tool answers."""


class ToolRecords:
    """The work of a BatchLoop: what every record became is acknowledged when its batch is done."""

    def __init__(self, tools: Tools, statements: Statements, producer: Producer, metrics: Metrics) -> None:
        self._tools, self._statements, self._producer, self._metrics = tools, statements, producer, metrics
        self._fetches = PendingFetches(tools.pointers)
        self._log = log.get(__name__)

    def resume(self, partition: Partition, committed: Committed | None) -> None:
        """Hears once more who came and left within the last day: what comes now may be of the same meetings; and what
        was not fetched yet."""
        try:
            self._fetch_again(partition, committed)
            for record in self._tools.past(partition, committed.offset) if committed else ():
                self._attend(record)
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away

    def idle(self) -> None:
        """What was pointed to is fetched by time, beside the batches."""
        for fetch, outcome in self._fetches.done():
            try:
                told = self._told(fetch.record, fetch.payload, outcome)
            except KafkaError as away:
                # It could not be put aside, and is fetched once more.
                self._fetches.add(fetch)
                raise TryLaterError(f"the broker is away: {away}") from away
            self._metrics.payloads.labels(fetch.payload.connection.speaker.tool, "log", told).inc()
        self._fetches.start()
        self._metrics.fetches.set(len(self._fetches))
        self._statements.outbox.settle()

    def note(self, partition: Partition) -> str:
        """All before the committed offset is done, but for fetches, of which this is the oldest."""
        return note_of(self._fetches.oldest(partition))

    def handle(self, batch: Batch) -> Mapping[str, object]:
        outcomes: Counter[str] = Counter()
        # What an earlier try wrote and the broker did not take comes first: what follows relies on it.
        self._statements.outbox.settle()
        try:
            for record in batch.records:
                outcomes.update(self._outcomes(record))
        except KafkaError as away:
            raise TryLaterError(f"the broker is away: {away}") from away
        self._statements.outbox.settle()
        for outcome, count in outcomes.items():
            tool = batch.partition.topic.rpartition(".")[2]
            self._metrics.payloads.labels(tool, "log", outcome).inc(count)
        return outcomes

    def _fetch_again(self, partition: Partition, committed: Committed | None) -> None:
        self._fetches.forget(partition)
        oldest = oldest_noted(committed.metadata) if committed else None
        for record in (
            self._tools.between(partition, oldest, committed.offset) if committed and oldest is not None else ()
        ):
            payloads = opened(record, self._tools.connections)
            for payload in payloads if isinstance(payloads, list) else ():
                pointer = payload.translated()
                if isinstance(pointer, Pointer):
                    self._fetches.add(_fetch(record, payload, pointer))

    def _attend(self, record: Record) -> None:
        payloads = opened(record, self._tools.connections)
        for payload in payloads if isinstance(payloads, list) else ():
            said = payload.translated()
            for statement in said if isinstance(said, tuple) else ():
                self._statements.knowledge.attend(statement, payload.connection.speaker)

    def _outcomes(self, record: Record) -> list[str]:
        payloads = opened(record, self._tools.connections)
        if isinstance(payloads, Rejected):
            return [self._put_aside(record, payloads)]
        return [self._outcome(record, payload) for payload in payloads]

    def _outcome(self, record: Record, payload: Payload) -> str:
        return self._told(record, payload, self._result(record, payload))

    def _told(self, record: Record, payload: Payload, result: Result | Followed | Waiting) -> str:
        match result:
            case Rejected() as rejected:
                return self._put_aside(record, rejected, payload)
            case Ignored(reason):
                self._say_if_loud(reason, payload.connection)
                return f"ignored:{reason}"
            case Written(repeat):
                return "duplicate" if repeat else "admitted"
            case Followed():
                return "fetched"
            case Waiting():
                return "waiting"
            case other:
                assert_never(other)

    def _result(self, record: Record, payload: Payload) -> Result | Waiting:
        connection = payload.connection
        match payload.translated():
            case Ignored() | Rejected() as nothing:
                return nothing
            case Pointer() as pointer:
                return self._fetches.add(_fetch(record, payload, pointer)) or Waiting()
            case said:
                return self._statements.write(said, connection.speaker)

    def _put_aside(self, record: Record, rejected: Rejected, payload: Payload | None = None) -> str:
        part = part_of(record, self._tools.connections, payload)
        send = partial(quarantine, self._producer, record, rejected, part)
        self._statements.outbox.owe(send(), send)
        return f"rejected:{rejected.reason}"

    def _say_if_loud(self, reason: str, connection: Connection) -> None:
        if reason in connection.tool.loud:
            speaker = connection.speaker
            self._log.warning("tool_needs_attention", tool=speaker.tool, connection=speaker.connection, reason=reason)


def _fetch(record: Record, payload: Payload, pointer: Pointer) -> Fetch:
    """Of the record only what quarantine needs beside the payload: it may be held for long."""
    key = Key(Partition(record.topic, record.partition), payload.connection.speaker.connection, pointer.resource)
    headers = tuple((name, value) for name, value in record.headers if name in KEPT_HEADERS)[:MOST_HEADERS]
    return Fetch(
        key, record.offset, replace(record, value=None, headers=headers), payload, time_of(record), _size(record)
    )


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"") + sum(len(value or b"") for _, value in record.headers)
