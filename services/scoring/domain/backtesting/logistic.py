"""Logistic regression: convex, with bounds on its coefficients and a ridge towards what is believed beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

Floats = npt.NDArray[np.float64]
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
class Problem:
    """`design` has a row per case and a column per coefficient, `outcome` is 0 or 1, `bounds` are those of the
    coefficients, a case counts `each`."""

    design: Floats
    outcome: Floats
    bounds: Sequence[tuple[float, float]]
    ridge: Ridge | None = None
    each: float = 1.0


def fitted(problem: Problem) -> Floats:
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


def _loss(problem: Problem, coefficients: Floats) -> tuple[float, Floats]:
    """With its gradient."""
    predictor = problem.design @ coefficients
    loss = problem.each * float((np.logaddexp(0.0, predictor) - problem.outcome * predictor).sum())
    gradient = problem.each * (problem.design.T @ (probability(predictor) - problem.outcome))
    if problem.ridge is not None:
        away = coefficients - problem.ridge.centre
        loss += float((problem.ridge.strength * away**2).sum()) / 2
        gradient = gradient + problem.ridge.strength * away
    return loss, gradient
