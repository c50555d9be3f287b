"""Crossings: the first whole seconds at which silence alone takes a score to a watched level."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.scoring.domain.bounds import SECOND
from services.scoring.domain.evaluation import Moment, scores_over
from services.scoring.domain.levels import Level
from services.scoring.domain.score import Scores

GRID = 300
"""Instants of one call: a day of seconds is searched in two."""


class Crossing(NamedTuple):
    at: int
    cause: str


def passed(watched: Sequence[Level], begin: Scores, end: Scores) -> list[Level]:
    """The levels that are passed at the end and were not at the begin. Between facts health never rises and risk never
    falls, so each was crossed once."""
    return [
        level
        for level in watched
        if level.is_passed(end.health, end.risk) and not level.is_passed(begin.health, begin.risk)
    ]


def crossing(moment: Moment, end: int, level: Level) -> int | None:
    """The first whole second after the moment and up to `end` at which the level is passed; None: there is none.
    Nothing but time passes in between. Each round looks at a grid of seconds, ever finer ones."""
    low, high = moment.at // SECOND, end // SECOND
    while low < high:
        step = -(-(high - low) // GRID)
        grid = np.minimum(np.arange(low + step, high + step, step), high)
        reached = level.is_passed(*scores_over(moment, grid * SECOND - moment.at))
        first = int(np.argmax(reached))
        if not reached[first]:
            return None
        if step == 1:
            return int(grid[first]) * SECOND
        low, high = (int(grid[first - 1]) if first else low), int(grid[first])
    return None
