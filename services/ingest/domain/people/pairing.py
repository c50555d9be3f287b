"""Who of ours a tool speaks of, and which relationships that makes."""

from collections.abc import Iterable
from datetime import datetime

from services.ingest.domain.activity import Person
from services.ingest.domain.derived_events import Subject
from services.ingest.domain.people.relationship_history import Relationship
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
