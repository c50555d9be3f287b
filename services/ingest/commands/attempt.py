"""A request of a tool on its way, as the services take it: gateway, raw topic, translation, roster, gate, log and
attendance are theirs; only the log itself is pretended, and nothing is written anywhere."""

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
from services.ingest.domain.people.participants import is_same, merged
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.allow_list import cut_paths
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Ignored, Rejected, explain
from services.ingest.flow.attendance import admitted_outcome
from services.ingest.flow.event_writer import EventWriter
from services.ingest.flow.tools.statements import Directory, Statements, opened
from services.ingest.sources.connections import ConnectionsError, load_connections
from services.ingest.sources.tool import Connection, Received, Tool
from services.runtime.kafka import OutgoingRecord, Record
from services.runtime.strict_yaml import UnreadableError, documents


class PretendedLog:
    """For one thread, in place of a producer. Whatever is written is read as whoever follows the log reads it, and what
    is said of people is merged as the projector does it."""

    def __init__(self, known: Callable[[str, str], Participant | None]) -> None:
        """`known`: whom the directory has before a statement, by tenant and id."""
        self._known = known
        self._events: list[MentoringEvent] = []
        self._participants: list[Participant] = []

    def partitions(self, topic: str) -> list[int]:
        return [0] if topic == EVENTS.name else []

    def write(self, outgoing: OutgoingRecord) -> None:
        value = outgoing.value or b""
        if outgoing.topic == EVENTS.name:
            self._events.append(MENTORING_EVENT.validate_json(value))
            return
        assert outgoing.topic == DIRECTORY_STATEMENTS.name, "an attempt writes events and what is said of people"
        statement = DirectoryStatement.model_validate_json(value)
        known = self._known(statement.tenant, statement.id)
        found = merged(statement, known)
        if isinstance(found, Participant) and not is_same(found, known):
            self._participants.append(found)

    def write_group(self) -> "_WrittenAtOnce":
        return _WrittenAtOnce(self)

    def taken(self) -> tuple[tuple[MentoringEvent, ...], tuple[Participant, ...]]:
        """Events and changed people since the last time."""
        found = tuple(self._events), tuple(self._participants)
        self._events, self._participants = [], []
        return found


class _WrittenAtOnce:
    def __init__(self, log: PretendedLog) -> None:
        self._log = log
        self.written: Future[None] = Future()
        self.failures: dict[int, BaseException] = {}

    def send(self, outgoing: OutgoingRecord) -> int:
        self._log.write(outgoing)
        return 0

    def hand_over(self) -> None:
        """It is written already."""

    def close(self) -> None:
        self.written.set_result(None)


Refusal = Ignored | Rejected
NOT_REACHED = Ignored("after_a_rejection")
REMEMBERED = 100_000
"""As the service does where nothing else is set."""
AT_LAST = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
"""Every meeting is over then."""


