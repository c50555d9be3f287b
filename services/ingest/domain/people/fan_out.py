"""Fans a change of a person's employment out to their relationships: leave pauses them, return resumes them, exit ends
them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from schemas.directory import DirectoryStatement, Participant
from schemas.events import OfPartition, OfRelationship
from schemas.payloads import EventRetracted
from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Employed
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.ids import EventContent, RawEvent, digest, origin, raw_event
from services.ingest.domain.people.absence import absence, activity_of, pauses_of, start_of
from services.ingest.domain.people.participants import (
    apply_statement,
    is_same,
    merge_statement,
    repeated_change,
    stays_on_leave,
    with_registered_fields,
)
from services.ingest.domain.people.relationship_history import (
    FactKey,
    Pause,
    PausedFact,
    Relationship,
    RelationshipHistory,
    key_of,
)
from services.ingest.domain.people.roster import Roster, subject
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Admitted, Rejected, rejected


class FannedOut(NamedTuple):
    """`participants`: the person after the statement, if it changes them."""

    events: tuple[RawEvent, ...]
    statement: DirectoryStatement
    participants: tuple[Participant, ...]


def resolve_employment(stated: Employed, scope: ConnectionScope, roster: Roster) -> FannedOut | Rejected:
    registered = roster.registered(scope.tenant, stated.participant)
    activity = with_registered_fields(stated, registered)
    statement = merge_statement(stated, scope)
    if isinstance(statement, Rejected):
        return statement
    record = apply_statement(statement, registered)
    if isinstance(record, Rejected):
        return record
    try:
        on_leave = stays_on_leave(activity, registered, activity.time, scope.source)
        events = () if on_leave else tuple(_events(activity, statement, scope, roster))
    except OverflowError:
        return rejected("invalid", "left_on", "this day cannot be placed in any time zone")
    return FannedOut(events, statement, () if record is None or is_same(record, registered) else (record,))


def backfill_employment(tenant: str, relationship: str, roster: Roster, clock: Clock) -> list[RawEvent]:
    """The events of employment changes that were stated before the relationship was on the log.

    The changes are replayed in order to a roster with this relationship alone. Events that are on the log, retracted or
    not, are left out. Events that a change caused before the members and the start of the relationship were known, and
    that it would not cause now, are retracted. If anybody else has retracted one of the events, nothing is emitted:
    later statements of the feeds build on that retraction."""
    history = roster.history(tenant, relationship)
    people = [one for one in (roster.registered(tenant, name) for name in sorted(history.people())) if one]
    changes = [
        (told.last_stated, person.id, *activity_of(person, told), told)
        for person in people
        for change in person.employment
        # An exit that was told again is replayed as it was told first, too: others may have changed in between.
        for told in dict.fromkeys((change.model_copy(update={"repeated_at": None}), change))
    ]
    if not changes:
        return []
    alone, found = Roster(), list[tuple[RawEvent, OfRelationship]]()
    alone.restore(tenant, relationship, history.without({scope.source for *_, scope, _ in changes}))
    for person in people:
        status = "active" if person.employment else person.status
        alone.upsert(person.model_copy(update={"status": status, "addresses": (), "identities": (), "employment": ()}))
    for _, name, activity, scope, change in sorted(changes, key=lambda one: one[:2]):
        for raw, event in _admit(_FanOut(activity, scope, alone, change.last_stated).events(), scope, clock):
            alone.apply(event)
            found.append((raw, event))
        before = alone.registered(tenant, name)
        assert before is not None, "only participants of the directory have changes"
        employment = (*(one for one in before.employment if one.statement != change.statement), change)
        alone.upsert(before.model_copy(update={"status": activity.status, "employment": employment}))
    if _was_retracted_by_others([event for _, event in found], history):
        return []
    ids = frozenset(event.id for _, event in found)
    for _, _, activity, scope, change in changes:
        wrong = _FanOut(activity, scope, alone, change.last_stated).retractions(relationship, history, ids)
        found += _admit(wrong, scope, clock)
    return [raw for raw, event in found if not history.has(event)]


def _events(
    activity: Employed, statement: DirectoryStatement, scope: ConnectionScope, roster: Roster
) -> Iterator[RawEvent]:
    """An absence that is told again is the one in the directory: pairs that are announced later get it from there.
    Where its events were retracted, it counts as told for the first time."""
    anew = _FanOut(activity, scope, roster, activity.time)
    person, change = roster.registered(scope.tenant, activity.participant), statement.person and statement.person.change
    repeated = repeated_change(change, person.employment) if person and change and change.status != "active" else None
    if person is None or repeated is None:
        yield from anew.events()
        return
    last_stated = max(repeated.last_stated, activity.time)
    again = [*_FanOut(activity_of(person, repeated)[0], scope, roster, last_stated).events()]
    subjects = {str(raw["subject"]) for raw in again}
    retracted = {key.id for one in subjects for key in roster.history(scope.tenant, one).retracted}
    taken_back = {raw["subject"] for raw in again if raw["id"] in retracted}
    yield from (raw for raw in again if raw["subject"] not in taken_back)
    yield from (raw for raw in anew.events() if raw["subject"] in taken_back)


def _was_retracted_by_others(events: Sequence[OfRelationship], history: RelationshipHistory) -> bool:
    """Whether an event is retracted that the changes themselves did not replace by one that is on the log."""
    replaced = {
        key_of(event)
        for instead, event in pairwise(events)
        if isinstance(event.data, EventRetracted) and history.has(instead)
    }
    keys = {key_of(event) for event in events if not isinstance(event.data, EventRetracted)}
    return bool((keys & history.retracted) - replaced)


def _admit(raws: Iterable[RawEvent], scope: ConnectionScope, clock: Clock) -> Iterator[tuple[RawEvent, OfRelationship]]:
    for raw in [*raws]:
        verdict = admit(raw, scope.scope, clock)
        if isinstance(verdict, Admitted) and not isinstance(verdict.event, OfPartition):
            yield raw, verdict.event


class _FanOut:
    """`last_stated`: when the activity was stated the last time."""

    def __init__(self, activity: Employed, scope: ConnectionScope, roster: Roster, last_stated: datetime) -> None:
        self.activity, self._scope, self._roster, self._last_stated = activity, scope, roster, last_stated
        self.absence = absence(activity)

    def events(self) -> Iterator[RawEvent]:
        """Also of relationships that begin later, or had ended by then and begin anew: the person is still away, and an
        earlier absence may still pause them."""
        activity, scope = self.activity, self._scope
        found = [*self._roster.ongoing_or_later(scope.tenant, scope.program, activity.participant, activity.time)]
        if activity.status == "active":
            for one, replaced_at in {one.id: (one, replaced_at) for one, replaced_at in found}.values():
                yield from self._resume(one, replaced_at)
            return
        paused = set[str]()
        for one, replaced_at in found:
            others = (self._roster.registered(one.tenant, name) for name in self._side(one) - {activity.participant})
            goes_on = any(other is None or other.status == "active" for other in others)
            leaving = self._last_to_leave(one)
            begin = leaving.begin_in(one, replaced_at)
            if one.ended is not None or goes_on or begin is None:
                continue
            if leaving.is_pause(begin) and one.id not in paused:
                paused.add(one.id)
                yield from leaving.pause(one, begin)
            if leaving.is_end(begin):
                yield leaving.end(one, begin)

    def retractions(self, relationship: str, history: RelationshipHistory, ids: frozenset[str]) -> Iterator[RawEvent]:
        """Retracts the events that this change caused and would not cause now: pauses that are not among `ids`, and
        the end of a relationship in which somebody else had replaced the person."""
        activity, source = self.activity, self._scope.source
        pause_id = self.absence.pause_id(activity.participant)
        for key, fact in history.effective_facts():
            then = self._roster.relationship(self._scope.tenant, relationship, key.time)
            is_pause = isinstance(fact, PausedFact) and fact.pause_id == pause_id and key.id not in ids
            ended = self._ended_id(relationship, key.time)
            is_end = key.id == ended and then is not None and activity.participant not in then.people
            if then and key.source == source and (is_pause or is_end):
                yield self._retraction(then, key, "known since", max(key.time, then.started))

    def _last_to_leave(self, relationship: Relationship) -> "_FanOut":
        """The absence of a side that has left is that of its last member to leave, in whatever order these are
        reported. If any of them is on leave, it is the last leave, because the relationship is not over."""
        side = self._side(relationship) - {self.activity.participant}
        others = (self._roster.registered(relationship.tenant, one) for one in side)
        latest = ((one, one.employment[-1]) for one in others if one and one.employment)
        away = [self]
        for person, change in latest:
            if change.status != "active":
                # This feed states the end of the side, whichever feed has reported the colleague.
                away.append(_FanOut(activity_of(person, change)[0], self._scope, self._roster, change.last_stated))
        on_leave = [one for one in away if one.activity.status == "leave"]
        return max(on_leave or away, key=lambda one: (one.absence.begin, one.activity.participant))

    def begin_in(self, relationship: Relationship, replaced_at: datetime) -> datetime | None:
        """When the absence interrupts the relationship. An exit before it began, or a leave that was over by then, does
        not: the person has come back since, or the statement is about an earlier post of theirs. Otherwise the
        relationship would end as it begins, permanently."""
        activity, absence = self.activity, self.absence
        if activity.status == "exited":
            lies_before = activity.left_on is not None and absence.begin <= relationship.started
        else:
            lies_before = absence.until is not None and absence.until <= relationship.started
        begin = max(absence.begin, relationship.started)
        return None if lies_before or begin >= replaced_at else begin

    def is_pause(self, begin: datetime) -> bool:
        """Nothing ends in the future: an exit that begins after it was stated is a pause."""
        return self.activity.status == "leave" or begin > self.activity.time

    def is_end(self, begin: datetime) -> bool:
        return self.activity.status == "exited" and begin <= self._last_stated

    def end(self, relationship: Relationship, begin: datetime) -> RawEvent:
        data = {"planned": False, "reason_code": "left_organisation", "initiated_by": "system"}
        event = self._ended_id(relationship.id, begin)
        return self._event(relationship, EventContent("mentoring.relationship.ended.v1", event, begin, data))

    def _side(self, relationship: Relationship) -> frozenset[str]:
        mentors = relationship.mentors
        return mentors if self.activity.participant in mentors else relationship.mentees

    def _resume(self, relationship: Relationship, replaced_at: datetime) -> Iterator[RawEvent]:
        """Resumes also the pauses of colleagues on the same side: the side has somebody again, until the person is
        replaced."""
        activity = self.activity
        own, side = pauses_of(activity.participant), tuple(pauses_of(one) for one in self._side(relationship))
        for pause in self._roster.pauses(relationship.tenant, relationship.id):
            is_of_side = pause.pause_id.startswith(side if pause.begin < replaced_at else own)
            if is_of_side and (pause.until is None or pause.until > activity.time):
                back = start_of(activity.back_on, activity) if activity.back_on else activity.time
                by_day = pause.fact.time <= back < activity.time
                time, statement = (back, "") if by_day else (activity.time, activity.key)
                yield self._resumption(relationship, pause.fact.id, pause.pause_id, time, statement)

    def _resumption(
        self, relationship: Relationship, paused: str, pause_id: str, time: datetime, statement: str = ""
    ) -> RawEvent:
        event = digest("resumed", paused, to_rfc3339(time), statement, relationship.id)
        content = EventContent("mentoring.relationship.resumed.v1", event, time, {"pause_id": pause_id})
        return self._event(relationship, content)

    def _ended_id(self, relationship: str, time: datetime) -> str:
        """One absence may end a relationship again that began anew."""
        anew = () if time == self.absence.begin else (to_rfc3339(time),)
        return digest("ended", self.activity.participant, self.absence.cause, relationship, *anew)

    def pause(self, relationship: Relationship, begin: datetime) -> Iterator[RawEvent]:
        activity, existing = self.activity, self._existing_pause(relationship)
        until, pause_id = self.absence.until, self.absence.pause_id(activity.participant)
        if existing is not None and activity.left_on is None:
            begin, pause_id = existing.begin, existing.pause_id
        # The pause of an absence goes on where the relationship begins anew.
        if (
            existing
            and existing.until == until
            and begin in {existing.begin, max(existing.begin, relationship.started)}
        ):
            return
        now = self._roster.relationship(relationship.tenant, relationship.id)
        replaced_at = now.started if now and activity.participant not in now.people else None
        if replaced_at is not None and replaced_at <= begin:
            # They are replaced before the absence begins: it would pause the pair of whoever has replaced them.
            return
        # The id derives from the day alone, so that every feed produces the same event; where that may not be unique,
        # from the statement as well.
        statement = activity.key if existing is not None or begin > activity.time else ""
        event = digest("paused", pause_id, to_rfc3339(begin), str(until), statement, relationship.id)
        data = {
            "pause_id": pause_id,
            "from": to_rfc3339(begin),
            "until": None if until is None else to_rfc3339(until),
            "reason": "leave" if activity.status == "leave" else "exit",
        }
        content = EventContent("mentoring.relationship.paused.v1", event, min(begin, activity.time), data)
        yield self._event(relationship, content)
        if now and replaced_at is not None:
            # Otherwise the person who has replaced them would be paused until they are back.
            yield self._resumption(now, event, pause_id, now.started)
        if existing is not None and existing.fact.source == self._scope.source:
            yield self._retraction(relationship, existing.fact, event, activity.time)

    def _existing_pause(self, relationship: Relationship) -> Pause | None:
        """The pause that this absence has caused before. If the absence has no day: the person's current pause."""
        activity = self.activity
        pauses = self._roster.pauses(relationship.tenant, relationship.id)
        if activity.left_on is not None:
            pause_id = self.absence.pause_id(activity.participant)
            return next((one for one in pauses if one.pause_id == pause_id), None)
        of_person = (one for one in pauses if one.pause_id.startswith(pauses_of(activity.participant)))
        return next((one for one in of_person if one.until is None or one.until > activity.time), None)

    def _retraction(self, relationship: Relationship, wrong: FactKey, because: str, time: datetime) -> RawEvent:
        data = {"source": wrong.source, "id": wrong.id, "type": wrong.type, "time": to_rfc3339(wrong.time), "slot": ""}
        event = digest("corrected", wrong.id, because)
        return self._event(relationship, EventContent("mentoring.event.retracted.v1", event, time, data))

    def _event(self, relationship: Relationship, content: EventContent) -> RawEvent:
        native = origin(self._scope, self.activity.native)
        data = {"by": "system", "evidence": "admin", "origin": native, **content.data}
        return raw_event(subject(self._scope, relationship), content._replace(data=data))
