"""Fans a change of a person's employment out to their relationships: leave pauses them, return resumes them, exit ends
them."""

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
from services.ingest.domain.people.participants import (
    apply_statement,
    is_same,
    merge_statement,
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
from services.ingest.domain.people.roster import LATEST, Roster, subject
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Admitted, Rejected, rejected


class Absence(NamedTuple):
    """`cause` distinguishes absences of the same person: the day it begins, else the key of its statement."""

    begin: datetime
    until: datetime | None
    cause: str

    def pause_id(self, participant: str) -> str:
        return f"{pauses_of(participant)}{digest('absence', participant, self.cause)[:16]}"


def absence(activity: Employed) -> Absence:
    """Raises OverflowError for a day that no time zone can place."""
    begin = activity.time if activity.left_on is None else start_of(activity.left_on, activity)
    until = None if activity.back_on is None else start_of(activity.back_on, activity)
    return Absence(begin, until, activity.left_on.isoformat() if activity.left_on else activity.key)


def pauses_of(participant: str) -> str:
    """The prefix of the ids of all pauses for this person's absences, whichever feed reported them."""
    return f"absence-{digest('person', participant)[:16]}-"


def start_of(day: date, activity: Employed) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(activity.time_zone)).astimezone(UTC)


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
        events = () if on_leave else tuple(_FanOut(activity, scope, roster).events())
    except OverflowError:
        return rejected("invalid", "left_on", "this day cannot be placed in any time zone")
    return FannedOut(events, statement, () if record is None or is_same(record, registered) else (record,))


