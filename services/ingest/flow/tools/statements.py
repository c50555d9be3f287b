"""What tools and the API say: opened from the records of raw topics, and written onto the log and onto the topic of
statements about people."""

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
from services.ingest.domain.tools.projection import Find, Projection, Spoken, spoken_of
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.flow.event_writer import EventWriter, LogProducer, Receipt, Together
from services.ingest.flow.in_flight import PendingWrites, time_of, unwritable
from services.ingest.sources.tool import MOST_BYTES, Connection, Kept, Received
from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.kafka import OutgoingRecord, Record, UnwritableRecordError

# Of a record from the gateway there are three.
MOST_HEADERS = 10_000

CONNECTION, CONTENT_TYPE = "connection", "content-type"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class OpenedPayload:
    """Of what may be kept of it; an enterprise that writes records itself has cut nothing. `number` tells it from the
    others of its record; None if it is the only one."""

    connection: Connection
    kept: Kept | Rejected
    number: int | None = None

    def translated(self) -> Translation:
        if isinstance(self.kept, Rejected):
            return self.kept
        return self.connection.tool.translate(self.kept.value, self.connection.settings)


def opened(record: Record, connections: Mapping[str, Connection]) -> list[OpenedPayload] | Rejected:
    """Never empty: a record of an enterprise may hold several, which are split as they would have been over HTTP."""
    if len(record.headers) > MOST_HEADERS:
        return rejected("too_large", "headers", f"a record has at most {MOST_HEADERS} headers")
    found = connection_of(record, connections)
    if isinstance(found, Rejected):
        return found
    if len(record.value or b"") > max(MOST_BYTES, found.tool.most_bytes):
        return rejected("too_large", "", f"a record has at most {found.tool.most_bytes} bytes")
    received = Received({CONTENT_TYPE: header_of(record, CONTENT_TYPE) or JSON}, record.value or b"")
    taken = found.tool.take(received, found.settings, time_of(record))
    if isinstance(taken, Rejected):
        return taken
    several = len(taken.payloads) > 1
    return [
        OpenedPayload(found, found.kept(value, taken.media_type), number if several else None)
        for number, value in enumerate(taken.payloads)
    ]


def connection_of(record: Record, connections: Mapping[str, Connection]) -> Connection | Rejected:
    name, tool = header_of(record, CONNECTION), record.topic.rpartition(".")[2]
    if not name:
        return rejected("invalid", "header connection", "is required: it names the connection that speaks")
    found = connections.get(name)
    if found is None or found.tool.name != tool:
        named = name if NAME.fullmatch(name) else "of this name"
        return rejected("invalid", "header connection", f"there is no connection {named} of {tool}")
    return found


def header_of(record: Record, name: str) -> str:
    """Empty if it is not there; of several the first."""
    return next((value.decode(errors="replace") for key, value in record.headers if key == name and value), "")


class Directory:
    """What is said of people, on its topic; the projector merges it into the directory, and nobody else writes that.
    For any thread. Futures complete when the statement is on its topic. Raises KafkaError when the broker is lost."""

    def __init__(self, producer: LogProducer) -> None:
        self._producer = producer

    def write(self, statement: DirectoryStatement) -> Future[None] | Rejected:
        """Rejected where it is more than a record may hold."""
        sending = self._producer.write_group()
        receipt = self.write_for(sending, statement)
        sending.close()
        return receipt if isinstance(receipt, Rejected) else receipt.written

    def together(self) -> Together:
        """For many statements, which complete together."""
        return self._producer.write_group()

    def write_for(self, sending: Together, statement: DirectoryStatement) -> Receipt | Rejected:
        """One of many."""
        value = statement.model_dump_json().encode()
        try:
            return Receipt(sending, sending.send(OutgoingRecord(DIRECTORY_STATEMENTS.name, value, statement.key, [])))
        except UnwritableRecordError as failure:
            return unwritable(failure)

    def erase(self, tenant: str, participant: str, feed: str, now: datetime) -> Future[None]:
        """What was said before counts no more: the directory gets a tombstone."""
        erasure = DirectoryStatement(id=participant, tenant=tenant, feed=feed, kind="erases", recordedtime=now)
        written = self.write(erasure)
        assert not isinstance(written, Rejected), "an erasure is as large as its ids"
        return written


