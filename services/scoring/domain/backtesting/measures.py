"""How good probabilities are. Every measure is weighted: `weights` has a row per resample and a column per case, and
the answer is one number per row, so that the value and its bootstrap are computed by the same lines."""

from collections.abc import Callable, Mapping

import numpy as np

from services.scoring.domain.backtesting.arrays import Floats, Ints

BINS = 10
"""Bins of equal width of the calibration error and of the reliability table."""
TOP = 0.1
"""The share of cases that somebody would look at: the lift is measured in it."""
LEAST_PROBABILITY = 1e-9
"""Nearer to 0 or 1 the log-loss of a single case would decide everything."""

Measure = Callable[[Floats, Floats, Floats], Floats]
"""Of (faded 0 or 1, predicted, weights)."""


def mean(values: Floats, weights: Floats) -> Floats:
    """Of the outcomes: the base rate."""
    return _ratio(weights @ values, weights.sum(axis=1))


def auc(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The chance that a case that faded was ranked above one that did not; ties count half. NaN without either."""
    order, starts = _groups(predicted)
    positive = np.add.reduceat((weights * faded)[:, order], starts, axis=1)
    negative = np.add.reduceat((weights * (1 - faded))[:, order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    area = (positive * (below + negative / 2)).sum(axis=1)
    return _ratio(area, positive.sum(axis=1) * negative.sum(axis=1))


def brier(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The mean squared error."""
    return mean((predicted - faded) ** 2, weights)


def log_loss(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    sure = np.clip(predicted, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return mean(-np.where(faded > 0, np.log(sure), np.log1p(-sure)), weights)


def ece(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The expected calibration error: per bin |predicted - observed|, weighed by its cases."""
    bins, error = bin_of(predicted), predicted - faded
    gaps = [np.abs(weights[:, bins == number] @ error[bins == number]) for number in range(BINS)]
    return _ratio(np.sum(gaps, axis=0), weights.sum(axis=1))


def lift(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    """How much oftener than on the average the tenth ranked highest faded; of a tie at its edge a fair share."""
    order, starts = _groups(-predicted)
    size = np.add.reduceat(weights[:, order], starts, axis=1)
    positive = np.add.reduceat((weights * faded)[:, order], starts, axis=1)
    top = TOP * weights.sum(axis=1, keepdims=True)
    taken = np.clip(top - (np.cumsum(size, axis=1) - size), 0, size)
    found = (taken * _ratio(positive, size, 0.0)).sum(axis=1)
    return _ratio(found / top[:, 0], mean(faded, weights))


def bin_of(predicted: Floats) -> Ints:
    return np.minimum(predicted * BINS, BINS - 1).astype(np.int64)


MEASURES: Mapping[str, Measure] = {"auc": auc, "brier": brier, "log_loss": log_loss, "ece": ece, "lift": lift}


def _groups(values: Floats) -> tuple[Ints, Ints]:
    """The ascending order of the cases, and where in it each group of equal values begins."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    return order, np.flatnonzero(np.r_[True, ascending[1:] > ascending[:-1]])


def _ratio(above: Floats, below: Floats, otherwise: float = np.nan) -> Floats:
    """`otherwise` where nothing is to be divided by."""
    result: Floats = np.divide(above, below, out=np.full_like(above, otherwise), where=below > 0)
    return result
