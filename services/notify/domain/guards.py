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


def muted(row: ScoreRow, clock: Clock) -> str | None:
    """Why what this row brings about is not sent, if so. On the log's own clock everything is."""
    if clock == "log":
        return None
    if row.mode != "live":
        return f"{row.mode}: history told again"
    trigger = row.trigger
    if trigger is not None and trigger.recordedtime - trigger.time > LATE:
        return f"recorded {(trigger.recordedtime - trigger.time).days} days after it happened"
    return None


def muted_later(row: ScoreRow, clock: Clock) -> str | None:
    """The same for a deadline that the row has set: only a replay lives in the past with all its deadlines."""
    return muted(row, clock) if row.mode == "replay" else None


def is_behind(scores: Instant | None, wall: Instant) -> bool:
    return scores is not None and wall - scores > BEHIND