def activity_of(person: Participant, change: EmploymentChange) -> tuple[Employed, ConnectionScope]:
    """The activity that stated the change, and the connection that reported it."""
    activity = Employed(
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
    return activity, ConnectionScope(person.tenant, change.program, change.tool, change.connection)


def backfill_employment(tenant: str, relationship: str, roster: Roster, clock: Clock) -> list[RawEvent]:
    """The events of employment changes that were stated before the relationship was on the log.

    The changes are replayed in order to a roster with this relationship alone. Events that are on the log, retracted or
    not, are left out. Events that a change caused before the members and the start of the relationship were known, and
    that it would not cause now, are retracted. If anybody else has retracted one of the events, nothing is emitted:
    later statements of the feeds build on that retraction."""
    history = roster.history(tenant, relationship)
    people = [one for one in (roster.registered(tenant, name) for name in sorted(history.people())) if one]
    changes = [
        (change.told, person.id, *activity_of(person, change), change)
        for person in people
        for change in person.employment
    ]
    if not changes:
        return []
    alone, found = Roster(), list[tuple[RawEvent, OfRelationship]]()
    alone.restore(tenant, relationship, history.without({scope.source for *_, scope, _ in changes}))
    for person in people:
        status = "active" if person.employment else person.status
        alone.upsert(person.model_copy(update={"status": status, "addresses": (), "identities": (), "employment": ()}))
    for _, name, activity, scope, change in sorted(changes, key=lambda one: one[:2]):
        for raw, event in _admit(_FanOut(activity, scope, alone).events(), scope, clock):
            alone.apply(event)
            found.append((raw, event))
        before = alone.registered(tenant, name)
        assert before is not None, "only participants of the directory have changes"
        alone.upsert(before.model_copy(update={"status": activity.status, "employment": (*before.employment, change)}))
    if _was_retracted_by_others([event for _, event in found], history):
        return []
    ids = frozenset(event.id for _, event in found)
    for _, _, activity, scope, _ in changes:
        wrong = _FanOut(activity, scope, alone).retractions(relationship, history, ids)
        found += _admit(wrong, scope, clock)
    return [raw for raw, event in found if not history.has(event)]


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
    def __init__(self, activity: Employed, scope: ConnectionScope, roster: Roster) -> None:
        self.activity, self._scope, self._roster = activity, scope, roster
        self.absence = absence(activity)

    def events(self) -> Iterator[RawEvent]:
        activity, scope = self.activity, self._scope
        found = self._roster.ongoing(scope.tenant, scope.program, activity.participant, activity.time)
        if activity.status == "active":
            # Also relationships that had ended by then and began again: an earlier absence may still pause them.
            latest = self._roster.ongoing(scope.tenant, scope.program, activity.participant, LATEST)
            for one in {one.id: one for one in (*found, *latest)}.values():
                yield from self._resume(one)
            return
        for one in found:
            others = (self._roster.registered(one.tenant, name) for name in self._side(one) - {activity.participant})
            goes_on = any(other is None or other.status == "active" for other in others)
            if one.ended is None and not goes_on:
                yield from self._last_to_leave(one).interrupt(one)

    def retractions(self, relationship: str, history: RelationshipHistory, ids: frozenset[str]) -> Iterator[RawEvent]:
        """Retracts the events that this change caused and would not cause now: pauses that are not among `ids`, and
        the end of a relationship in which somebody else had replaced the person."""
        activity, source = self.activity, self._scope.source
        ended, pause_id = self._ended_id(relationship), self.absence.pause_id(activity.participant)
        for key, fact in history.effective_facts():
            then = self._roster.relationship(self._scope.tenant, relationship, key.time)
            is_pause = isinstance(fact, PausedFact) and fact.pause_id == pause_id and key.id not in ids
            is_end = key.id == ended and then is not None and activity.participant not in then.people
            if then and key.source == source and (is_pause or is_end):
                yield self._retraction(then, key, "known since", max(key.time, then.started))

    def _last_to_leave(self, relationship: Relationship) -> "_FanOut":
        """The absence of a side that has left is that of its last member to leave, in whatever order these are
        reported. If any of them is on leave, it is the last leave, because the relationship is not over."""
        side = self._side(relationship) - {self.activity.participant}
        others = (self._roster.registered(relationship.tenant, one) for one in side)
        latest = ((one, one.employment[-1]) for one in others if one and one.employment)
        away = [self, *(_FanOut(*activity_of(*one), self._roster) for one in latest if one[1].status != "active")]
        on_leave = [one for one in away if one.activity.status == "leave"]
        return max(on_leave or away, key=lambda one: (one.absence.begin, one.activity.participant))

    def interrupt(self, relationship: Relationship) -> Iterator[RawEvent]:
        """Ends or pauses the relationship. An exit before it began, or a leave that was over by then, does neither: the
        person has come back since, or the statement is about an earlier post of theirs. Otherwise the relationship
        would end as it begins, permanently."""
        activity, absence = self.activity, self.absence
        if activity.status == "exited":
            lies_before = activity.left_on is not None and absence.begin <= relationship.started
        else:
            lies_before = absence.until is not None and absence.until <= relationship.started
        if lies_before:
            return
        begin = max(absence.begin, relationship.started)
        if activity.status == "exited" and begin <= activity.time:
            data = {"planned": False, "reason_code": "left_organisation", "initiated_by": "system"}
            event = self._ended_id(relationship.id)
            yield self._event(relationship, EventContent("mentoring.relationship.ended.v1", event, begin, data))
        else:
            yield from self._pause(relationship, begin)

    def _side(self, relationship: Relationship) -> frozenset[str]:
        mentors = relationship.mentors
        return mentors if self.activity.participant in mentors else relationship.mentees

    def _resume(self, relationship: Relationship) -> Iterator[RawEvent]:
        """Resumes also the pauses of colleagues on the same side: the side has somebody again."""
        activity = self.activity
        prefixes = tuple(pauses_of(one) for one in self._side(relationship))
        for pause in self._roster.pauses(relationship.tenant, relationship.id):
            if pause.pause_id.startswith(prefixes) and (pause.until is None or pause.until > activity.time):
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

    def _ended_id(self, relationship: str) -> str:
        return digest("ended", self.activity.participant, self.absence.cause, relationship)

    def _pause(self, relationship: Relationship, begin: datetime) -> Iterator[RawEvent]:
        """A future exit is a pause until its day: nothing ends in the future."""
        activity, existing = self.activity, self._existing_pause(relationship)
        until, pause_id = self.absence.until, self.absence.pause_id(activity.participant)
        if existing is not None and activity.left_on is None:
            begin, pause_id = existing.begin, existing.pause_id
        if existing is not None and (existing.begin, existing.until) == (begin, until):
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
