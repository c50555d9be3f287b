"""History told late: while it is being told, nothing is decided on it. What still fires when it has been told is one
digest."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from schemas.primitives import Instant
from schemas.scores import ScoreRow
from services.notify.domain.guards import is_behind

SETTLE = timedelta(minutes=15)
"""An import writes thousands of rows a second: when none has come for so long, the history has been told."""
LONGEST = timedelta(hours=6)
"""In an organisation where somebody always enters something late, nobody waits longer for what is at risk."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A subject of which history is being told: since when, until when at the least, and how it is called."""

    since: Instant
    until: Instant
    why: str

    def prolonged(self, until: Instant, why: str) -> "CatchUp":
        return CatchUp(self.since, max(self.until, until), why)


def catching_up(before: CatchUp | None, new: ScoreRow, now: Instant, late: str | None) -> CatchUp | None:
    """With a row that is history for the reason of `late`, or with one that is none."""
    if late is None:
        return before
    recorded = new.trigger.recordedtime if new.trigger else now
    until = max(now, recorded) + SETTLE
    return before.prolonged(until, late) if before else CatchUp(max(now, recorded), until, late)


@dataclass(frozen=True)
class CatchingUp:
    """A subject that is catching up, the clock of its partition and how far that is behind the wall clock."""

    key: str
    partition: int
    catch_up: CatchUp
    clock: Instant | None
    lag: timedelta


def settled(waiting: Iterable[CatchingUp]) -> list[CatchingUp]:
    """Of one organisation: all of them when the last history was told long enough ago, so that there is one digest;
    before that those that are ready themselves, when somebody has waited for too long."""
    every = list(waiting)
    if not every or any(one.clock is None or is_behind(one.lag) for one in every):
        return []
    clock = min(one.clock for one in every if one.clock is not None)
    if clock >= max(one.catch_up.until for one in every):
        return every
    if clock < min(one.catch_up.since for one in every) + LONGEST:
        return []
    return [one for one in every if one.catch_up.until <= clock]
