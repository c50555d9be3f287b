"""Crossings: the first whole seconds at which silence alone takes a score to a watched level."""

from collections.abc import Callable
from typing import NamedTuple

from schemas.programs import WatchLevels
from services.scoring.domain.bounds import DAY, SECOND
from services.scoring.domain.millionths import ONE, millionths
from tests.scoring.before.evaluation import Scorer

Past = Callable[[int], bool]
NEAR = 3
"""Seconds around the closed form within which rounding may have put the crossing."""


class Crossing(NamedTuple):
    at: int
    cause: str


def crossings(scorer: Scorer, begin: int, end: int, watch: WatchLevels) -> list[Crossing]:
    """All crossings at whole seconds in (begin, end], in order, where no fact and no pause begins or ends in between.
    `begin` must be a whole second, or the last instant at which a fact or a pause changed something.
    Between facts health never rises and risk never falls, so a level is crossed at most once."""
    last = end // SECOND * SECOND
    if last <= begin:
        return []
    health, risk = scorer.numbers(last)
    fallen = [level for level in watch.health if health <= millionths(level)]
    risen = [level for level in watch.risk if risk >= millionths(level)]
    if not fallen and not risen:
        return []
    health, risk = scorer.numbers(begin)
    found = [_fall(scorer, level, begin, last) for level in fallen if health > millionths(level)]
    found += [_rise(scorer, level, begin, last) for level in risen if risk < millionths(level)]
    return sorted(found)


def _fall(scorer: Scorer, level: float, begin: int, last: int) -> Crossing:
    bound = millionths(level)
    at = _first_second(begin, last, lambda second: scorer.numbers(second)[0] <= bound)
    return Crossing(at, f"crossing.health.{level:g}")


def _rise(scorer: Scorer, level: float, begin: int, last: int) -> Crossing:
    """By the closed form of the model; where rounding moves it by some seconds, by looking at its neighbours."""
    bound = millionths(level)

    def past(second: int) -> bool:
        return scorer.numbers(second)[1] >= bound

    silence = scorer.silence_at((bound - 0.5) / ONE, begin)
    guess = (begin + round((silence - scorer.silence(begin)) * DAY)) // SECOND * SECOND
    low = max(begin, min(guess - NEAR * SECOND, last))
    high = min(last, max(guess + NEAR * SECOND, begin))
    low = low if low == begin or not past(low) else begin
    high = high if high > low and past(high) else last
    return Crossing(_first_second(low, high, past), f"crossing.risk.{level:g}")


def _first_second(begin: int, last: int, past: Past) -> int:
    """The least whole second in (begin, last] that is past the level; `last` is."""
    low, high = begin // SECOND, last // SECOND
    while low + 1 < high:
        middle = (low + high) // 2
        if past(middle * SECOND):
            high = middle
        else:
            low = middle
    return high * SECOND
