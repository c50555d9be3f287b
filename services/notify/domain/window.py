"""The last 14 active days of a relationship's rows, and for how long something has held in them."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import timedelta
from typing import Literal, NamedTuple

from schemas.primitives import Instant
from schemas.scores import ScoreRow

WINDOW = timedelta(days=14)
MOST_ROWS = 512
"""Of a pair that writes hundreds of messages a day the window is shorter; its state record stays below 64 KB."""
_NO_TIME = timedelta(0)


class Values(NamedTuple):
    """What rules look at. Numbers are scoring's, rounded to millionths: a crossing row carries the level itself."""

    status: Literal["active", "paused", "ended"]
    health: float
    risk: float
    confidence: float


class Row(NamedTuple):
    """`values` None: this instant exists no more. The version of a row is (position, heal)."""

    as_of: Instant
    position: int
    heal: bool
    values: Values | None


Window = tuple[Row, ...]


class Run(NamedTuple):
    """Something has held from `since` up to `until`, the newest row; `active` of that time was not paused."""

    since: Instant
    until: Instant
    active: timedelta
    paused: bool

    def due(self, hold: timedelta) -> Instant | None:
        """When it will have held for `hold` of active time (or had); None while paused: then nobody knows."""
        return None if self.paused else self.until + (hold - self.active)


def row(of: ScoreRow) -> Row:
    values = Values(of.score.status, of.score.health, of.score.risk, of.score.confidence) if of.score else None
    return Row(of.as_of, of.position, of.mode == "heal", values)


def replaced(window: Window, new: Row) -> Window:
    """The window with the row in its place: of two versions of an instant the greater stays, of equal ones the new."""
    if not window or new.as_of > window[-1].as_of:
        return (*window, new)[-MOST_ROWS:]
    at = bisect_left(window, new.as_of, key=_as_of)
    if window[at].as_of == new.as_of:
        older = window[at][1:3] <= new[1:3]
        return (*window[:at], new, *window[at + 1 :]) if older else window
    return (*window[:at], new, *window[at:])[-MOST_ROWS:]


def trimmed(window: Window) -> Window:
    """Without what lies more than WINDOW of active time back; the first row kept says what held when it began."""
    left = WINDOW
    for at in range(len(window) - 1, 0, -1):
        before = window[at - 1]
        if before.values is None or before.values.status != "paused":
            left -= window[at].as_of - before.as_of
        if left <= _NO_TIME:
            return window[at - 1 :]
    return window


def up_to(window: Window, instant: Instant) -> Window:
    """The rows at or before an instant, deleted ones included."""
    return window[: bisect_right(window, instant, key=_as_of)]


def unbroken_run(rows: Window, holds: Callable[[Values], bool]) -> Run | None:
    """The run of rows, up to the newest one, for all of which `holds`; None if the newest fails or there is none.
    A row's values hold until the next row; deleted rows are none."""
    run: Run | None = None
    for at, _, _, values in reversed(rows):
        if values is None:
            continue
        if not holds(values):
            break
        paused = values.status == "paused"
        if run is None:
            run = Run(at, at, _NO_TIME, paused)
        else:
            run = Run(at, run.until, run.active + (_NO_TIME if paused else run.since - at), run.paused)
    return run


def _as_of(row: Row) -> Instant:
    return row.as_of
