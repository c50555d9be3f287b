"""Statements of tools: opened from the records of raw topics, resolved, and written to the log and to the topic of
directory statements."""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import ValidationError

from schemas.directory import DirectoryStatement
from schemas.events import MENTORING_EVENT, OfPartition, partition_key
from schemas.primitives import from_micros, to_rfc3339
from schemas.topics import DIRECTORY_STATEMENTS
from services.ingest.domain.activity import Activity, Translation, Voided
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents import JSON
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.generic_events import target_of
from services.ingest.domain.tools.projection import EmittedEvent, Find, Projection, emitted_event
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.flow.event_writer import EventWriter, LogProducer, ProducerBatch, Receipt
from services.ingest.flow.in_flight import PendingWrites, record_time, rejection_of
from services.ingest.sources.tool import MAX_BYTES, Connection, Received, RedactedPayload
from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.kafka import OutgoingRecord, Record, UnwritableRecordError

# A record from the gateway has three.
MAX_HEADERS = 10_000

CONNECTION, CONTENT_TYPE = "connection", "content-type"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class OpenedPayload:
    """A payload cut to what may be kept of it: an enterprise that writes records itself does not cut them. `number` is
    its number within the record; None if it is the only one."""

    connection: Connection
    kept: RedactedPayload | Rejected
    number: int | None = None

    def translate(self) -> Translation:
        if isinstance(self.kept, Rejected):
            return self.kept
        return self.connection.tool.translate(self.kept.value, self.connection.settings)


def open_payloads(record: Record, connections: Mapping[str, Connection]) -> list[OpenedPayload] | Rejected:
    """Never empty. A record that an enterprise wrote may hold several payloads, which are split as over HTTP."""
    if len(record.headers) > MAX_HEADERS:
        return rejected("too_large", "headers", f"a record has at most {MAX_HEADERS} headers")
    found = connection_of(record, connections)
    if isinstance(found, Rejected):
        return found
    if len(record.value or b"") > max(MAX_BYTES, found.tool.most_bytes):
        return rejected("too_large", "", f"a record has at most {found.tool.most_bytes} bytes")
    received = Received({CONTENT_TYPE: header_of(record, CONTENT_TYPE) or JSON}, record.value or b"")
    split = found.tool.split(received, found.settings, record_time(record))
    if isinstance(split, Rejected):
        return split
    several = len(split.payloads) > 1
    return [
        OpenedPayload(found, found.redact(value, split.media_type), number if several else None)
        for number, value in enumerate(split.payloads)
    ]


def connection_of(record: Record, connections: Mapping[str, Connection]) -> Connection | Rejected:
    name, tool = header_of(record, CONNECTION), record.topic.rpartition(".")[2]
    if not name:
        return rejected("invalid", "header connection", "is required: it names the connection that speaks")
    found = connections.get(name)
    if found is None or found.tool.name != tool:
        shown = name if NAME.fullmatch(name) else "of this name"
        return rejected("invalid", "header connection", f"there is no connection {shown} of {tool}")
    return found


def header_of(record: Record, name: str) -> str:
    """The first header of that name; empty if there is none."""
    return next((value.decode(errors="replace") for key, value in record.headers if key == name and value), "")


class DirectoryStatementWriter:
    """Writes statements about people to their topic. The projector merges them into the directory and is its only
    writer. For any thread. Futures complete when the statement is on its topic. Raises KafkaError when the broker is
    lost."""

    def __init__(self, producer: LogProducer) -> None:
        self._producer = producer

    def write(self, statement: DirectoryStatement) -> Future[None] | Rejected:
        """Rejected if it is more than a record may hold."""
        batch = self.batch()
        receipt = self.write_in(batch, statement)
        batch.close()
        return receipt if isinstance(receipt, Rejected) else receipt.written

    def batch(self) -> ProducerBatch:
        return self._producer.write_group()

    def write_in(self, batch: ProducerBatch, statement: DirectoryStatement) -> Receipt | Rejected:
        """As `write`, as part of a batch."""
        value = statement.model_dump_json().encode()
        try:
            return Receipt(batch, batch.send(OutgoingRecord(DIRECTORY_STATEMENTS.name, value, statement.key, [])))
        except UnwritableRecordError as failure:
            return rejection_of(failure)

    def erase(self, tenant: str, participant: str, feed: str, now: datetime) -> Future[None]:
        """Voids all earlier statements about the participant: the directory gets a tombstone."""
        erasure = DirectoryStatement(id=participant, tenant=tenant, feed=feed, kind="erases", recordedtime=now)
        written = self.write(erasure)
        assert not isinstance(written, Rejected), "an erasure is as large as its ids"
        return written


