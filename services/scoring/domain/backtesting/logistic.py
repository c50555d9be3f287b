"""Logistic regression: convex, with bounds on its coefficients and a ridge towards what is believed beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from services.scoring.domain.backtesting.measures import Floats

LEAST_PROBABILITY = 1e-12
"""Of what log-odds are taken: nearer to 0 or 1 they grow without bound and say nothing more."""
TOLERANCE = 1e-12
MOST_STEPS = 10_000


@dataclass(frozen=True)
class Ridge:
    """A coefficient one away from `centre` costs `strength` / 2 of log-likelihood; with 0 it is free."""

    centre: Floats
    strength: Floats


@dataclass(frozen=True)
class WeightedProblem:
    """`design` has a row per case and a column per coefficient, `outcome` is 0 or 1, `bounds` are those of the
    coefficients, `weight` is how much a case counts: one number, or one of each."""

    design: Floats
    outcome: Floats
    bounds: Sequence[tuple[float, float]]
    ridge: Ridge | None = None
    weight: Floats | float = 1.0


def fitted(problem: WeightedProblem) -> Floats:
    """The coefficients of least loss."""
    found = minimize(
        lambda coefficients: _loss(problem, coefficients),
        np.zeros(problem.design.shape[1]) if problem.ridge is None else problem.ridge.centre,
        jac=True,
        method="L-BFGS-B",
        bounds=problem.bounds,
        options={"ftol": TOLERANCE, "gtol": TOLERANCE, "maxiter": MOST_STEPS},
    )
    result: Floats = found.x
    return result


def probability(predictor: Floats) -> Floats:
    result: Floats = expit(predictor)
    return result


def log_odds(chance: Floats) -> Floats:
    result: Floats = logit(np.clip(chance, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
    return result


def _loss(problem: WeightedProblem, coefficients: Floats) -> tuple[float, Floats]:
    """With its gradient."""
    predictor = problem.design @ coefficients
    loss = float((problem.weight * (np.logaddexp(0.0, predictor) - problem.outcome * predictor)).sum())
    gradient = problem.design.T @ (problem.weight * (probability(predictor) - problem.outcome))
    if problem.ridge is not None:
        away = coefficients - problem.ridge.centre
        loss += float((problem.ridge.strength * away**2).sum()) / 2
        gradient = gradient + problem.ridge.strength * away
    return loss, gradient
