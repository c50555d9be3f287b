"""Calibration: learn the disengagement model's coefficients from an organisation's own history.

Logistic regression: convex, with bounds on its coefficients and a ridge towards the defaults."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from schemas.programs import Coefficients
from services.scoring.domain.backtesting.cases import Examples
from services.scoring.domain.backtesting.measures import Floats, Ints
from services.scoring.domain.bounds import DAY
from services.scoring.domain.score import FEATURES, LOWERING

FEW_PAIRS = 20
"""With fewer pairs only the intercept is learnt: their mean is informative, their differences are not."""
RIDGE = 1.0
"""A priori a coefficient lies within one unit of its default."""
HALVED_DAYS = 730.0
"""A case counts half for every two years of its age: programmes change."""
SIGNS = np.array([-1.0 if name in LOWERING else 1.0 for name in FEATURES])
COEFFICIENT_LIMIT = 100.0
"""The limit of a programme's profile."""
BOUNDS = {
    "base": (-COEFFICIENT_LIMIT, COEFFICIENT_LIMIT),
    **dict.fromkeys(FEATURES, (0.0, COEFFICIENT_LIMIT)),
    "silence": (0.35, COEFFICIENT_LIMIT),
    "pace": (0.0, 0.35),
    "history": (0.5, COEFFICIENT_LIMIT),
    "activity": (0.0, 1.25),
}
"""Beyond these a contact could raise the risk: the gap that it ends makes the pace slower."""
DIGITS = 4
"""Digits of a coefficient: more would change no probability by as much as 0.0001."""
DEFAULTS = Coefficients()


class NotLearnable(NamedTuple):
    reason: str


class Fit(NamedTuple):
    """Coefficients that hold from an instant on, in microseconds."""

    since: int
    coefficients: Coefficients


def learnt(examples: Examples) -> Coefficients | NotLearnable:
    """The coefficients of least loss within BOUNDS, drawn towards the defaults. Newer cases weigh more. Cases of one
    time weigh alike, since the question is how many of tomorrow's cases will fade."""
    cases = examples.count
    if not cases:
        return NotLearnable("there is no case: no pair met often enough and was then observed for the whole horizon")
    if examples.faded.all():
        return NotLearnable(f"in none of {cases} cases did the pair meet again: nothing tells them apart")
    if not examples.faded.any():
        return NotLearnable(f"in all of {cases} cases the pair met again: nothing tells them apart")
    defaults = np.array([DEFAULTS.base, *_slopes(DEFAULTS)])
    free = examples.pairs >= FEW_PAIRS
    problem = WeightedProblem(
        design=np.column_stack([np.ones(cases), examples.features * SIGNS]),
        outcome=examples.faded,
        bounds=list(BOUNDS.values()) if free else [BOUNDS["base"], *((slope, slope) for slope in defaults[1:])],
        ridge=Ridge(defaults, np.array([0.0] + [RIDGE] * len(FEATURES))),
        weight=age_weights(examples.at),
    )
    base, *slopes = (round(float(value), DIGITS) for value in minimize_loss(problem))
    return Coefficients(base=base, **dict(zip(FEATURES, slopes, strict=True)))


def rolling(examples: Examples, horizon: int, starts: Sequence[int]) -> list[Fit]:
    """As a nightly job would: at each of `starts`, learn from all examples whose horizon was over by then. If they are
    not learnable, the previous fit stays; without one, the defaults."""
    fits: list[Fit] = []
    for start in starts:
        found = learnt(examples.where(examples.at + horizon <= start))
        before = fits[-1].coefficients if fits else DEFAULTS
        fits.append(Fit(start, before if isinstance(found, NotLearnable) else found))
    return fits


def forecast(features: Floats, at: Ints, fits: Sequence[Fit]) -> Floats:
    """Predict cases at these instants, each by the newest fit at the time; cases before the first fit by the first
    one."""
    number = np.maximum(np.searchsorted([fit.since for fit in fits], at, side="right") - 1, 0)
    found = np.empty(len(at))
    for index, fit in enumerate(fits):
        found[number == index] = probabilities(features[number == index], fit.coefficients)
    return found


def age_weights(at: Ints) -> Floats:
    """The weights of cases at these instants, relative to the newest of them."""
    result: Floats = np.exp2((at - at.max()) / (HALVED_DAYS * DAY))
    return result


def probabilities(features: Floats, coefficients: Coefficients) -> Floats:
    """Of cases with these unit features, as live scoring computes them."""
    return probability(coefficients.base + features @ (SIGNS * _slopes(coefficients)))


def _slopes(coefficients: Coefficients) -> Floats:
    return np.array([getattr(coefficients, name) for name in FEATURES], dtype=float)


MIN_PROBABILITY = 1e-12
"""Limit of probabilities for log-odds, which diverge at 0 and 1."""
TOLERANCE = 1e-12
MAX_STEPS = 10_000


@dataclass(frozen=True)
class Ridge:
    """A coefficient one away from `centre` costs `strength` / 2 of log-likelihood; with strength 0 it is free."""

    centre: Floats
    strength: Floats


@dataclass(frozen=True)
class WeightedProblem:
    """`design` has a row per case and a column per coefficient, `outcome` is 0 or 1, `bounds` are those of the
    coefficients, `weight` is the weight of a case: one number, or one per case."""

    design: Floats
    outcome: Floats
    bounds: Sequence[tuple[float, float]]
    ridge: Ridge | None = None
    weight: Floats | float = 1.0


def minimize_loss(problem: WeightedProblem) -> Floats:
    """The coefficients of least loss."""

    def loss_of(coefficients: Floats) -> tuple[float, Floats]:
        """With its gradient."""
        predictor = problem.design @ coefficients
        loss = float((problem.weight * (np.logaddexp(0.0, predictor) - problem.outcome * predictor)).sum())
        gradient = problem.design.T @ (problem.weight * (probability(predictor) - problem.outcome))
        if problem.ridge is not None:
            away = coefficients - problem.ridge.centre
            loss += float((problem.ridge.strength * away**2).sum()) / 2
            gradient = gradient + problem.ridge.strength * away
        return loss, gradient

    begin = np.zeros(problem.design.shape[1]) if problem.ridge is None else problem.ridge.centre
    options = {"ftol": TOLERANCE, "gtol": TOLERANCE, "maxiter": MAX_STEPS}
    found = minimize(loss_of, begin, jac=True, method="L-BFGS-B", bounds=problem.bounds, options=options)
    result: Floats = found.x
    return result


def probability(predictor: Floats) -> Floats:
    result: Floats = expit(predictor)
    return result


def log_odds(chance: Floats) -> Floats:
    result: Floats = logit(np.clip(chance, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    return result