@dataclass(frozen=True)
class Heard:
    """One statement and what became of it: events and people, or why nothing; neither if no roster is known."""

    said: Activity
    events: tuple[MentoringEvent, ...] = ()
    participants: tuple[Participant, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Tried:
    """One payload: what it says, or whereto it points, or why it says nothing. `cut` are the fields of which not
    all is kept."""

    heard: tuple[Heard, ...] = ()
    pointer: Pointer | None = None
    refusal: Refusal | None = None
    cut: tuple[str, ...] = ()

    @property
    def is_rejected(self) -> bool:
        """One payload is one unit: with any part of it, all of it goes to quarantine."""
        return isinstance(self.refusal, Rejected) or any(isinstance(one.refusal, Rejected) for one in self.heard)


class Conclusion(NamedTuple):
    """What the attendance of all meetings became when they were over, and of which nothing is said, and why."""

    outcomes: tuple[MentoringEvent, ...] = ()
    undecided: tuple[tuple[SessionKey, str], ...] = ()


class Attempt:
    """`projection` learns from what it hears, so that payloads can be tried in a row; None: there is no roster."""

    def __init__(self, connection: Connection, projection: Projection | None, now: datetime) -> None:
        self._connection, self._projection, self._now = connection, projection, now
        self._log = PretendedLog(projection.roster.known if projection else lambda *_: None)
        self._event_writer = EventWriter(self._log, REMEMBERED)
        self._fold = AttendanceFold(projection.bookings.expected) if projection else None
        self._records = 0

    def of(self, body: bytes, headers: Mapping[str, str]) -> Iterator[Tried]:
        """Every payload of the request."""
        request = self._connection.taken(Received(headers, body), self._now)
        if isinstance(request, Rejected):
            yield Tried(refusal=request)
            return
        name, tool = self._connection.connection_scope.connection, self._connection.tool.name
        for kept in request.payloads:
            # As the gateway puts it on the tool's raw topic.
            self._records += 1
            noted, time = kept.headers(name), round(self._now.timestamp() * 1000)
            record = Record(raw_topic(tool), 0, self._records, name.encode(), kept.payload, noted, time)
            yield from self.of_record(record, tuple(cut_paths(kept.before, kept.value)))

    def of_record(self, record: Record, cut: tuple[str, ...] = ()) -> Iterator[Tried]:
        """Every payload of a record of the tool's raw topic."""
        payloads = opened(record, {self._connection.connection_scope.connection: self._connection})
        if isinstance(payloads, Rejected):
            yield Tried(refusal=payloads, cut=cut)
            return
        for payload in payloads:
            match payload.translated():
                case Pointer() as pointer:
                    yield Tried(pointer=pointer, cut=cut)
                case Ignored() | Rejected() as refusal:
                    yield Tried(refusal=refusal, cut=cut)
                case statements:
                    yield Tried(tuple(self._heard(statements)), cut=cut)

    def concluded(self) -> Conclusion:
        """As the attendance worker concludes it, once every meeting is over."""
        if self._fold is None:
            return Conclusion()
        undecided = tuple(self._fold.undecided())
        for raw in self._fold.advance(AT_LAST):
            clock = Clock(max(self._now, datetime.fromisoformat(str(raw["time"]))))
            verdict = admitted_outcome(raw, clock)
            assert not isinstance(verdict, Rejected), verdict
            self._event_writer.record(verdict.event)
        outcomes, _ = self._log.taken()
        return Conclusion(outcomes, undecided)

    def _heard(self, said: tuple[Activity, ...]) -> Iterator[Heard]:
        """One statement after the other, for each its own; after one that is rejected the service reads no further."""
        if self._projection is None:
            yield from map(Heard, said)
            return
        is_over = False
        for one in said:
            heard = Heard(one, refusal=NOT_REACHED) if is_over else self._written(one, self._projection)
            is_over = is_over or isinstance(heard.refusal, Rejected)
            yield heard

    def _written(self, said: Activity, projection: Projection) -> Heard:
        clock = Clock(self._now)
        statements = Statements(self._event_writer, Directory(self._log), projection, lambda: clock, lambda *_: ())
        result = statements.write((said,), self._connection.connection_scope)
        events, participants = self._log.taken()
        for event in events:
            if self._fold is not None and not isinstance(event, OfPartition):
                self._fold.apply(event)
        return Heard(said, events, participants, result if isinstance(result, Ignored | Rejected) else None)


NAMELESS = "try"
# Ids that may be text are shown as digests, which are others in the installation.
PRETENDED_KEY = "no key of any installation"


class NoAccountError(Exception):
    """The message says what is missing or wrong."""


@dataclass(frozen=True)
class TryOptions:
    connections: Path | None = None
    connection: str | None = None
    settings: Path | None = None
    tenant: str = NAMELESS


def connection_of(tool: Tool, asked: TryOptions) -> Connection:
    """Raises NoAccountError."""
    if asked.connections is not None:
        return _connected(tool, asked.connections, asked.connection)
    try:
        read = documents(asked.settings) if asked.settings else []
        settings = tool.settings.model_validate(read[0] if read else {})
    except UnreadableError as broken:
        raise NoAccountError(str(broken)) from broken
    except ValidationError as invalid:
        faults = "; ".join(f"{fault.path}: {fault.reason}" for fault in explain(invalid))
        raise NoAccountError(f"the settings of {tool.name} (--settings): {faults}") from invalid
    connection_scope = ConnectionScope(asked.tenant, None, tool.name, NAMELESS)
    return Connection(connection_scope, tool, settings, secret="", digest_key=PRETENDED_KEY)


class _Pretended(dict[str, str]):
    """Secrets are not needed to try a payload: every variable has one, each another."""

    def __missing__(self, name: str) -> str:
        return f"pretended-{name}"

    def __contains__(self, name: object) -> bool:
        return True


def _connected(tool: Tool, file: Path, name: str | None) -> Connection:
    try:
        known = load_connections(file, _Pretended(), PRETENDED_KEY)
    except ConnectionsError as broken:
        raise NoAccountError(str(broken)) from broken
    of_tool = {key: one for key, one in known.items() if one.tool.name == tool.name}
    chosen = name or next(iter(of_tool), "") if len(of_tool) == 1 else name
    if not chosen or chosen not in of_tool:
        raise NoAccountError(
            f"name a connection of {tool.name} with --connection: {', '.join(of_tool) or 'there is none'}"
        )
    return of_tool[chosen]
