"""A snapshot as a row of numbers, and many of them as the columns that scores are computed from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.scoring.domain.score import FACTORS, Aging, OpenGoal
from services.scoring.domain.snapshots.goals import GOALS_RATED

STEADY = ("reliability", "feedback", "mutual", "responsiveness", "support")
"""The factors that time does not change."""
KNOWN = ("pace", "history", "activity", "missed", "cancelled_late", "rating_drop")
"""The features of the disengagement model that time does not change."""
_PLAIN = len(Aging._fields) - 1
_POINTS = _PLAIN + len(FACTORS)
_STEADY = _POINTS + len(STEADY)
_KNOWN = _STEADY + len(KNOWN)
_GOAL = len(OpenGoal._fields)
WIDTH = _KNOWN + 1 + GOALS_RATED * _GOAL
"""Numbers of a snapshot."""
_NO_GOAL = (0.0,) * _GOAL

Floats = npt.NDArray[np.float64]


class Numbers(NamedTuple):
    """A column for each snapshot; `points`, `steady` and `features` have a row for each of theirs."""

    aging: Aging
    points: Floats
    steady: Floats
    features: Floats
    confidence: Floats


def flat(
    aging: Aging, points: Sequence[float], steady: Sequence[float], features: Sequence[float], confidence: int
) -> tuple[float, ...]:
    """So many as WIDTH. Goals are filled up with some that weigh nothing."""
    *plain, goals = aging
    filled = [number for goal in goals for number in goal] + [*_NO_GOAL] * (GOALS_RATED - len(goals))
    return (*plain, *points, *steady, *features, confidence, *filled)


def table(rows: Sequence[tuple[float, ...]]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(len(rows), WIDTH)


def columns(numbers: Floats) -> Numbers:
    """Of a table with a row for each number and a column for each snapshot. Goals that weigh nothing anywhere are left
    out."""
    goals = [numbers[begin : begin + _GOAL] for begin in range(_KNOWN + 1, WIDTH, _GOAL)]
    return Numbers(
        aging=Aging._make((*numbers[:_PLAIN], [OpenGoal(*goal) for goal in goals if goal[0].any()])),
        points=numbers[_PLAIN:_POINTS],
        steady=numbers[_POINTS:_STEADY],
        features=numbers[_STEADY:_KNOWN],
        confidence=numbers[_KNOWN],
    )