# The table is ordered by tenant first. One statement becomes an event per relationship; nobody is in a thousand.
_SQL = """
SELECT source, id, type, toUnixTimestamp64Micro(occurred_at), relationship_id, program_id, payload
FROM mentoring.events
WHERE tenant_id = {tenant:String} AND source = {source:String} AND startsWith(id, {statement:String})
ORDER BY position
LIMIT 1000
"""


class StoredStatements:
    """For one thread. Whoever may not ask now is told nothing and may ask again: what is unresolved can be requeued,
    whereas waiting for the warehouse would keep everything else of the tool from the log."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def find(self, tenant: str, source: str, statement: str) -> tuple[Spoken, ...]:
        asked = {"tenant": tenant, "source": source, "statement": f"{statement}."}
        try:
            rows = self._clickhouse.query(_SQL, asked)
        except ClickHouseError as away:
            log.get(__name__).warning("warehouse_not_asked", source=source, error=str(away)[:500])
            return ()
        return tuple(dict.fromkeys(spoken for row in rows if (spoken := _spoken(tenant, row))))


def _spoken(tenant: str, row: tuple[Any, ...]) -> Spoken | None:
    """None for what the schemas of today do not know; nothing else writes that table."""
    source, event_id, kind, occurred_at, relationship, program, payload = row
    time = to_rfc3339(from_micros(occurred_at))
    envelope = {"source": source, "id": event_id, "type": kind, "time": time, "recordedtime": time, "tenant": tenant}
    whole = envelope | {
        "subject": relationship,
        "program": program,
        "partitionkey": partition_key(tenant, relationship),
        "data": json.loads(payload),
    }
    try:
        event = MENTORING_EVENT.validate_json(json.dumps(whole))
    except ValidationError:
        return None
    return None if isinstance(event, OfPartition) else spoken_of(event)


@dataclass(frozen=True)
class Written:
    """`repeat`: it was on the log before, as far as this process remembers."""

    repeat: bool


Result = Written | Ignored | Rejected
UNCHANGED = Ignored("unchanged")


class Statements:
    """For one thread. What was written is heard at once, because what is said next may be about it."""

    def __init__(
        self,
        event_writer: EventWriter,
        directory: Directory,
        projection: Projection,
        clock: Callable[[], Clock],
        find: Find,
    ) -> None:
        """`find` is asked for what a tool takes back and the memory has forgotten."""
        self._event_writer, self._directory, self._clock, self._find = event_writer, directory, clock, find
        self.projection = projection
        self.pending_writes = PendingWrites()

    def write(self, said: tuple[Activity, ...], scope: ConnectionScope) -> Result:
        """One payload. The first that is rejected rejects it, and what was written of it before stands: it is a
        repeat when the payload is sent again. Else what is written counts, then what was there, then the first reason
        why nothing was. Raises KafkaError or TryLaterError; then it may be told again."""
        results: list[Result] = []
        for statement in said:
            stored: tuple[Spoken, ...] = ()
            if isinstance(statement, Voided):
                target = target_of(statement, scope)
                stored = () if self.projection.memory.find(*target) else self._find(*target)
            resolved = resolve(statement, scope, self.projection, stored)
            self.projection.track(statement, scope, resolved.events if isinstance(resolved, Resolved) else ())
            result = self._recorded(resolved, scope) if isinstance(resolved, Resolved) else resolved
            if isinstance(result, Rejected):
                return result
            results.append(result)
        written = [result for result in results if isinstance(result, Written)]
        return Written(repeat=all(result.repeat for result in written)) if written else results[0]

    def _recorded(self, resolved: Resolved, scope: ConnectionScope) -> Result:
        clock, repeats = self._clock(), []
        for verdict in [admit(raw, scope.scope, clock) for raw in resolved.events]:
            if isinstance(verdict, Rejected):
                return verdict
            receipt = self._event_writer.record(verdict.event)
            if isinstance(receipt, Rejected):
                return receipt
            self.pending_writes.owe(receipt.written, partial(self._event_writer.record_again, verdict.event))
            self.projection.apply(verdict.event)
            repeats.append(receipt.repeat)
        for statement in resolved.statements:
            send = partial(self._directory.write, statement)
            sent = send()
            if isinstance(sent, Rejected):
                return sent
            self.pending_writes.owe(sent, send)
        for participant in resolved.participants:
            self.projection.upsert(participant)
        if resolved.rejected:
            return resolved.rejected
        if not resolved.events and not resolved.participants:
            return UNCHANGED
        return Written(not resolved.participants and all(repeats))