# The table is ordered by tenant first. One statement becomes an event per relationship; nobody has a thousand.
_SQL = """
SELECT source, id, type, toUnixTimestamp64Micro(occurred_at), relationship_id, program_id, payload
FROM mentoring.events
WHERE tenant_id = {tenant:String} AND source = {source:String} AND startsWith(id, {statement:String})
ORDER BY position
LIMIT 1000
"""


class StoredStatements:
    """Events of earlier statements, from the warehouse. For one thread. While the warehouse is away nothing is found:
    a payload that stays unresolved can be requeued, whereas waiting would block all other payloads of the tool."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def find(self, tenant: str, source: str, statement: str) -> tuple[EmittedEvent, ...]:
        parameters = {"tenant": tenant, "source": source, "statement": f"{statement}."}
        try:
            rows = self._clickhouse.query(_SQL, parameters)
        except ClickHouseError as away:
            log.get(__name__).warning("warehouse_not_asked", source=source, error=str(away)[:500])
            return ()
        return tuple(dict.fromkeys(spoken for row in rows if (spoken := _parse_row(tenant, row))))


def _parse_row(tenant: str, row: tuple[Any, ...]) -> EmittedEvent | None:
    """None for a row that today's schemas do not accept; nothing else writes that table."""
    source, event_id, kind, occurred_at, relationship, program, payload = row
    time = to_rfc3339(from_micros(occurred_at))
    envelope = {"source": source, "id": event_id, "type": kind, "time": time, "recordedtime": time, "tenant": tenant}
    complete = envelope | {
        "subject": relationship,
        "program": program,
        "partitionkey": partition_key(tenant, relationship),
        "data": json.loads(payload),
    }
    try:
        event = MENTORING_EVENT.validate_json(json.dumps(complete))
    except ValidationError:
        return None
    return None if isinstance(event, OfPartition) else emitted_event(event)


@dataclass(frozen=True)
class Written:
    """`duplicate`: it was on the log before, as far as this process remembers."""

    duplicate: bool


Result = Written | Ignored | Rejected
UNCHANGED = Ignored("unchanged")


class Statements:
    """For one thread. The projection applies written events at once: the next statement may be about them."""

    def __init__(
        self,
        event_writer: EventWriter,
        directory: DirectoryStatementWriter,
        projection: Projection,
        clock: Callable[[], Clock],
        find: Find,
    ) -> None:
        """`find` finds retracted statements that the projection no longer remembers."""
        self._event_writer, self._directory, self._clock, self._find = event_writer, directory, clock, find
        self.projection = projection
        self.pending_writes = PendingWrites()

    def write(self, activities: tuple[Activity, ...], scope: ConnectionScope) -> Result:
        """Writes the activities of one payload. The first rejected one rejects the payload; what was written of it
        before stands, and is a duplicate when the payload is sent again. Otherwise the result is Written if anything
        was, a duplicate if all of it was there before, or the first reason why nothing was. Raises KafkaError or
        TryLaterError: then the payload may be written again."""
        results: list[Result] = []
        for statement in activities:
            stored: tuple[EmittedEvent, ...] = ()
            if isinstance(statement, Voided):
                target = target_of(statement, scope)
                stored = () if self.projection.statement_index.find(*target) else self._find(*target)
            resolved = resolve(statement, scope, self.projection, stored)
            self.projection.track(statement, scope, resolved.events if isinstance(resolved, Resolved) else ())
            result = self._record(resolved, scope) if isinstance(resolved, Resolved) else resolved
            if isinstance(result, Rejected):
                return result
            results.append(result)
        written = [result for result in results if isinstance(result, Written)]
        return Written(duplicate=all(result.duplicate for result in written)) if written else results[0]

    def _record(self, resolved: Resolved, scope: ConnectionScope) -> Result:
        clock, duplicates = self._clock(), []
        for verdict in [admit(raw, scope.scope, clock) for raw in resolved.events]:
            if isinstance(verdict, Rejected):
                return verdict
            receipt = self._event_writer.record(verdict.event)
            if isinstance(receipt, Rejected):
                return receipt
            self.pending_writes.add(receipt.written, partial(self._event_writer.record_again, verdict.event))
            self.projection.apply(verdict.event)
            duplicates.append(receipt.duplicate)
        for statement in resolved.statements:
            send = partial(self._directory.write, statement)
            sent = send()
            if isinstance(sent, Rejected):
                return sent
            self.pending_writes.add(sent, send)
        for participant in resolved.participants:
            self.projection.upsert(participant)
        if resolved.rejected:
            return resolved.rejected
        if not resolved.events and not resolved.participants:
            return UNCHANGED
        return Written(not resolved.participants and all(duplicates))
