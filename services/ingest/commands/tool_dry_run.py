"""Takes a tool's request through the code of the services: gateway, raw topic, translation, roster, admission, log and
attendance. Only the log is replaced by one in memory; nothing is written anywhere."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from schemas.directory import DirectoryStatement, Participant
from schemas.events import MENTORING_EVENT, MentoringEvent, OfPartition
from schemas.primitives import LAST_YEAR
from schemas.topics import DIRECTORY_STATEMENTS, EVENTS, raw_topic
from services.ingest.domain.activity import Activity, Pointer
from services.ingest.domain.admission import Clock
from services.ingest.domain.meetings.attendance_fold import AttendanceFold, SessionKey
from services.ingest.domain.people.participants import apply_statement, is_same
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.allow_list import cut_paths
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected, explain
from services.ingest.flow.attendance import admit_outcome
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.tools.statements import DirectoryStatementWriter, Statements, open_payloads
from services.ingest.sources.connections import ConnectionsError, load_connections
from services.ingest.sources.tool import Connection, Received, Tool
from services.runtime.kafka import OutgoingRecord, Record
from services.runtime.strict_yaml import UnreadableError, documents


class InMemoryLog:
    """Takes the place of a producer, for one thread. Written events are validated as readers of the log validate them,
    and statements about people are merged as the projector merges them."""

    def __init__(self, find_participant: Callable[[str, str], Participant | None]) -> None:
        """`find_participant` returns the participant whom the directory holds before a statement, by tenant and id."""
        self._find_participant = find_participant
        self._events: list[MentoringEvent] = []
        self._participants: list[Participant] = []

    def partitions(self, topic: str) -> list[int]:
        return [0] if topic == EVENTS.name else []

    def write(self, outgoing: OutgoingRecord) -> None:
        value = outgoing.value or b""
        if outgoing.topic == EVENTS.name:
            self._events.append(MENTORING_EVENT.validate_json(value))
            return
        assert outgoing.topic == DIRECTORY_STATEMENTS.name, "a dry run writes events and statements about people"
        statement = DirectoryStatement.model_validate_json(value)
        existing = self._find_participant(statement.tenant, statement.id)
        found = apply_statement(statement, existing)
        if isinstance(found, Participant) and not is_same(found, existing):
            self._participants.append(found)

    def write_group(self) -> "_CompletedWrites":
        return _CompletedWrites(self)

    def drain(self) -> tuple[tuple[MentoringEvent, ...], tuple[Participant, ...]]:
        """Return events and changed people since the last call."""
        found = tuple(self._events), tuple(self._participants)
        self._events, self._participants = [], []
        return found


class _CompletedWrites:
    def __init__(self, log: InMemoryLog) -> None:
        self._log = log
        self.written: Future[None] = Future()
        self.failures: dict[int, BaseException] = {}

    def send(self, outgoing: OutgoingRecord) -> int:
        self._log.write(outgoing)
        return 0

    def submit_pending(self) -> None:
        """Nothing to do: each record is written at once."""

    def close(self) -> None:
        self.written.set_result(None)


Refusal = Ignored | Rejected
NOT_REACHED = Ignored("after_a_rejection")
MAX_REMEMBERED = 100_000
"""The service's default."""
END_OF_TIME = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
"""Every meeting is over by then."""


@dataclass(frozen=True)
class StatementResult:
    """One statement and its outcome: events and people, or a refusal; none of them without a roster."""

    activity: Activity
    events: tuple[MentoringEvent, ...] = ()
    participants: tuple[Participant, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True)
class PayloadResult:
    """One payload: its statements, or the resource that it points to, or why it is refused. `cut` lists the fields that
    are not kept in full."""

    statements: tuple[StatementResult, ...] = ()
    pointer: Pointer | None = None
    refusal: Refusal | None = None
    cut: tuple[str, ...] = ()

    @property
    def is_rejected(self) -> bool:
        """A payload is one unit: if any statement is rejected, all of it goes to the dead letters."""
        return isinstance(self.refusal, Rejected) or any(isinstance(one.refusal, Rejected) for one in self.statements)


class Conclusion(NamedTuple):
    """The outcomes of all meetings once they are over; `undecided` are the meetings without an outcome, with the
    reason."""

    outcomes: tuple[MentoringEvent, ...] = ()
    undecided: tuple[tuple[SessionKey, str], ...] = ()


