"""Measures of predictions, with 95 % intervals over pairs: the cases of one pair are dependent, so whole pairs are
resampled with replacement."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


BINS = 10
"""Bins of equal width for the calibration error and the reliability table."""
TOP = 0.1
"""The share of cases that somebody would follow up: lift is measured in it."""
MIN_PROBABILITY = 1e-9
"""Closer to 0 or 1, a single case would dominate the log-loss."""

Measure = Callable[[Floats, Floats, Floats], Floats]
"""Of (faded 0 or 1, predicted, weights)."""


def mean(values: Floats, weights: Floats) -> Floats:
    """Of the outcomes: the base rate."""
    return _ratio(weights @ values, weights.sum(axis=1))


def auc(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The probability that a case that faded is ranked above one that did not; ties count half. NaN without either."""
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
    sure = np.clip(predicted, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return mean(-np.where(faded > 0, np.log(sure), np.log1p(-sure)), weights)


def ece(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The expected calibration error: per bin |predicted - observed|, weighted by its cases."""
    bins, error = bin_of(predicted), predicted - faded
    gaps = [np.abs(weights[:, bins == number] @ error[bins == number]) for number in range(BINS)]
    return _ratio(np.sum(gaps, axis=0), weights.sum(axis=1))


def lift(faded: Floats, predicted: Floats, weights: Floats) -> Floats:
    """How much more often than average the top-ranked tenth faded; a tie at its edge counts in proportion."""
    order, starts = _groups(-predicted)
    size = np.add.reduceat(weights[:, order], starts, axis=1)
    positive = np.add.reduceat((weights * faded)[:, order], starts, axis=1)
    top = TOP * weights.sum(axis=1, keepdims=True)
    counted = np.clip(top - (np.cumsum(size, axis=1) - size), 0, size)
    found = (counted * _ratio(positive, size, 0.0)).sum(axis=1)
    return _ratio(found / top[:, 0], mean(faded, weights))


def bin_of(predicted: Floats) -> Ints:
    return np.minimum(predicted * BINS, BINS - 1).astype(np.int64)


MEASURES: Mapping[str, Measure] = {"auc": auc, "brier": brier, "log_loss": log_loss, "ece": ece, "lift": lift}


def _groups(values: Floats) -> tuple[Ints, Ints]:
    """The ascending order of the cases, and where each group of equal values begins in it."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    return order, np.flatnonzero(np.r_[True, ascending[1:] > ascending[:-1]])


def _ratio(above: Floats, below: Floats, otherwise: float = np.nan) -> Floats:
    """`otherwise` where the denominator is 0."""
    result: Floats = np.divide(above, below, out=np.full_like(above, otherwise), where=below > 0)
    return result


@dataclass(frozen=True)
class Bin:
    """Cases predicted within [low, high): the means of the predictions and of the outcomes."""

    low: float
    high: float
    cases: int
    predicted: float
    observed: float


def reliability(faded: Floats, predicted: Floats) -> tuple[Bin, ...]:
    """The bins that have cases."""
    bins = bin_of(predicted)
    found = []
    for number in range(BINS):
        chosen = bins == number
        if chosen.any():
            means = float(predicted[chosen].mean()), float(faded[chosen].mean())
            found.append(Bin(number / BINS, (number + 1) / BINS, int(chosen.sum()), *means))
    return tuple(found)


RESAMPLES = 200
SEED = 20_140_731
"""Any fixed number: the same history gives the same intervals."""
QUANTILES = (0.025, 0.975)
AT_ONCE = 20_000_000
"""Weights in memory at once, 160 MB."""

Weighted = Callable[[Floats], Floats]
"""From weights (a row per resample) to a number per row."""


@dataclass(frozen=True)
class Interval:
    """A value with its bounds; NaN where there is too little data."""

    value: float
    low: float
    high: float


class Resamples:
    """Draws of the pairs of some cases."""

    def __init__(self, pair: Ints, count: int = RESAMPLES, seed: int = SEED) -> None:
        names, self._pair = np.unique(pair, return_inverse=True)
        draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
        self._draws = draws.astype(float)

    def interval(self, weighted: Weighted) -> Interval:
        values = self.values(weighted)
        defined = values[~np.isnan(values)]
        low, high = map(float, np.quantile(defined, QUANTILES)) if defined.size else (np.nan, np.nan)
        return Interval(self.value(weighted), low, high)

    def value(self, weighted: Weighted) -> float:
        """For the cases as they are."""
        return float(weighted(np.ones((1, len(self._pair))))[0])

    def values(self, weighted: Weighted) -> Floats:
        """For every resample."""
        step = max(1, AT_ONCE // max(1, len(self._pair)))
        some = (self._draws[begin : begin + step] for begin in range(0, len(self._draws), step))
        return np.concatenate([weighted(draws[:, self._pair]) for draws in some])
