"""Drift: whether the world still is as it was when the model learnt it, year by year or quarter by quarter."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from schemas.primitives import from_micros
from services.scoring.domain.backtesting.cases import Cases
from services.scoring.domain.backtesting.measures import Floats, Interval, Resamples, brier, mean
from services.scoring.domain.bounds import DAY

YEARLY_FROM = 3 * 365 * DAY
"""A longer time is told by years, a shorter one by quarters."""
SURE = 2.58
"""Standard errors from which a difference is flagged: one period in a hundred by chance."""
LEAST_PAIRS = 10
"""Fewer pairs of a period tell nothing of how sure its numbers are: nothing is flagged."""


@dataclass(frozen=True)
class Drift:
    """A period: `gap` is observed less predicted. `flags` names what differs: the base rate from that of the time the
    model learnt from, or the calibration."""

    period: str
    cases: int
    pairs: int
    base_rate: Interval
    predicted: float
    gap: Interval
    brier: float
    flags: tuple[str, ...]


def drift(earlier: Cases, later: Cases, predicted: Floats) -> tuple[Drift, ...]:
    """By period of the later cases, in order."""
    moments, is_long = [from_micros(int(at)) for at in later.at], later.at.max() - later.at.min() > YEARLY_FROM
    names = np.array([f"{at.year}" if is_long else f"{at.year} Q{(at.month + 2) // 3}" for at in moments])
    before = _Rate.of(Resamples(earlier.pair), earlier.faded)
    return tuple(
        _of_period(name, later.where(names == name), predicted[names == name], before) for name in sorted(set(names))
    )


class _Rate(NamedTuple):
    """A mean over cases with its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, resamples: Resamples, values: Floats) -> "_Rate":
        weighted = partial(mean, values)
        return cls(resamples.value(weighted), float(np.std(resamples.values(weighted))))

    def differs_from(self, other: "_Rate") -> bool:
        return abs(self.value - other.value) > SURE * float(np.hypot(self.error, other.error))


def _of_period(name: str, cases: Cases, predicted: Floats, before: _Rate) -> Drift:
    resamples = Resamples(cases.pair)
    gap = cases.faded - predicted
    differs = {
        "base rate": _Rate.of(resamples, cases.faded).differs_from(before),
        "calibration": _Rate.of(resamples, gap).differs_from(_Rate(0.0, 0.0)),
    }
    return Drift(
        period=str(name),
        cases=cases.count,
        pairs=cases.pairs,
        base_rate=resamples.interval(partial(mean, cases.faded)),
        predicted=float(predicted.mean()),
        gap=resamples.interval(partial(mean, gap)),
        brier=resamples.value(partial(brier, cases.faded, predicted)),
        flags=tuple(what for what, found in differs.items() if found and cases.pairs >= LEAST_PAIRS),
    )