class ToolDryRun:
    """`projection` is updated by each statement, so that payloads can be tried in a row; None: no roster."""

    def __init__(self, connection: Connection, projection: Projection | None, now: datetime) -> None:
        self._connection, self._projection, self._now = connection, projection, now
        self._log = InMemoryLog(projection.roster.registered if projection else lambda *_: None)
        self._event_writer = EventWriter(self._log, MAX_REMEMBERED)
        self._fold = AttendanceFold(projection.bookings.expected_booking) if projection else None
        self._records = 0

    def request(self, body: bytes, headers: Mapping[str, str]) -> Iterator[PayloadResult]:
        """Yield a result for every payload of the request."""
        request = self._connection.accept(Received(headers, body), self._now)
        if isinstance(request, Rejected):
            yield PayloadResult(refusal=request)
            return
        name, tool = self._connection.connection_scope.connection, self._connection.tool.name
        for kept in request.payloads:
            # As the gateway writes it to the tool's raw topic.
            self._records += 1
            noted, time = kept.headers(name), round(self._now.timestamp() * 1000)
            record = Record(raw_topic(tool), 0, self._records, name.encode(), kept.payload, noted, time)
            yield from self.record(record, tuple(cut_paths(kept.original, kept.value)))

    def record(self, record: Record, cut: tuple[str, ...] = ()) -> Iterator[PayloadResult]:
        """Yield a result for every payload of a record of the tool's raw topic."""
        payloads = open_payloads(record, {self._connection.connection_scope.connection: self._connection})
        if isinstance(payloads, Rejected):
            yield PayloadResult(refusal=payloads, cut=cut)
            return
        for payload in payloads:
            match payload.translate():
                case Pointer() as pointer:
                    yield PayloadResult(pointer=pointer, cut=cut)
                case Ignored() | Rejected() as refusal:
                    yield PayloadResult(refusal=refusal, cut=cut)
                case statements:
                    yield PayloadResult(tuple(self._apply_all(statements)), cut=cut)

    def conclude(self) -> Conclusion:
        """Return the outcomes as the attendance worker concludes them, once every meeting is over."""
        if self._fold is None:
            return Conclusion()
        undecided = tuple(self._fold.undecided())
        for raw in self._fold.advance(END_OF_TIME):
            clock = Clock(max(self._now, datetime.fromisoformat(str(raw["time"]))))
            verdict = admit_outcome(raw, clock)
            assert not isinstance(verdict, Rejected), verdict
            self._event_writer.record(verdict.event)
        outcomes, _ = self._log.drain()
        return Conclusion(outcomes, undecided)

    def _apply_all(self, activities: tuple[Activity, ...]) -> Iterator[StatementResult]:
        """Apply one statement after the other, to get a result for each; after a rejected one the service reads no
        further."""
        if self._projection is None:
            yield from map(StatementResult, activities)
            return
        is_over = False
        for activity in activities:
            result = (
                StatementResult(activity, refusal=NOT_REACHED) if is_over else self._apply(activity, self._projection)
            )
            is_over = is_over or isinstance(result.refusal, Rejected)
            yield result

    def _apply(self, activity: Activity, projection: Projection) -> StatementResult:
        clock = Clock(self._now)
        statements = Statements(
            self._event_writer, DirectoryStatementWriter(self._log), projection, lambda: clock, lambda *_: ()
        )
        result = statements.write((activity,), self._connection.connection_scope)
        events, participants = self._log.drain()
        for event in events:
            if self._fold is not None and not isinstance(event, OfPartition):
                self._fold.apply(event)
        return StatementResult(
            activity, events, participants, result if isinstance(result, Ignored | Rejected) else None
        )


UNNAMED = "try"
# Ids that may be text are shown as digests, which differ from those of the installation.
PLACEHOLDER_KEY = "no key of any installation"


class ConnectionChoiceError(Exception):
    """The message says what is missing or wrong."""


@dataclass(frozen=True)
class TryOptions:
    connections: Path | None = None
    connection: str | None = None
    settings: Path | None = None
    tenant: str = UNNAMED


def choose_connection(tool: Tool, options: TryOptions) -> Connection:
    """Raises ConnectionChoiceError."""
    if options.connections is not None:
        return _configured_connection(tool, options.connections, options.connection)
    try:
        read = documents(options.settings) if options.settings else []
        settings = tool.settings.model_validate(read[0] if read else {})
    except UnreadableError as broken:
        raise ConnectionChoiceError(str(broken)) from broken
    except ValidationError as invalid:
        faults = "; ".join(f"{fault.path}: {fault.reason}" for fault in explain(invalid))
        raise ConnectionChoiceError(f"the settings of {tool.name} (--settings): {faults}") from invalid
    connection_scope = ConnectionScope(options.tenant, None, tool.name, UNNAMED)
    return Connection(connection_scope, tool, settings, secret="", digest_key=PLACEHOLDER_KEY)


class _PlaceholderSecrets(dict[str, str]):
    """A dry run needs no secrets: every variable has a distinct placeholder."""

    def __missing__(self, name: str) -> str:
        return f"pretended-{name}"

    def __contains__(self, name: object) -> bool:
        return True


def _configured_connection(tool: Tool, file: Path, name: str | None) -> Connection:
    try:
        loaded = load_connections(file, _PlaceholderSecrets(), PLACEHOLDER_KEY)
    except ConnectionsError as broken:
        raise ConnectionChoiceError(str(broken)) from broken
    of_tool = {key: one for key, one in loaded.items() if one.tool.name == tool.name}
    chosen = name or next(iter(of_tool), "") if len(of_tool) == 1 else name
    if not chosen or chosen not in of_tool:
        raise ConnectionChoiceError(
            f"name a connection of {tool.name} with --connection: {', '.join(of_tool) or 'there is none'}"
        )
    return of_tool[chosen]
