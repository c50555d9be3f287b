"""From what a tool says about people to events of relationships."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from schemas.directory import DirectoryStatement, Participant
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Employed,
    Ended,
    GenericActivity,
    Joined,
    Left,
    Missed,
    Moved,
    Voided,
)
from services.ingest.domain.people.fan_out import employed
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.attendance_events import ended, joined_or_left
from services.ingest.domain.tools.booked_sessions import booked, cancelled, missed, moved
from services.ingest.domain.tools.generic_events import told, voided
from services.ingest.domain.tools.projection import Projection, Spoken
from services.ingest.domain.verdict import Ignored, Rejected


@dataclass(frozen=True)
class Resolved:
    """Raw CloudEvents, not yet admitted, and what is said of people. One of the two is not empty. `participants`: as
    whom people are known after it, where that is another word than before; who knew less or more may find another, so
    that what is said is written all the same."""

    events: tuple[Mapping[str, object], ...] = ()
    statements: tuple[DirectoryStatement, ...] = ()
    participants: tuple[Participant, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """As far as is known here."""
        return not self.events and not self.participants


def resolve(
    said: Activity, connection_scope: ConnectionScope, projection: Projection, stored: tuple[Spoken, ...] = ()
) -> Resolved | Ignored | Rejected:
    """Changes nothing and asks nobody but `knowledge`. The same statement gives the same ids, whatever became known
    since. Rejected("unresolved") may be asked again when more is known. `stored`: of a statement that is taken back,
    what the warehouse has, where the memory has forgotten it."""
    match said:
        case Booked():
            result = booked(said, connection_scope, projection)
        case Cancelled():
            result = cancelled(said, connection_scope, projection)
        case Moved():
            result = moved(said, connection_scope, projection)
        case Missed():
            result = missed(said, connection_scope, projection)
        case Joined() | Left():
            result = joined_or_left(said, connection_scope, projection)
        case Ended():
            result = ended(said, connection_scope, projection)
        case GenericActivity():
            result = told(said, connection_scope, projection.roster)
        case Voided():
            result = voided(said, connection_scope, projection, stored)
        case Employed():
            return _directory(said, connection_scope, projection)
        case _:
            assert_never(said)
    return result if isinstance(result, Ignored | Rejected) else Resolved(result)


def _directory(said: Employed, connection_scope: ConnectionScope, projection: Projection) -> Resolved | Rejected:
    found = employed(said, connection_scope, projection.roster)
    if isinstance(found, Rejected):
        return found
    return Resolved(found.events, (found.statement,), found.participants)
