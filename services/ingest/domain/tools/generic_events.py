"""Resolve all other activities: find the relationship by the id that it names or by the people that it concerns."""

from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import GenericActivity, Voided
from services.ingest.domain.ids import EventContent, RawEvent, Subject, event_id, origin, raw_event, statement_id
from services.ingest.domain.people.relationship_history import Relationship
from services.ingest.domain.people.roster import STRANGERS, Roster, company, pairs, several
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection, Spoken
from services.ingest.domain.verdict import Ignored, Rejected, rejected

STARTED = "mentoring.relationship.started.v1"
ERASED = Ignored("erased")

Result = tuple[RawEvent, ...] | Ignored | Rejected
Found = tuple[Relationship, ...] | Ignored | Rejected


def told(said: GenericActivity, scope: ConnectionScope, roster: Roster) -> Result:
    author = _author(said, scope, roster)
    if isinstance(author, Ignored | Rejected):
        return author
    if said.relationship and roster.is_erased(scope.tenant, said.relationship):
        return ERASED
    if said.relationship:
        one = roster.relationship(scope.tenant, said.relationship, said.time)
        if said.type == STARTED:
            return _started(said, scope, one)
        found: Found = (one,) if one else rejected("unresolved", "relationship", "there is no such relationship yet")
    else:
        found = _of_people(said, scope, roster, author)
    if isinstance(found, Ignored | Rejected):
        return found
    events: list[RawEvent] = []
    for one in found:
        role = "system" if author is None else one.role(author)
        by = said.actor or role or ("admin" if author == one.coordinator else None)
        if by is None:
            words = "is neither mentor nor mentee of this relationship, nor its coordinator"
            return rejected("unresolved", "by", words)
        events.append(_raw(said, Subject(scope.source, scope.tenant, one.program, one.id), by, scope))
    return tuple(events)


def _author(said: GenericActivity, scope: ConnectionScope, roster: Roster) -> str | Ignored | Rejected | None:
    """Return the participant who is the author; None if no author is named."""
    if said.by is None:
        return None
    found = roster.identify(scope.tenant, scope.tool, said.by)
    if len(found) > 1:
        return several("by", found)
    if found:
        return next(iter(found))
    if said.relationship and said.actor is None:
        return rejected("unresolved", "by", "is nobody of the directory yet")
    return None if said.relationship else STRANGERS


def _of_people(said: GenericActivity, scope: ConnectionScope, roster: Roster, author: str | None) -> Found:
    others = company(said.people, scope, roster)
    if isinstance(others, Rejected):
        return others
    if author is None:
        return pairs(others, scope, roster, said.time)
    if not said.people:
        only = roster.of(scope.tenant, scope.program, author, said.time)
        words = "is in several relationships, and which one is not said" if only else "is in no relationship yet"
        return only if len(only) == 1 else rejected("unresolved", "by", words)
    found = pairs(others | {author}, scope, roster, said.time)
    if isinstance(found, Ignored | Rejected):
        return found
    return tuple(one for one in found if author in one.people) or STRANGERS


def _started(said: GenericActivity, scope: ConnectionScope, known: Relationship | None) -> Result:
    """The only event that need not find its relationship: it creates it."""
    program = known.program if known else scope.program
    if program is None:
        return rejected("invalid", "program", "a relationship starts in a programme: the connection must name one")
    subject = Subject(scope.source, scope.tenant, program, said.relationship)
    return (_raw(said, subject, said.actor or "system", scope),)


def _raw(said: GenericActivity, subject: Subject, by: str, scope: ConnectionScope) -> RawEvent:
    data = {**said.data, "by": by, "evidence": said.evidence, "origin": origin(scope, said.native)}
    # A tool refers to the answered message by its key; the event of that message has an id of ours.
    if isinstance(answered := said.data.get("reply_to"), str):
        data["reply_to"] = event_id(answered, subject.relationship)
    parts = (subject.relationship, said.part) if said.part else (subject.relationship,)
    return raw_event(subject, EventContent(said.type, event_id(said.key, *parts), said.time, data))


RETRACTED = "mentoring.event.retracted.v1"


class RetractionTarget(NamedTuple):
    """The lookup key of a retracted statement, for the index and the warehouse."""

    tenant: str
    source: str
    id: str


def target_of(said: Voided, scope: ConnectionScope) -> RetractionTarget:
    return RetractionTarget(scope.tenant, scope.source, statement_id(said.target))


def voided(
    said: Voided, scope: ConnectionScope, projection: Projection, stored: tuple[Spoken, ...]
) -> tuple[RawEvent, ...] | Ignored | Rejected:
    """Retract the target's events, found in the statement index, else in `stored`. Events that were emitted again after
    this retraction stay: the retraction may be a repeat."""
    found = projection.memory.find(*target_of(said, scope)) or stored
    stands = [one for one in found if one.type != RETRACTED and scope.program in {None, one.program}]
    if not stands:
        return rejected("unresolved", "target", "what this takes back is not known")
    kept = [one for one in stands if not projection.roster.is_erased(scope.tenant, one.relationship)]
    earlier = {one.relationship for one in kept if one.time <= said.time}
    events: list[RawEvent] = []
    for spoken in (one for one in kept if one.time <= said.time or one.relationship not in earlier):
        ours = {"by": "system", "evidence": "observed", "origin": origin(scope, said.native), "source": scope.source}
        told = {"id": spoken.id, "type": spoken.type, "time": to_rfc3339(spoken.time)}
        data = {**ours, **told, "slot": said.slot or spoken.slot}
        content = EventContent(RETRACTED, event_id(said.key, spoken.relationship, spoken.id), said.time, data)
        events.append(raw_event(Subject(scope.source, scope.tenant, spoken.program, spoken.relationship), content))
    return tuple(events) or ERASED
