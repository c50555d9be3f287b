"""What tools and the API say, onto the log and onto the topic of statements about people."""

import json
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.directory import DirectoryStatement
from schemas.events import MENTORING_EVENT, MentoringEvent, OfPartition, partition_key
from schemas.primitives import from_micros, to_rfc3339
from schemas.topics import DIRECTORY_STATEMENTS
from services.ingest.domain.activity import Activity, Voided
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.generic_events import target_of
from services.ingest.domain.tools.projection import Find, Projection, Spoken, spoken_of
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.event_writer import EventWriter, LogProducer, Receipt, Together
from services.ingest.flow.in_flight import unwritable
from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.kafka import KafkaError, OutgoingRecord, UnwritableRecordError
from services.runtime.loop import TryLaterError, later_if_away

# The loop polls again after this; the producer goes on trying meanwhile.
MOST_SECONDS = 20.0

Send = Callable[[], Future[None] | Rejected]
PutAside = Callable[[Rejected], Future[None]]


class _Owed(NamedTuple):
    written: Future[None]
    again: Send
    put_aside: PutAside | None


class PendingWrites:
    """For one thread."""

    def __init__(self) -> None:
        self._owed: list[_Owed] = []
        self._failed: list[_Owed] = []
        self._put_aside: PutAside | None = None

    def of(self, put_aside: PutAside) -> None:
        """What is owed from now on came of the record that this puts aside, should the broker never take it."""
        self._put_aside = put_aside

    def owe(self, written: Future[None], again: Send) -> None:
        """It has been sent; `again` sends the same once more."""
        self._owed.append(_Owed(written, again, self._put_aside))

    def settle(self) -> None:
        """Returns when all is acknowledged. Raises TryLaterError: then the next call sends again what is not."""
        with later_if_away():
            while self._failed:
                self._owed.append(self._failed[0]._replace(written=_sent_again(self._failed[0])))
                del self._failed[0]
        wait([owed.written for owed in self._owed], MOST_SECONDS)
        self._failed = [owed for owed in self._owed if _failure_of(owed.written)]
        self._owed = [owed for owed in self._owed if not owed.written.done()]
        if self._failed or self._owed:
            raise TryLaterError("the broker does not acknowledge")


def _sent_again(owed: _Owed) -> Future[None]:
    """What can never be written is put aside: it would be refused as often as it is sent."""
    failure = _failure_of(owed.written)
    if isinstance(failure, UnwritableRecordError) and owed.put_aside:
        return owed.put_aside(unwritable(failure))
    sent = owed.again()
    if isinstance(sent, Future):
        return sent
    assert owed.put_aside, "only what came of a record can be rejected when it is sent again"
    return owed.put_aside(sent)


def _failure_of(written: Future[None]) -> KafkaError | None:
    """None as well where it is not known yet: then the same record is waited for again."""
    try:
        written.result(0)
    except TimeoutError:
        return None
    except KafkaError as failure:
        return failure
    return None


class Directory:
    """What is said of people, on its topic; the projector merges it into the directory, and nobody else writes that.
    For any thread. Futures complete when the statement is on its topic. Raises KafkaError when the broker is lost."""

    def __init__(self, producer: LogProducer) -> None:
        self._producer = producer

    def write(self, statement: DirectoryStatement) -> Future[None] | Rejected:
        """Rejected where it is more than a record may hold."""
        sending = self._producer.together()
        receipt = self.write_for(sending, statement)
        sending.close()
        return receipt if isinstance(receipt, Rejected) else receipt.written

    def together(self) -> Together:
        """For many statements, which complete together."""
        return self._producer.together()

    def write_for(self, sending: Together, statement: DirectoryStatement) -> Receipt | Rejected:
        """One of many."""
        try:
            return Receipt(sending, self._send(sending, statement))
        except UnwritableRecordError as failure:
            return unwritable(failure)

    def erase(self, tenant: str, participant: str, feed: str, now: datetime) -> Future[None]:
        """What was said before counts no more: the directory gets a tombstone."""
        sending = self._producer.together()
        statement = DirectoryStatement(id=participant, tenant=tenant, feed=feed, kind="erases", recordedtime=now)
        self._send(sending, statement)
        sending.close()
        return sending.written

    def _send(self, sending: Together, statement: DirectoryStatement) -> int:
        value = statement.model_dump_json().encode()
        return sending.send(OutgoingRecord(DIRECTORY_STATEMENTS.name, value, statement.key, []))


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
        repeat when the payload is sent again. Raises KafkaError or TryLaterError; then it may be told again."""
        results: list[Result] = []
        for statement in said:
            result = self._one(statement, scope)
            if isinstance(result, Rejected):
                return result
            results.append(result)
        return _whole(results)

    def _one(self, said: Activity, scope: ConnectionScope) -> Result:
        resolved = resolve(said, scope, self.projection, self._stored(said, scope))
        self.projection.track(said, scope)
        return self._recorded(resolved, scope) if isinstance(resolved, Resolved) else resolved

    def _stored(self, said: Activity, scope: ConnectionScope) -> tuple[Spoken, ...]:
        if not isinstance(said, Voided):
            return ()
        target = target_of(said, scope)
        return () if self.projection.memory.find(*target) else self._find(*target)

    def _recorded(self, resolved: Resolved, scope: ConnectionScope) -> Result:
        clock, repeats = self._clock(), []
        verdicts = [admit(raw, scope.scope, clock) for raw in resolved.events]
        for verdict in verdicts:
            result = verdict if isinstance(verdict, Rejected) else self._event(verdict.event)
            if isinstance(result, Rejected):
                return result
            repeats.append(result.repeat)
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
        return UNCHANGED if resolved.changes_nothing else Written(not resolved.participants and all(repeats))

    def _event(self, event: MentoringEvent) -> Written | Rejected:
        receipt = self._event_writer.record(event)
        if isinstance(receipt, Rejected):
            return receipt
        self.pending_writes.owe(receipt.written, partial(self._event_writer.record_again, event))
        self.projection.apply(event)
        return Written(receipt.repeat)


def _whole(results: list[Result]) -> Result:
    """What is written counts, then what was there, then the first reason why nothing was."""
    written = [result for result in results if isinstance(result, Written)]
    if written:
        return Written(repeat=all(result.repeat for result in written))
    return results[0]
