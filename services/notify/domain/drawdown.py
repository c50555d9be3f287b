"""Drawdown of health: how far it lies below the highest value of a window, and whether it comes back or the new level
holds."""

from bisect import bisect_left
from datetime import timedelta
from typing import NamedTuple

from schemas.primitives import Instant
from schemas.rules import Drawdown, Rule
from services.notify.domain.window import Run, StoredInstant, Values, Window, as_of, newest_values, unbroken_run

MOST = 100.0
SAME_LEVEL = 5.0
"""The daily fluctuation of health in points: further below, it is another level."""
_NO_TIME = timedelta(0)


class Fall(NamedTuple):
    """A fall from the peak, last reached at `peak_at`, to a level held since `held`."""

    peak: float
    peak_at: StoredInstant
    level: float
    held: StoredInstant


class DetectedFall(NamedTuple):
    """`run`: for how long the fall has been so deep; `points`: the rows that show it; `is_lowest`: whether health has
    not been lower in the whole window."""

    fall: Fall
    run: Run
    points: int
    is_lowest: bool


def find_fall(rule: Rule, drop: Drawdown, rows: Window, regained_at: Instant | None = None) -> DetectedFall | None:
    """Return how far the newest row lies below the peak of its window; None if less than the rule asks for, or with low
    confidence. `regained_at`: when the last fall was regained, if there was one: earlier peaks count no more, or a pair
    half the way back from a deep fall would have fallen again. They do count where everything regained is lost
    again."""
    last = newest_values(rows)
    if last is None or last.health > MOST - rule.tiers[0].level:
        # Most pairs are too healthy for so deep a fall.
        return None
    found = _deep_fall(rule, drop, rows, regained_at)
    if found is None:
        return None
    run = unbroken_run(rows[_first_row_of_fall(rule, drop, rows, regained_at) :], lambda _: True)
    return found if run is None else found._replace(run=run)


def update_level(rule: Rule, fall: Fall, rows: Window) -> Fall:
    """Update the level by the newest row: further down, the new level begins anew."""
    for at, _, _, values in reversed(rows):
        if values is not None:
            lower = rule.has_confidence(values) and values.health < fall.level - SAME_LEVEL
            return fall._replace(level=values.health, held=at) if lower else fall
    return fall


def regained_run(rule: Rule, drop: Drawdown, fall: Fall, rows: Window) -> Run | None:
    """Return for how long enough of the fall has been regained; None if it is not."""
    level = fall.level + drop.regained * (fall.peak - fall.level)
    return unbroken_run(rows, lambda values: rule.has_confidence(values) and values.health >= level)


def settles_at(rule: Rule, drop: Drawdown, fall: Fall, rows: Window) -> Instant | None:
    """Return when the new level will have held long enough, without paused time; None while paused or unsure."""
    values = newest_values(rows)
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


def _deep_fall(rule: Rule, drop: Drawdown, rows: Window, regained_at: Instant | None) -> DetectedFall | None:
    """Return the fall if it is as deep as the rule asks for."""
    found = _fall_from_peak(rule, drop, rows)
    if regained_at is not None and found is not None and not found.is_lowest:
        # The row before that instant says what held then.
        found = _fall_from_peak(rule, drop, rows[max(0, bisect_left(rows, regained_at, key=as_of) - 1) :])
    return None if found is None or found.fall.peak - found.fall.level < rule.tiers[0].level else found


def _fall_from_peak(rule: Rule, drop: Drawdown, rows: Window) -> DetectedFall | None:
    """Compare the newest row with the highest of its window: the row before the window says what held when it began."""
    remaining, points, later = drop.window, 0, None
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
            remaining -= later - at
        if rule.has_confidence(values):
            points += 1
            is_lowest = is_lowest and values.health >= last[1].health
            peak = (values.health, at) if peak is None or values.health > peak[0] else peak
        if remaining <= _NO_TIME:
            break
        later = at
    if last is None or peak is None:
        return None
    at, values = last
    paused = values.status == "paused"
    return DetectedFall(Fall(*peak, values.health, at), Run(at, at, _NO_TIME, paused), points, is_lowest)


def _first_row_of_fall(rule: Rule, drop: Drawdown, rows: Window, regained_at: Instant | None) -> int:
    """Return the index of the first of the rows, all up to the newest, that lie so far below their own peaks."""
    begin = len(rows) - 1
    for index in range(len(rows) - 1, -1, -1):
        if rows[index].values is None:
            continue
        if _deep_fall(rule, drop, rows[: index + 1], regained_at) is None:
            break
        begin = index
    return begin
