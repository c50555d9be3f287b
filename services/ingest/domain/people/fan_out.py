"""What somebody's employment means for each of their relationships: leave pauses it, return resumes it, exit ends
it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.directory import DirectoryStatement, EmploymentChange, Participant
from schemas.events import OfPartition, OfRelationship
from schemas.payloads import EventRetracted
from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Employed, Native
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.ids import EventContent, RawEvent, digest, origin, raw_event
from services.ingest.domain.people.participants import completed, is_same, merged, merging, stays_on_leave
from services.ingest.domain.people.relationship_history import (
    FactKey,
    Pause,
    PausedFact,
    Relationship,
    RelationshipHistory,
    key_of,
)
from services.ingest.domain.people.roster import LATEST, Roster, subject
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Admitted, Rejected, rejected


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


def employed(told: Employed, scope: ConnectionScope, roster: Roster) -> FannedOut | Rejected:
    known = roster.known(scope.tenant, told.participant)
    said = completed(told, known)
    statement = merging(told, scope)
    if isinstance(statement, Rejected):
        return statement
    record = merged(statement, known)
    if isinstance(record, Rejected):
        return record
    try:
        on_leave = stays_on_leave(said, known, said.time, scope.source)
        events = () if on_leave else tuple(_FanOut(said, scope, roster).events())
    except OverflowError:
        return rejected("invalid", "left_on", "this day cannot be placed in any time zone")
    return FannedOut(events, statement, () if record is None or is_same(record, known) else (record,))


def as_told(person: Participant, change: EmploymentChange) -> tuple[Employed, ConnectionScope]:
    """By whom it was told, too."""
    said = Employed(
        change.statement,
        change.told,
        Native(change.native_type, change.native_id),
        person.id,
        person.name,
        change.status,
        time_zone=change.time_zone,
        left_on=change.left_on,
        back_on=change.back_on,
    )
    return said, ConnectionScope(person.tenant, change.program, change.tool, change.connection)


def told_before(tenant: str, relationship: str, roster: Roster, clock: Clock) -> list[RawEvent]:
    """What was told of people's employment before the log told who is paired with whom, as if it had been told
    afterwards: each change again, in order, to a roster that knows this relationship alone. What the log holds already,
    or held until it was retracted, is left out. Retracted is what a change brought about before it was known who else
    is paired, and since when. Where somebody has taken back any of it, all of it stays as it is: what a feed told since
    was told on what they left."""
    history = roster.history(tenant, relationship)
    people = [one for one in (roster.known(tenant, name) for name in sorted(history.people())) if one]
    changes = [
        (change.told, person.id, *as_told(person, change), change) for person in people for change in person.employment
    ]
    if not changes:
        return []
    alone, found = Roster(), list[tuple[RawEvent, OfRelationship]]()
    alone.restore(tenant, relationship, history.without({scope.source for *_, scope, _ in changes}))
    for person in people:
        status = "active" if person.employment else person.status
        alone.upsert(person.model_copy(update={"status": status, "addresses": (), "identities": (), "employment": ()}))
    for _, name, said, scope, change in sorted(changes, key=lambda one: one[:2]):
        for raw, event in _admitted(_FanOut(said, scope, alone).events(), scope, clock):
            alone.apply(event)
            found.append((raw, event))
        known = alone.known(tenant, name)
        assert known is not None, "only who is in the directory has changed"
        alone.upsert(known.model_copy(update={"status": said.status, "employment": (*known.employment, change)}))
    if _was_taken_back([event for _, event in found], history):
        return []
    ids = frozenset(event.id for _, event in found)
    for _, _, said, scope, _ in changes:
        wrong = _FanOut(said, scope, alone).retractions(relationship, history, ids)
        found += _admitted(wrong, scope, clock)
    return [raw for raw, event in found if not history.has(event)]


def _was_taken_back(told: Sequence[OfRelationship], history: RelationshipHistory) -> bool:
    """Whether any of it is retracted that the changes have not replaced themselves by something that the log holds."""
    replaced = {
        key_of(event)
        for instead, event in pairwise(told)
        if isinstance(event.data, EventRetracted) and history.has(instead)
    }
    keys = {key_of(event) for event in told if not isinstance(event.data, EventRetracted)}
    return bool((keys & history.retracted) - replaced)


def _admitted(
    raws: Iterable[RawEvent], scope: ConnectionScope, clock: Clock
) -> Iterator[tuple[RawEvent, OfRelationship]]:
    for raw in [*raws]:
        verdict = admit(raw, scope.scope, clock)
        if isinstance(verdict, Admitted) and not isinstance(verdict.event, OfPartition):
            yield raw, verdict.event


class _FanOut:
    def __init__(self, said: Employed, scope: ConnectionScope, roster: Roster) -> None:
        self.said, self._scope, self._roster = said, scope, roster
        self.absence = absence(said)

    def events(self) -> Iterator[RawEvent]:
        said, scope = self.said, self._scope
        found = self._roster.of(scope.tenant, scope.program, said.participant, said.time)
        if said.status == "active":
            # A pair that had ended, and begins anew later on, is not paused by what was told before its end.
            anew = self._roster.of(scope.tenant, scope.program, said.participant, LATEST)
            for one in {one.id: one for one in (*found, *anew)}.values():
                yield from self._resumed(one)
            return
        for one in found:
            others = (self._roster.known(one.tenant, name) for name in self._side(one) - {said.participant})
            goes_on = any(known is None or known.status == "active" for known in others)
            if one.ended is None and not goes_on:
                yield from self._last_to_leave(one).away(one)

    def retractions(self, relationship: str, history: RelationshipHistory, ids: frozenset[str]) -> Iterator[RawEvent]:
        """Of what this brought about and would not have, as is known now: pauses that are not among `ids`, and the end
        of a relationship in which somebody else had taken the place of the person."""
        said, source = self.said, self._scope.source
        ended, pause_id = self._ended_id(relationship), self.absence.pause_id(said.participant)
        for key, fact in history.standing():
            then = self._roster.relationship(self._scope.tenant, relationship, key.time)
            is_pause = isinstance(fact, PausedFact) and fact.pause_id == pause_id and key.id not in ids
            is_end = key.id == ended and then is not None and said.participant not in then.people
            if then and key.source == source and (is_pause or is_end):
                yield self._retraction(then, key, "known since", max(key.time, then.started))

    def _last_to_leave(self, relationship: Relationship) -> "_FanOut":
        """Of a side that has left: when the last of it left, whoever is told of last. While one of it is on leave it
        is not over."""
        side = self._side(relationship) - {self.said.participant}
        others = (self._roster.known(relationship.tenant, one) for one in side)
        told = ((one, one.employment[-1]) for one in others if one and one.employment)
        away = [self, *(_FanOut(*as_told(*one), self._roster) for one in told if one[1].status != "active")]
        on_leave = [one for one in away if one.said.status == "leave"]
        return max(on_leave or away, key=lambda one: (one.absence.begin, one.said.participant))

    def away(self, relationship: Relationship) -> Iterator[RawEvent]:
        """An exit that is dated before the pair began, or a leave that was over by then, says nothing of it: who is
        paired has come back since, or it is an old post of theirs that is told. The pair would else end as it begins,
        and for good."""
        said, absence = self.said, self.absence
        if said.status == "exited":
            lies_before = said.left_on is not None and absence.begin <= relationship.started
        else:
            lies_before = absence.until is not None and absence.until <= relationship.started
        if lies_before:
            return
        begin = max(absence.begin, relationship.started)
        if said.status == "exited" and begin <= said.time:
            data = {"planned": False, "reason_code": "left_organisation", "initiated_by": "system"}
            event = self._ended_id(relationship.id)
            yield self._event(relationship, EventContent("mentoring.relationship.ended.v1", event, begin, data))
        else:
            yield from self._paused(relationship, begin)

    def _side(self, relationship: Relationship) -> frozenset[str]:
        mentors = relationship.mentors
        return mentors if self.said.participant in mentors else relationship.mentees

    def _resumed(self, relationship: Relationship) -> Iterator[RawEvent]:
        """Also what colleagues of the same side had paused: the side has somebody again."""
        said = self.said
        prefixes = tuple(pauses_of(one) for one in self._side(relationship))
        for pause in self._roster.pauses(relationship.tenant, relationship.id):
            if pause.pause_id.startswith(prefixes) and (pause.until is None or pause.until > said.time):
                back = start_of(said.back_on, said) if said.back_on else said.time
                time, tells = (back, "") if pause.told.time <= back < said.time else (said.time, said.key)
                yield self._resumption(relationship, pause.told.id, pause.pause_id, time, tells)

    def _resumption(
        self, relationship: Relationship, paused: str, pause_id: str, time: datetime, tells: str = ""
    ) -> RawEvent:
        event = digest("resumed", paused, to_rfc3339(time), tells, relationship.id)
        content = EventContent("mentoring.relationship.resumed.v1", event, time, {"pause_id": pause_id})
        return self._event(relationship, content)

    def _ended_id(self, relationship: str) -> str:
        return digest("ended", self.said.participant, self.absence.cause, relationship)

    def _paused(self, relationship: Relationship, begin: datetime) -> Iterator[RawEvent]:
        """An exit that lies ahead is a pause until it has come: nothing ends in the future."""
        said, held = self.said, self._held(relationship)
        until, pause_id = self.absence.until, self.absence.pause_id(said.participant)
        if held is not None and said.left_on is None:
            begin, pause_id = held.begin, held.pause_id
        if held is not None and (held.begin, held.until) == (begin, until):
            return
        # Known by its day alone, so that every feed says the same; by the statement too where that may not be enough.
        tells = said.key if held is not None or begin > said.time else ""
        event = digest("paused", pause_id, to_rfc3339(begin), str(until), tells, relationship.id)
        data = {
            "pause_id": pause_id,
            "from": to_rfc3339(begin),
            "until": None if until is None else to_rfc3339(until),
            "reason": "leave" if said.status == "leave" else "exit",
        }
        content = EventContent("mentoring.relationship.paused.v1", event, min(begin, said.time), data)
        yield self._event(relationship, content)
        now = self._roster.relationship(relationship.tenant, relationship.id)
        if now and now.started > begin and said.participant not in now.people:
            # Else whoever has taken their place would be paused until they are back.
            yield self._resumption(now, event, pause_id, now.started)
        if held is not None and held.told.source == self._scope.source:
            yield self._retraction(relationship, held.told, event, said.time)

    def _held(self, relationship: Relationship) -> Pause | None:
        """The pause that this absence has brought about already. Without a day it is the one that lasts."""
        said = self.said
        pauses = self._roster.pauses(relationship.tenant, relationship.id)
        if said.left_on is not None:
            wanted = self.absence.pause_id(said.participant)
            return next((one for one in pauses if one.pause_id == wanted), None)
        ours = (one for one in pauses if one.pause_id.startswith(pauses_of(said.participant)))
        return next((one for one in ours if one.until is None or one.until > said.time), None)

    def _retraction(self, relationship: Relationship, wrong: FactKey, because: str, time: datetime) -> RawEvent:
        data = {"source": wrong.source, "id": wrong.id, "type": wrong.type, "time": to_rfc3339(wrong.time), "slot": ""}
        event = digest("corrected", wrong.id, because)
        return self._event(relationship, EventContent("mentoring.event.retracted.v1", event, time, data))

    def _event(self, relationship: Relationship, content: EventContent) -> RawEvent:
        native = origin(self._scope, self.said.native)
        data = {"by": "system", "evidence": "admin", "origin": native, **content.data}
        return raw_event(subject(self._scope, relationship), content._replace(data=data))
