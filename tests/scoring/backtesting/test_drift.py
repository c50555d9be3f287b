"""Drift is detected, and flagged only where it is significant."""

import numpy as np
import pytest

from services.scoring.domain.backtesting.backtest import drift
from services.scoring.domain.backtesting.cases import Cases
from services.scoring.domain.bounds import DAY
from tests.scoring.building import micros


def cases(begin: float, days: int, rate: float, seed: int, pairs: int = 200) -> Cases:
    """Of each pair one case, spread over the days."""
    at = (micros(begin) + np.linspace(0, days - 1, pairs) * DAY).astype(np.int64)
    faded = (np.random.default_rng(seed).random(pairs) < rate).astype(float)
    nothing = np.zeros(pairs)
    return Cases(np.zeros((pairs, 0)), faded, np.arange(pairs), at, *[nothing] * 5)


def test_a_short_time_is_told_by_quarters_and_a_long_one_by_years() -> None:
    before = cases(-400, 300, 0.5, seed=1)
    short, long = cases(0, 180, 0.5, seed=2), cases(0, 366 * 4, 0.5, seed=3)

    by_quarter = drift(before, short, np.full(200, 0.5))
    by_year = drift(before, long, np.full(200, 0.5))

    assert [found.period for found in by_quarter] == ["2024 Q1", "2024 Q2"]
    assert [found.period for found in by_year] == ["2024", "2025", "2026", "2027", "2028"][: len(by_year)]
    assert sum(found.cases for found in by_year) == 200


def test_a_steady_world_is_not_flagged() -> None:
    found = drift(cases(-400, 300, 0.5, seed=4), cases(0, 180, 0.5, seed=5), np.full(200, 0.5))

    assert [period.flags for period in found] == [(), ()]
    assert all(period.gap.low < 0 < period.gap.high for period in found)


def test_another_base_rate_and_a_wrong_prediction_are_flagged() -> None:
    before, after = cases(-400, 300, 0.3, seed=6), cases(0, 90, 0.9, seed=7)

    (found,) = drift(before, after, np.full(200, 0.3))

    assert found.flags == ("base rate", "calibration")
    assert found.gap.value == pytest.approx(found.base_rate.value - found.predicted)


def test_a_prediction_that_follows_the_world_is_flagged_for_the_base_rate_alone() -> None:
    before, after = cases(-400, 300, 0.3, seed=8), cases(0, 90, 0.9, seed=9)

    (found,) = drift(before, after, np.full(200, float(after.faded.mean())))

    assert found.flags == ("base rate",)


def test_a_handful_of_pairs_is_never_flagged() -> None:
    before, few = cases(-400, 300, 0.3, seed=10), cases(0, 90, 1.0, seed=11, pairs=9)

    (found,) = drift(before, few, np.full(9, 0.3))

    assert found.flags == ()
