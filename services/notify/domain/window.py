"""The window: the last 14 active days of a relationship's rows, and for how long a condition has held in them."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from operator import attrgetter
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime

from schemas.primitives import Instant, to_utc
from schemas.rules import LONGEST_HOLD
from schemas.scores import Score, ScoreRow

WINDOW = LONGEST_HOLD
MAX_ROWS = 512
"""For a pair that writes hundreds of messages a day the window is shorter; its state record stays below 64 KB."""
SUPPORT_OPEN = "support_open"
"""The name that scoring gives it."""
_NO_TIME = timedelta(0)

StoredInstant = Annotated[AwareDatetime, AfterValidator(to_utc)]
"""An instant in a state: it is serialised without a call of Python, in a quarter of the time. Rows are most of a state,
and a state is written for every score."""


class Values(NamedTuple):
    """The values that rules evaluate. Numbers are scoring's, rounded to millionths: a crossing row carries the level
    itself. `silent_from`: the last contact, or the start before any contact, without an interval then; `booked`: a
    meeting lies ahead; `support`: an immediate request is open. Rows of older states have none of these."""

    status: Literal["active", "paused", "ended"]
    health: float
    risk: float
    confidence: float
    silent_from: StoredInstant | None = None
    interval_days: float = 0.0
    booked: bool = False
    support: bool = False


class WindowRow(NamedTuple):
    """`values` None: the row of this instant was deleted. The version of a row is (position, heal)."""

    as_of: StoredInstant
    position: int
    heal: bool
    values: Values | None


Window = tuple[WindowRow, ...]


class Run(NamedTuple):
    """A condition has held from `since` to `until`, the newest row; `active` is the time not paused, `points` the
    number of rows."""

    since: Instant
    until: Instant
    active: timedelta
    paused: bool
    points: int = 1

    def due(self, hold: timedelta) -> Instant | None:
        """Return when it will have held for `hold` of active time (or had); None while paused, when that is unknown."""
        return None if self.paused else self.until + (hold - self.active)


as_of: Callable[[WindowRow], Instant] = attrgetter("as_of")


def window_row(of: ScoreRow) -> WindowRow:
    return WindowRow(of.as_of, of.position, of.mode == "heal", _values(of.score, of.as_of) if of.score else None)


def insert_row(window: Window, new: WindowRow) -> Window:
    """Insert the row: of two versions of an instant the greater stays, of equal ones the new one."""
    if not window or new.as_of > window[-1].as_of:
        return (*window, new)[-MAX_ROWS:]
    at = bisect_left(window, new.as_of, key=as_of)
    if window[at].as_of == new.as_of:
        older = window[at][1:3] <= new[1:3]
        return (*window[:at], new, *window[at + 1 :]) if older else window
    return (*window[:at], new, *window[at:])[-MAX_ROWS:]


def trim(window: Window) -> Window:
    """Drop rows more than WINDOW of active time back; the first remaining row says what held when it began."""
    remaining = WINDOW
    for at in range(len(window) - 1, 0, -1):
        before = window[at - 1]
        if before.values is None or before.values.status != "paused":
            remaining -= window[at].as_of - before.as_of
        if remaining <= _NO_TIME:
            return window[at - 1 :]
    return window


def active_time_start(window: Window, span: timedelta) -> Instant | None:
    """Return the instant of the first row before which the window holds so much active time; None if it holds less."""
    for before, after in pairwise(window):
        if before.values is None or before.values.status != "paused":
            span -= after.as_of - before.as_of
        if span <= _NO_TIME:
            return after.as_of
    return None


def up_to(window: Window, instant: Instant) -> Window:
    """Return the rows at or before an instant, deleted ones included."""
    if window and window[-1].as_of <= instant:
        return window
    return window[: bisect_right(window, instant, key=as_of)]


def extended_to(rows: Window, instant: Instant) -> Window:
    """Return the rows, extended by the newest values at a later instant: they hold until the next row."""
    last = next((found for found in reversed(rows) if found.values is not None), None)
    return rows if last is None or last.as_of >= instant else (*rows, last._replace(as_of=instant))


def unbroken_run(rows: Window, holds: Callable[[Values], bool]) -> Run | None:
    """Return the run of rows, up to the newest, for all of which `holds`; None if the newest fails or there is none.
    The values of a row hold until the next row; deleted rows have none."""
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
            active = run.active + (_NO_TIME if paused else run.since - at)
            run = Run(at, run.until, active, run.paused, run.points + 1)
    return run


def newest_values(rows: Window) -> Values | None:
    """Return the values of the last row that was not deleted."""
    # No generator: this runs for every row of every pair.
    for found in reversed(rows):
        if found.values is not None:
            return found.values
    return None


def _values(of: Score, as_of: Instant) -> Values:
    return Values(
        of.status,
        of.health,
        of.risk,
        of.confidence,
        of.last_contact or of.started,
        of.cadence_days if of.last_contact else 0.0,
        of.next_session is not None and of.next_session > as_of,
        SUPPORT_OPEN in of.caps,
    )
