"""Reliability: what was predicted beside what happened."""

from dataclasses import dataclass

from services.scoring.domain.backtesting.arrays import Floats
from services.scoring.domain.backtesting.measures import BINS, bin_of


@dataclass(frozen=True)
class Bin:
    """Cases predicted within [low, high): the means of what was predicted and of what happened."""

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
