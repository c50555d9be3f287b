"""What somebody's employment means for each of their relationships: leave pauses it, return resumes it, exit ends
it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.directory import DirectoryStatement, Participant
from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Employed, Person
from services.ingest.domain.derived_events import EventContent, RawEvent, Subject, digest, origin, raw_event
from services.ingest.domain.people.participants import completed, is_same, merged, merging
from services.ingest.domain.people.relationship_history import Pause, Relationship
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Ignored, Rejected, rejected

STRANGERS = Ignored("strangers")


def company(people: Iterable[Person], connection_scope: ConnectionScope, roster: Roster) -> frozenset[str] | Rejected:
    """The participants among the people; the others are none of our business. Rejected where one of them could be
    several participants: it is not known then which pairs are together."""
    known: set[str] = set()
    for place, person in enumerate(people):
        found = roster.identify(connection_scope.tenant, connection_scope.tool, person)
        if len(found) > 1:
            return several(f"people.{place}", found)
        known |= found
    return frozenset(known)


def several(path: str, found: frozenset[str]) -> Rejected:
    names = ", ".join(sorted(found)[:5])
    return rejected("unresolved", path, f"what the tool knows of this person points to several participants: {names}")


def pairs(
    present: frozenset[str], connection_scope: ConnectionScope, roster: Roster, at: datetime
) -> tuple[Relationship, ...] | Ignored | Rejected:
    """The relationships whose two sides are present; never an empty tuple."""
    found = roster.pairs(connection_scope.tenant, connection_scope.program, present, at)
    if found:
        return found
    return no_pair(present, connection_scope) if len(present) > 1 else STRANGERS


def no_pair(present: frozenset[str], connection_scope: ConnectionScope) -> Rejected:
    where = f"in programme {connection_scope.program!r}" if connection_scope.program else "in any programme"
    return rejected("unresolved", "people", f"{len(present)} participants are there, and no pair of them {where} yet")


def subject(connection_scope: ConnectionScope, relationship: Relationship) -> Subject:
    return Subject(connection_scope.source, connection_scope.tenant, relationship.program, relationship.id)


class Absence(NamedTuple):
    """`cause` tells it from other absences of the same person: the day it begins, else the statement that told it."""

    begin: datetime
    until: datetime | None
    cause: str

    def pause_id(self, participant: str) -> str:
        return f"{pauses_of(participant)}{digest('absence', participant, self.cause)[:16]}"


def absence(said: Employed) -> Absence:
    """Raises OverflowError for a day that no time zone can place."""
    begin = said.time if said.left_on is None else start_of(said.left_on, said)
    until = None if said.back_on is None else start_of(said.back_on, said)
    return Absence(begin, until, said.left_on.isoformat() if said.left_on else said.key)


def pauses_of(participant: str) -> str:
    """What the ids of all pauses begin with that this person's absences brought about, whoever told of them."""
    return f"absence-{digest('person', participant)[:16]}-"


def start_of(day: date, said: Employed) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(said.time_zone)).astimezone(UTC)


class FannedOut(NamedTuple):
    """`participants`: as whom the person is known after the statement, where that is another word than before."""

    events: tuple[RawEvent, ...]
    statement: DirectoryStatement
    participants: tuple[Participant, ...]


def employed(told: Employed, connection_scope: ConnectionScope, roster: Roster) -> FannedOut | Rejected:
    known = roster.known(connection_scope.tenant, told.participant)
    said = completed(told, known)
    statement = merging(told, connection_scope)
    if isinstance(statement, Rejected):
        return statement
    record = merged(statement, known)
    if isinstance(record, Rejected):
        return record
    try:
        events = tuple(_FanOut(said, connection_scope, roster).events())
    except OverflowError:
        return rejected("invalid", "left_on", "this day cannot be placed in any time zone")
    return FannedOut(events, statement, () if record is None or is_same(record, known) else (record,))


