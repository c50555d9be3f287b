"""Why a row exists: what a fact brings about, now and at the instants that it names, and what only time does."""

from services.scoring.domain.bounds import UNSET
from services.scoring.domain.facts import Fact, Key
from services.scoring.domain.kinds import CAUSE_OF_KIND, Kind

RETRACTED = "event.retracted"
MIDNIGHT = "midnight"
BOOKING_STARTS = "booking.starts"
PROFILE_CHANGED = "profile.changed"
GOAL_STALLED = "goal.stalled"
PAUSE_BOUNDARY = "pause.boundary"
NAMING = frozenset({Kind.SCHEDULED, Kind.RESCHEDULED, Kind.PAUSED})
"""Facts that name instants to come."""


def cause_of(key: Key, fact: Fact) -> str:
    return CAUSE_OF_KIND[key.kind] if fact.stands else RETRACTED


def named_by(key: Key, fact: Fact) -> set[int]:
    """The instants that a fact names beside its own."""
    if key.kind not in NAMING:
        return set()
    return {fact.first, *((fact.second,) if key.kind == Kind.PAUSED else ())} - {UNSET}
