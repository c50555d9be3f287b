"""Calibration: the disengagement model's coefficients, learnt from an organisation's own history."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.programs import Coefficients
from services.scoring.domain.backtesting.logistic import Floats, Problem, Ridge, fitted, probability
from services.scoring.domain.score import FEATURES, LOWERING

FEW_PAIRS = 20
"""With fewer pairs only the intercept is learnt: their mean says something, their differences do not."""
STRENGTH = 4.0
"""Of the ridge: before any history a coefficient is believed to lie within half a unit of its default."""
SIGNS = np.array([-1.0 if name in LOWERING else 1.0 for name in FEATURES])
MOST = 100.0
"""What a programme's profile takes."""
DIGITS = 4
"""Of a coefficient: more would change no probability by as much as 0.0001."""
DEFAULTS = Coefficients()


class Examples(NamedTuple):
    """A row per case: the unit features in the order of FEATURES, 1.0 where no contact came, the pair's number."""

    features: Floats
    faded: Floats
    pair: npt.NDArray[np.int64]

    @property
    def pairs(self) -> int:
        return len(np.unique(self.pair))


class NotLearnable(NamedTuple):
    reason: str


def learnt(examples: Examples) -> Coefficients | NotLearnable:
    """The coefficients of least loss, signs kept, drawn towards the defaults. A pair counts once, however many cases it
    has: they overlap."""
    cases = len(examples.faded)
    if not cases:
        return NotLearnable("there is no case: no pair met often enough and was then observed for the whole horizon")
    if examples.faded.all():
        return NotLearnable(f"in none of {cases} cases did the pair meet again: nothing tells them apart")
    if not examples.faded.any():
        return NotLearnable(f"in all of {cases} cases the pair met again: nothing tells them apart")
    defaults = np.array([DEFAULTS.base, *_slopes(DEFAULTS)])
    free = examples.pairs >= FEW_PAIRS
    problem = Problem(
        design=np.column_stack([np.ones(cases), examples.features * SIGNS]),
        outcome=examples.faded,
        bounds=[(-MOST, MOST), *((0.0, MOST) if free else (slope, slope) for slope in defaults[1:])],
        ridge=Ridge(defaults, np.array([0.0] + [STRENGTH] * len(FEATURES))),
        each=examples.pairs / cases,
    )
    base, *slopes = (round(float(value), DIGITS) for value in fitted(problem))
    return Coefficients(base=base, **dict(zip(FEATURES, slopes, strict=True)))


def probabilities(features: Floats, coefficients: Coefficients) -> Floats:
    """Of cases with these unit features, as the live scoring computes it."""
    return probability(coefficients.base + features @ (SIGNS * _slopes(coefficients)))


def _slopes(coefficients: Coefficients) -> Floats:
    return np.array([getattr(coefficients, name) for name in FEATURES], dtype=float)