class _FanOut:
    def __init__(self, said: Employed, connection_scope: ConnectionScope, roster: Roster) -> None:
        self._said, self._connection_scope, self._roster = said, connection_scope, roster
        self._absence = absence(said)

    def events(self) -> Iterator[RawEvent]:
        said, connection_scope = self._said, self._connection_scope
        for one in self._roster.of(connection_scope.tenant, connection_scope.program, said.participant, said.time):
            if said.status == "active":
                yield from self._resumed(one)
            elif one.ended is None and not self._lies_before(one) and not self._goes_on(one):
                is_over = said.status == "exited" and self._begin(one) <= said.time
                yield from self._ended(one) if is_over else self._paused(one)

    def _lies_before(self, relationship: Relationship) -> bool:
        """An exit that is dated before the pair began, or a leave that was over by then, says nothing of it: who is
        paired has come back since, or it is an old post of theirs that is told. The pair would else end as it begins,
        and for good."""
        absence = self._absence
        if self._said.status == "exited":
            return self._said.left_on is not None and absence.begin <= relationship.started
        return absence.until is not None and absence.until <= relationship.started

    def _begin(self, relationship: Relationship) -> datetime:
        return max(self._absence.begin, relationship.started)

    def _goes_on(self, relationship: Relationship) -> bool:
        tenant = relationship.tenant
        known = (self._roster.known(tenant, one) for one in self._side(relationship) - {self._said.participant})
        return any(one is None or one.status == "active" for one in known)

    def _side(self, relationship: Relationship) -> frozenset[str]:
        mentors = relationship.mentors
        return mentors if self._said.participant in mentors else relationship.mentees

    def _resumed(self, relationship: Relationship) -> Iterator[RawEvent]:
        """Also what colleagues of the same side had paused: the side has somebody again."""
        said = self._said
        prefixes = tuple(pauses_of(one) for one in self._side(relationship))
        for pause in self._roster.pauses(relationship.tenant, relationship.id):
            if pause.pause_id.startswith(prefixes) and (pause.until is None or pause.until > said.time):
                back = start_of(said.back_on, said) if said.back_on else said.time
                time, tells = (back, "") if pause.told.time <= back < said.time else (said.time, said.key)
                data = {"pause_id": pause.pause_id}
                event = digest("resumed", pause.told.id, to_rfc3339(time), tells, relationship.id)
                yield self._event(relationship, EventContent("mentoring.relationship.resumed.v1", event, time, data))

    def _ended(self, relationship: Relationship) -> Iterator[RawEvent]:
        event = digest("ended", self._said.participant, self._absence.cause, relationship.id)
        data = {"planned": False, "reason_code": "left_organisation", "initiated_by": "system"}
        content = EventContent("mentoring.relationship.ended.v1", event, self._begin(relationship), data)
        yield self._event(relationship, content)

    def _paused(self, relationship: Relationship) -> Iterator[RawEvent]:
        """An exit that lies ahead is a pause until it has come: nothing ends in the future."""
        said, held = self._said, self._held(relationship)
        begin, pause_id = self._begin(relationship), self._absence.pause_id(said.participant)
        if held is not None and said.left_on is None:
            begin, pause_id = held.begin, held.pause_id
        if held is not None and (held.begin, held.until) == (begin, self._absence.until):
            return
        # Known by its day alone, so that every feed says the same; by the statement too where that may not be enough.
        tells = said.key if held is not None or begin > said.time else ""
        event = digest("paused", pause_id, to_rfc3339(begin), str(self._absence.until), tells, relationship.id)
        yield self._pause(relationship, event, pause_id, begin)
        if held is not None and held.told.source == self._connection_scope.source:
            yield self._correction(relationship, held, event)

    def _held(self, relationship: Relationship) -> Pause | None:
        """The pause that this absence has brought about already. Without a day it is the one that lasts."""
        said = self._said
        pauses = self._roster.pauses(relationship.tenant, relationship.id)
        if said.left_on is not None:
            wanted = self._absence.pause_id(said.participant)
            return next((one for one in pauses if one.pause_id == wanted), None)
        ours = (one for one in pauses if one.pause_id.startswith(pauses_of(said.participant)))
        return next((one for one in ours if one.until is None or one.until > said.time), None)

    def _pause(self, relationship: Relationship, event: str, pause_id: str, begin: datetime) -> RawEvent:
        until = self._absence.until
        data = {
            "pause_id": pause_id,
            "from": to_rfc3339(begin),
            "until": None if until is None else to_rfc3339(until),
            "reason": "leave" if self._said.status == "leave" else "exit",
        }
        time = min(begin, self._said.time)
        return self._event(relationship, EventContent("mentoring.relationship.paused.v1", event, time, data))

    def _correction(self, relationship: Relationship, wrong: Pause, right: str) -> RawEvent:
        told = wrong.told
        data = {"source": told.source, "id": told.id, "type": told.type, "time": to_rfc3339(told.time), "slot": ""}
        event = digest("corrected", told.id, right)
        return self._event(relationship, EventContent("mentoring.event.retracted.v1", event, self._said.time, data))

    def _event(self, relationship: Relationship, content: EventContent) -> RawEvent:
        native = origin(self._connection_scope, self._said.native)
        data = {"by": "system", "evidence": "admin", "origin": native, **content.data}
        return raw_event(subject(self._connection_scope, relationship), content._replace(data=data))
