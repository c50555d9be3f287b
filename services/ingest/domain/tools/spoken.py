"""What a tool said before, by statement: enough to retract it, for as long as it is remembered."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from services.ingest.domain.tools.speaker import RESERVED

MOST_STATEMENTS = 100_000
"""About 60 MB; whatever is older is asked of the warehouse."""
LATE_NOTICE_HOURS = 24
"""As in scoring: a cancellation with less notice than this is a fact of the group `late`."""


class Spoken(NamedTuple):
    """An event on the log, without what it said."""

    relationship: str
    program: str
    id: str
    type: str
    time: datetime
    slot: str


Find = Callable[[str, str, str], tuple[Spoken, ...]]
"""Tenant, source, statement id: every event that the statement became."""


class Memory:
    """One thread tells it at a time, any thread asks."""

    def __init__(self, most: int = MOST_STATEMENTS) -> None:
        self._most = most
        self._spoken: dict[tuple[str, str, str], tuple[Spoken, ...]] = {}

    def hear(self, event: OfRelationship) -> None:
        """Any event of the log; only what tools said is kept."""
        statement = event.id.partition(".")[0]
        if not event.source.startswith(RESERVED):
            return
        key, spoken = (event.tenant, event.source, statement), spoken_of(event)
        known = self._spoken.pop(key, ())
        self._spoken[key] = known if spoken in known else (*known, spoken)
        if len(self._spoken) > self._most:
            del self._spoken[next(iter(self._spoken))]

    def find(self, tenant: str, source: str, statement: str) -> tuple[Spoken, ...]:
        return self._spoken.get((tenant, source, statement), ())


def spoken_of(event: OfRelationship) -> Spoken:
    return Spoken(event.subject, event.program, event.id, event.type, event.time, slot_of(event.data))


def slot_of(data: object) -> str:
    """The group of facts that the event belongs to, as `event.retracted` names it."""
    match data:
        case p.GoalChanged(goal_id=goal):
            return goal
        case p.SessionMissed(absent=absent):
            return absent
        case p.SessionCancelled(notice_hours=float(hours)) if hours < LATE_NOTICE_HOURS:
            return "late"
        case p.OneSided(by=side):
            return side
        case p.MilestoneCelebrated(by=by):
            return by if by in {"mentor", "mentee"} else "both"
        case _:
            return ""
