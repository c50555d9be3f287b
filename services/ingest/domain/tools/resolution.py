"""From what a tool says about people to events of relationships."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from schemas.directory import Participant
from services.ingest.domain.meetings.booked_sessions import booked, cancelled, moved
from services.ingest.domain.meetings.missed_sessions import missed
from services.ingest.domain.meetings.seen_people import ended, joined_or_left
from services.ingest.domain.people.fan_out import employed
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.retraction import voided
from services.ingest.domain.tools.said import (
    Booked,
    Cancelled,
    Employed,
    Ended,
    Joined,
    Left,
    Missed,
    Moved,
    Said,
    Told,
    Voided,
)
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.tools.spoken import Spoken
from services.ingest.domain.tools.told_events import told
from services.ingest.domain.verdict import Ignored, Rejected


@dataclass(frozen=True)
class Resolved:
    """Raw CloudEvents, not yet admitted, and records of the directory. One of the two is not empty."""

    events: tuple[Mapping[str, object], ...] = ()
    participants: tuple[Participant, ...] = ()


def resolve(
    said: Said, speaker: Speaker, knowledge: Knowledge, stored: tuple[Spoken, ...] = ()
) -> Resolved | Ignored | Rejected:
    """Changes nothing and asks nobody but `knowledge`. The same statement gives the same ids, whatever became known
    since. Rejected("unresolved") may be asked again when more is known. `stored`: of a statement that is taken back,
    what the warehouse has, where the memory has forgotten it."""
    match said:
        case Booked():
            result = booked(said, speaker, knowledge)
        case Cancelled():
            result = cancelled(said, speaker, knowledge)
        case Moved():
            result = moved(said, speaker, knowledge)
        case Missed():
            result = missed(said, speaker, knowledge)
        case Joined() | Left():
            result = joined_or_left(said, speaker, knowledge)
        case Ended():
            result = ended(said, speaker, knowledge)
        case Told():
            result = told(said, speaker, knowledge.roster)
        case Voided():
            result = voided(said, speaker, knowledge, stored)
        case Employed():
            return _directory(said, speaker, knowledge)
        case _:
            assert_never(said)
    return result if isinstance(result, Ignored | Rejected) else Resolved(result)


def _directory(said: Employed, speaker: Speaker, knowledge: Knowledge) -> Resolved | Ignored | Rejected:
    found = employed(said, speaker, knowledge.roster)
    return found if isinstance(found, Ignored | Rejected) else Resolved(found.events, found.participants)
