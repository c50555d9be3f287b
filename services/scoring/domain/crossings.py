"""Crossings: the first whole seconds at which silence alone takes a score to a watched level."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.programs import WatchLevels
from services.scoring.domain.bounds import SECOND, millionths
from services.scoring.domain.score import MANY, Aging, Number, Scores, score


class Level(NamedTuple):
    """Health falls to it, risk rises to it."""

    cause: str
    is_health: bool
    bound: int

    def is_passed(self, health: Number, risk: Number) -> Any:  # noqa: ANN401 (a bool, or an array of them)
        return health <= self.bound if self.is_health else risk >= self.bound


def levels(watch: WatchLevels) -> tuple[Level, ...]:
    health = (Level(f"crossing.health.{level:g}", True, millionths(level)) for level in watch.health)  # noqa: FBT003
    risk = (Level(f"crossing.risk.{level:g}", False, millionths(level)) for level in watch.risk)  # noqa: FBT003
    return (*health, *risk)


GRID = 300
"""Instants of one call: of a single search a day of seconds is through in two. A call takes as long as some hundred
instants."""
LEAST_GRID = 40
"""Of each of many searches that share a call."""

Instants = npt.NDArray[np.int64]


class SilentTime(NamedTuple):
    """Time in which nothing happens, from the instant `active` of the active clock on; `booked`: 1.0 while a booking
    lies ahead, else 0.0."""

    aging: Aging
    active: Number
    booked: Number

    def scores(self, later: Number) -> Scores:
        """So many microseconds after it began."""
        return score(self.aging, (self.active + later).astype(np.float64), self.booked, MANY)


def passed(watched: Sequence[Level], begin: Scores, end: Scores) -> list[Level]:
    """The levels that are passed at the end and were not at the begin. Between facts health never rises and risk never
    falls, so each was crossed once."""
    return [
        level
        for level in watched
        if (end.health <= level.bound < begin.health if level.is_health else begin.risk < level.bound <= end.risk)
    ]


def passed_of_many(watched: Sequence[Level], begin: Scores, end: Scores) -> Iterator[tuple[int, Level]]:
    """The same of columns, each with its place in them."""
    for level in watched:
        was, now = level.is_passed(begin.health, begin.risk), level.is_passed(end.health, end.risk)
        yield from ((place, level) for place in np.flatnonzero(now & ~was).tolist())


def crossing(silence: SilentTime, begin: int, end: int, level: Level) -> int | None:
    """The first whole second after `begin`, when the silence began, and up to `end` at which the level is passed; None:
    there is none."""
    return crossings(silence, np.array([begin]), np.array([end]), [level])[0]


def crossings(silences: SilentTime, begins: Instants, ends: Instants, watched: Sequence[Level]) -> list[int | None]:
    """The same of many silences, whose numbers are columns, and of a level for each. Each round looks at a grid of
    seconds, ever finer ones."""
    of_health = np.array([level.is_health for level in watched])
    bounds = np.array([level.bound for level in watched])
    low, high = begins // SECOND, ends // SECOND
    is_passed = low < high
    size = max(LEAST_GRID, GRID // len(ends))
    steps = np.arange(1, size + 1)[:, None]
    while is_passed.any():
        step = np.maximum(1, -(-(high - low) // size))
        grid = np.minimum(low + step * steps, high)
        found = silences.scores(grid * SECOND - begins)
        reached = np.where(of_health, found.health <= bounds, found.risk >= bounds)
        is_passed &= reached.any(axis=0)
        first = np.argmax(reached, axis=0)
        at = np.take_along_axis(grid, first[None, :], axis=0)[0]
        if (step[is_passed] == 1).all():
            return [
                second * SECOND if passes else None
                for second, passes in zip(at.tolist(), is_passed.tolist(), strict=True)
            ]
        before = np.take_along_axis(grid, np.maximum(first - 1, 0)[None, :], axis=0)[0]
        low, high = np.where(first > 0, before, low), at
    return [None] * len(ends)
