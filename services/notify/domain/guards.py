"""Guards against our own storms: what changes state but calls nobody, and what waits until we have caught up."""

from datetime import timedelta
from typing import Literal

from schemas.primitives import Instant
from schemas.scores import ScoreRow

Clock = Literal["wall", "log"]

LATE = timedelta(hours=24)
"""What was recorded later than this is history: an import of two years must not page for any of them."""
BEHIND = timedelta(hours=1)
"""While scores are this far behind the wall clock, the next ones may already say that all is well again."""


def history(row: ScoreRow, clock: Clock) -> str | None:
    """Why what this row brings about is history, if so. On the log's own clock everything is news."""
    if clock == "log":
        return None
    if row.mode != "live":
        return f"{row.mode}: history told again"
    trigger = row.trigger
    if trigger is not None and trigger.recordedtime - trigger.time > LATE:
        return f"recorded {(trigger.recordedtime - trigger.time).days} days after it happened"
    return None


def lag(scores: Instant | None, wall: Instant, clock: Clock) -> timedelta:
    """How far scores are behind the wall clock; on the log's own clock, and before the first score, not at all."""
    return timedelta(0) if scores is None or clock == "log" else max(timedelta(0), wall - scores)


def is_behind(lag: timedelta) -> bool:
    return lag > BEHIND
