"""Health that falls: how far below the highest value of a while, and whether it comes back or the new level holds."""

from bisect import bisect_left
from datetime import timedelta
from typing import NamedTuple

from schemas.primitives import Instant
from schemas.rules import Drawdown, Rule
from services.notify.domain.window import Run, StoredInstant, Values, Window, as_of, newest, unbroken_run

MOST = 100.0
SAME_LEVEL = 5.0
"""Points by which health goes up and down from day to day: further below, it is another level."""
_NO_TIME = timedelta(0)


class Fall(NamedTuple):
    """From the peak, which health had last at `peak_at`, to a level that it has had since `held`."""

    peak: float
    peak_at: StoredInstant
    level: float
    held: StoredInstant


class Fallen(NamedTuple):
    """`run`: for how long the fall has been so great; `points`: the rows that show it; `is_lowest`: whether health has
    not been lower in all that while."""

    fall: Fall
    run: Run
    points: int
    is_lowest: bool


def fallen(rule: Rule, drop: Drawdown, rows: Window, regained_at: Instant | None = None) -> Fallen | None:
    """How far the newest row lies below the peak of its window; None if not so far as the rule says, or if nobody is
    sure of it. `regained_at`: when the last fall was, if there was one: what health fell from before that counts no
    more, or a pair that is half the way back from a deep fall would have fallen again. It does where all is lost again
    that was regained."""
    last = newest(rows)
    if last is None or last.health > MOST - rule.tiers[0].level:
        # Most pairs are so well that no fall of theirs could be so deep.
        return None
    found = _far_below(rule, drop, rows, regained_at)
    if found is None:
        return None
    run = unbroken_run(rows[_begin(rule, drop, rows, regained_at) :], lambda _: True)
    return found if run is None else found._replace(run=run)


def held_at(rule: Rule, fall: Fall, rows: Window) -> Fall:
    """As it is with the newest row: further down, the new level begins anew."""
    for at, _, _, values in reversed(rows):
        if values is not None:
            lower = rule.has_confidence(values) and values.health < fall.level - SAME_LEVEL
            return fall._replace(level=values.health, held=at) if lower else fall
    return fall


def regained(rule: Rule, drop: Drawdown, fall: Fall, rows: Window) -> Run | None:
    """For how long so much of the fall has been regained; None if it is not."""
    wanted = fall.level + drop.regained * (fall.peak - fall.level)
    return unbroken_run(rows, lambda values: rule.has_confidence(values) and values.health >= wanted)


def settles(rule: Rule, drop: Drawdown, fall: Fall, rows: Window) -> Instant | None:
    """When the new level will have held for long enough, paused time left out; None while paused or unsure."""
    values = newest(rows)
    if values is None or values.status == "paused" or not rule.has_confidence(values):
        return None
    paused, later = _NO_TIME, None
    for at, _, _, row in reversed(rows):
        if row is None:
            continue
        if row.status == "paused" and later is not None:
            paused += later - max(at, fall.held)
        if at <= fall.held:
            break
        later = at
    return fall.held + drop.settles + paused


def _far_below(rule: Rule, drop: Drawdown, rows: Window, regained_at: Instant | None) -> Fallen | None:
    """If it is so far as the rule says."""
    found = _below(rule, drop, rows)
    if regained_at is not None and found is not None and not found.is_lowest:
        # The row before that instant says what held when it came.
        found = _below(rule, drop, rows[max(0, bisect_left(rows, regained_at, key=as_of) - 1) :])
    return None if found is None or found.fall.peak - found.fall.level < rule.tiers[0].level else found


def _below(rule: Rule, drop: Drawdown, rows: Window) -> Fallen | None:
    """The newest row against the highest of its window: the row before the window says what held when it began."""
    left, points, later = drop.window, 0, None
    last: tuple[Instant, Values] | None = None
    peak: tuple[float, Instant] | None = None
    is_lowest = True
    for at, _, _, values in reversed(rows):
        if values is None:
            continue
        if last is None:
            if not rule.has_confidence(values):
                return None
            last = at, values
        if later is not None and values.status != "paused":
            left -= later - at
        if rule.has_confidence(values):
            points += 1
            is_lowest = is_lowest and values.health >= last[1].health
            peak = (values.health, at) if peak is None or values.health > peak[0] else peak
        if left <= _NO_TIME:
            break
        later = at
    if last is None or peak is None:
        return None
    at, values = last
    paused = values.status == "paused"
    return Fallen(Fall(*peak, values.health, at), Run(at, at, _NO_TIME, paused), points, is_lowest)


def _begin(rule: Rule, drop: Drawdown, rows: Window, regained_at: Instant | None) -> int:
    """The place of the first of those rows that lie so far below their own peaks, all up to the newest."""
    begin = len(rows) - 1
    for place in range(len(rows) - 1, -1, -1):
        if rows[place].values is None:
            continue
        if _far_below(rule, drop, rows[: place + 1], regained_at) is None:
            break
        begin = place
    return begin
