"""Resolve all other activities: find the relationship by the id that it names or by the people that it concerns."""

from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import GenericActivity, Voided
from services.ingest.domain.ids import EventContent, RawEvent, Subject, event_id, origin, raw_event, statement_id
from services.ingest.domain.people.relationship_history import Relationship
from services.ingest.domain.people.roster import STRANGERS, Roster, identify_participants, pairs, reject_ambiguous
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import EmittedEvent, Projection
from services.ingest.domain.verdict import Ignored, Rejected, rejected

MESSAGE = "mentoring.message.sent.v1"
# A coordinator, or another known person, in the pair's conversation.
NOT_OF_THIS_CONVERSATION = Ignored("not_of_this_conversation")
STARTED = "mentoring.relationship.started.v1"
ERASED = Ignored("erased")

Result = tuple[RawEvent, ...] | Ignored | Rejected
Found = tuple[Relationship, ...] | Ignored | Rejected


def resolve_generic(activity: GenericActivity, scope: ConnectionScope, roster: Roster) -> Result:
    author = _author(activity, scope, roster)
    if isinstance(author, Ignored | Rejected):
        return author
    if activity.relationship and roster.is_erased(scope.tenant, activity.relationship):
        return ERASED
    if activity.relationship:
        one = roster.relationship(scope.tenant, activity.relationship, activity.time)
        if activity.type == STARTED:
            return _resolve_start(activity, scope, one)
        found: Found = (one,) if one else rejected("unresolved", "relationship", "there is no such relationship yet")
    else:
        found = _find_by_people(activity, scope, roster, author)
    if isinstance(found, Ignored | Rejected):
        return found
    events: list[RawEvent] = []
    for one in found:
        role = "system" if author is None else one.role(author)
        by = activity.actor or role or ("admin" if author == one.coordinator else None)
        if activity.type == MESSAGE and role is None:
            return NOT_OF_THIS_CONVERSATION
        if by is None:
            words = "is neither mentor nor mentee of this relationship, nor its coordinator"
            return rejected("unresolved", "by", words)
        events.append(_raw(activity, Subject(scope.source, scope.tenant, one.program, one.id), by, scope))
    return tuple(events)


def _author(activity: GenericActivity, scope: ConnectionScope, roster: Roster) -> str | Ignored | Rejected | None:
    """Return the participant who is the author; None if no author is named."""
    if activity.by is None:
        return None
    found = roster.identify(scope.tenant, scope.tool, activity.by)
    if len(found) > 1:
        return reject_ambiguous("by", found)
    if found:
        return next(iter(found))
    if activity.relationship and activity.actor is None:
        return rejected("unresolved", "by", "is nobody of the directory yet")
    return None if activity.relationship else STRANGERS


def _find_by_people(activity: GenericActivity, scope: ConnectionScope, roster: Roster, author: str | None) -> Found:
    others = identify_participants(activity.people, scope, roster)
    if isinstance(others, Rejected):
        return others
    if author is None:
        return pairs(others, scope, roster, activity.time)
    if not activity.people:
        only = roster.ongoing(scope.tenant, scope.program, author, activity.time)
        words = "is in several relationships, and the tool names none of them" if only else "is in no relationship yet"
        return only if len(only) == 1 else rejected("unresolved", "by", words)
    found = pairs(others | {author}, scope, roster, activity.time)
    if isinstance(found, Ignored | Rejected):
        return found
    return tuple(one for one in found if author in one.people) or STRANGERS


def _resolve_start(activity: GenericActivity, scope: ConnectionScope, existing: Relationship | None) -> Result:
    """The only event that need not find its relationship: it creates it."""
    program = existing.program if existing else scope.program
    if program is None:
        return rejected("invalid", "program", "a relationship starts in a programme: the connection must name one")
    subject = Subject(scope.source, scope.tenant, program, activity.relationship)
    return (_raw(activity, subject, activity.actor or "system", scope),)


def _raw(activity: GenericActivity, subject: Subject, by: str, scope: ConnectionScope) -> RawEvent:
    data = {**activity.data, "by": by, "evidence": activity.evidence, "origin": origin(scope, activity.native)}
    # A tool refers to the answered message by its key; the event of that message has an id of ours.
    if isinstance(answered := activity.data.get("reply_to"), str):
        data["reply_to"] = event_id(answered, subject.relationship)
    parts = (subject.relationship, activity.part) if activity.part else (subject.relationship,)
    return raw_event(subject, EventContent(activity.type, event_id(activity.key, *parts), activity.time, data))


RETRACTED = "mentoring.event.retracted.v1"


class RetractionTarget(NamedTuple):
    """The lookup key of a retracted statement, for the index and the warehouse."""

    tenant: str
    source: str
    id: str


def target_of(activity: Voided, scope: ConnectionScope) -> RetractionTarget:
    return RetractionTarget(scope.tenant, scope.source, statement_id(activity.target))


def resolve_retraction(
    activity: Voided, scope: ConnectionScope, projection: Projection, stored: tuple[EmittedEvent, ...]
) -> tuple[RawEvent, ...] | Ignored | Rejected:
    """Retract the target's events, found in the statement index, else in `stored`. Events that were emitted again after
    this retraction stay: the retraction may be a repeat."""
    found = projection.statement_index.find(*target_of(activity, scope)) or stored
    targets = [one for one in found if one.type != RETRACTED and scope.program in {None, one.program}]
    if not targets and _is_of_outsider(activity, scope, projection.roster):
        return NOT_OF_THIS_CONVERSATION
    if not targets:
        return rejected("unresolved", "target", "there is no statement with this id to retract")
    retractable = [one for one in targets if not projection.roster.is_erased(scope.tenant, one.relationship)]
    earlier = {one.relationship for one in retractable if one.time <= activity.time}
    events: list[RawEvent] = []
    for emitted in (one for one in retractable if one.time <= activity.time or one.relationship not in earlier):
        ours = {
            "by": "system",
            "evidence": "observed",
            "origin": origin(scope, activity.native),
            "source": scope.source,
        }
        retracted = {"id": emitted.id, "type": emitted.type, "time": to_rfc3339(emitted.time)}
        data = {**ours, **retracted, "slot": activity.slot or emitted.slot}
        content = EventContent(RETRACTED, event_id(activity.key, emitted.relationship, emitted.id), activity.time, data)
        events.append(raw_event(Subject(scope.source, scope.tenant, emitted.program, emitted.relationship), content))
    return tuple(events) or ERASED


def _is_of_outsider(activity: Voided, scope: ConnectionScope, roster: Roster) -> bool:
    """Whether the target was a message of a known person who does not belong to the relationship: it was ignored."""
    who = roster.identify(scope.tenant, scope.tool, activity.by) if activity.by else frozenset[str]()
    relationship = roster.relationship(scope.tenant, activity.relationship, activity.time)
    return bool(who) and relationship is not None and not who & relationship.people
