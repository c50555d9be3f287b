"""Intervals over pairs."""

from functools import partial

import numpy as np
import pytest

from services.scoring.domain.backtesting.measures import Resamples, mean


def test_the_interval_has_the_width_that_theory_gives_to_independent_pairs() -> None:
    values = np.random.default_rng(3).normal(size=400)

    found = Resamples(np.arange(400), count=2_000).interval(partial(mean, values))

    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_cases_of_one_pair_hang_together_so_that_repeating_them_makes_nothing_surer() -> None:
    pairs, values = np.arange(100), np.random.default_rng(4).normal(size=100)

    once = Resamples(pairs).interval(partial(mean, values))
    often = Resamples(np.repeat(pairs, 9)).interval(partial(mean, np.repeat(values, 9)))

    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_the_same_history_gives_the_same_interval() -> None:
    pairs, values = np.array([5, 5, 9, 7]), np.array([1.0, 0.0, 1.0, 0.0])

    assert Resamples(pairs).interval(partial(mean, values)) == Resamples(pairs).interval(partial(mean, values))


def test_weights_in_several_portions_are_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, values = np.arange(50), np.arange(50.0)
    full = Resamples(pairs).values(partial(mean, values))
    monkeypatch.setattr("services.scoring.domain.backtesting.measures.AT_ONCE", 120)

    assert list(Resamples(pairs).values(partial(mean, values))) == list(full)


def test_what_no_resample_can_tell_has_no_interval() -> None:
    found = Resamples(np.array([1, 2])).interval(lambda weights: np.full(len(weights), np.nan))

    assert np.isnan([found.value, found.low, found.high]).all()
