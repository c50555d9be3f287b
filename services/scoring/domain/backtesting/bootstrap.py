"""Intervals over pairs: the cases of one pair hang together, so whole pairs are drawn, with replacement."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from services.scoring.domain.backtesting.arrays import Floats, Ints

RESAMPLES = 200
SEED = 20_140_731
"""Any fixed number: the same history gives the same intervals."""
QUANTILES = (0.025, 0.975)
AT_ONCE = 20_000_000
"""Weights held at once, 160 MB."""

Weighted = Callable[[Floats], Floats]
"""From weights (a row per resample) to a number per row."""


@dataclass(frozen=True)
class Interval:
    """A value and the bounds of its 95 % interval; NaN where too little happened."""

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
        low, high = _quantiles(self.values(weighted))
        return Interval(self.value(weighted), low, high)

    def value(self, weighted: Weighted) -> float:
        """Of the cases as they are."""
        return float(weighted(np.ones((1, len(self._pair))))[0])

    def values(self, weighted: Weighted) -> Floats:
        """Of every resample."""
        return np.concatenate([weighted(weights) for weights in self._weights()])

    def _weights(self) -> Iterator[Floats]:
        step = max(1, AT_ONCE // max(1, len(self._pair)))
        for begin in range(0, len(self._draws), step):
            yield self._draws[begin : begin + step][:, self._pair]


def _quantiles(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not known.size:
        return np.nan, np.nan
    low, high = np.quantile(known, QUANTILES)
    return float(low), float(high)
