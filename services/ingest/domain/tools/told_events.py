"""Whatever else a tool tells, finds its relationship by the id that it names or by the people it is about."""

from collections.abc import Mapping
from typing import NamedTuple

from services.ingest.domain.people.company import STRANGERS, company, pairs, several
from services.ingest.domain.people.relationship import Relationship
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.tools.derived import event_id
from services.ingest.domain.tools.raw_event import Content, RawEvent, Subject, origin, raw_event
from services.ingest.domain.tools.said import Told
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.verdict import Ignored, Rejected, rejected

STARTED = "mentoring.relationship.started.v1"
ERASED = Ignored("erased")

Result = tuple[RawEvent, ...] | Ignored | Rejected
Found = tuple[Relationship, ...] | Ignored | Rejected


class _Author(NamedTuple):
    """`participant` None: nobody of ours is named."""

    participant: str | None


def told(said: Told, speaker: Speaker, roster: Roster) -> Result:
    author = _author(said, speaker, roster)
    if isinstance(author, Ignored | Rejected):
        return author
    if said.relationship and said.type == STARTED:
        return _started(said, speaker, roster)
    found = _of_id(said, speaker, roster) if said.relationship else _of_people(said, speaker, roster, author)
    if isinstance(found, Ignored | Rejected):
        return found
    events = [_event(said, speaker, one, author) for one in found]
    return next((one for one in events if isinstance(one, Rejected)), None) or tuple(
        one for one in events if not isinstance(one, Rejected)
    )


def _author(said: Told, speaker: Speaker, roster: Roster) -> _Author | Ignored | Rejected:
    if said.by is None:
        return _Author(None)
    found = roster.identify(speaker.tenant, speaker.tool, said.by)
    if len(found) > 1:
        return several("by", found)
    if found:
        return _Author(next(iter(found)))
    if said.relationship and said.actor is None:
        return rejected("unresolved", "by", "is nobody of the directory yet")
    return _Author(None) if said.relationship else STRANGERS


def _of_id(said: Told, speaker: Speaker, roster: Roster) -> Found:
    if roster.is_erased(speaker.tenant, said.relationship):
        return ERASED
    found = roster.relationship(speaker.tenant, said.relationship, said.time)
    if found is None:
        return rejected("unresolved", "relationship", "there is no such relationship yet")
    return (found,)


def _of_people(said: Told, speaker: Speaker, roster: Roster, author: _Author) -> Found:
    others = company(said.people, speaker, roster)
    if isinstance(others, Rejected):
        return others
    if author.participant is None:
        return pairs(others, speaker, roster, said.time)
    if not said.people:
        return _only(author.participant, said, speaker, roster)
    found = pairs(others | {author.participant}, speaker, roster, said.time)
    if isinstance(found, Ignored | Rejected):
        return found
    return tuple(one for one in found if author.participant in one.people) or STRANGERS


def _only(participant: str, said: Told, speaker: Speaker, roster: Roster) -> Found:
    found = roster.of(speaker.tenant, speaker.program, participant, said.time)
    if len(found) == 1:
        return found
    words = "is in several relationships, and which one is not said" if found else "is in no relationship yet"
    return rejected("unresolved", "by", words)


def _started(said: Told, speaker: Speaker, roster: Roster) -> Result:
    """The one event that need not find its relationship: it is what makes it known."""
    if roster.is_erased(speaker.tenant, said.relationship):
        return ERASED
    known = roster.relationship(speaker.tenant, said.relationship, said.time)
    program = known.program if known else speaker.program
    if program is None:
        return rejected("invalid", "program", "a relationship starts in a programme: the connection must name one")
    return (_raw(said, speaker, Subject(speaker.source, speaker.tenant, program, said.relationship), said.actor),)


def _event(said: Told, speaker: Speaker, relationship: Relationship, author: _Author) -> RawEvent | Rejected:
    by = said.actor or _role(relationship, author)
    if by is None:
        return rejected("unresolved", "by", "is neither mentor nor mentee of this relationship, nor its coordinator")
    return _raw(said, speaker, Subject(speaker.source, speaker.tenant, relationship.program, relationship.id), by)


def _role(relationship: Relationship, author: _Author) -> str | None:
    if author.participant is None:
        return "system"
    coordinates = author.participant == relationship.coordinator
    return relationship.role(author.participant) or ("admin" if coordinates else None)


def _raw(said: Told, speaker: Speaker, subject: Subject, by: str | None) -> RawEvent:
    data = {**_references(said.data, subject.relationship), "by": by or "system", "evidence": said.evidence}
    data["origin"] = origin(speaker, said.native)
    parts = (subject.relationship, said.part) if said.part else (subject.relationship,)
    return raw_event(subject, Content(said.type, event_id(said.key, *parts), said.time, data))


def _references(data: Mapping[str, object], relationship: str) -> Mapping[str, object]:
    """A tool names the message that is answered by its key: the event that it became has an id of ours."""
    answered = data.get("reply_to")
    return {**data, "reply_to": event_id(answered, relationship)} if isinstance(answered, str) else data
