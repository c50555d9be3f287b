"""The measures against values worked out by hand, and against their plain definitions."""

import math

import numpy as np
import pytest

from services.scoring.domain.backtesting.measures import (
    MEASURES,
    Floats,
    Measure,
    auc,
    brier,
    ece,
    lift,
    log_loss,
    mean,
)


def value(measure: Measure, faded: list[float], predicted: list[float], weights: list[float] | None = None) -> float:
    each = np.ones(len(faded)) if weights is None else np.array(weights)
    return float(measure(np.array(faded), np.array(predicted), each[np.newaxis])[0])


def test_auc_is_one_where_all_that_faded_rank_above_the_others_and_zero_the_other_way_round() -> None:
    assert value(auc, [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]) == 1
    assert value(auc, [1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]) == 0


def test_a_tie_counts_half_in_the_auc() -> None:
    # Of the four pairs three are ranked: two right, one wrong; one is tied.
    assert value(auc, [0, 1, 0, 1], [0.2, 0.5, 0.5, 0.4]) == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert value(auc, [0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]) == 0.5


def test_auc_is_the_share_of_rightly_ranked_pairs_of_cases() -> None:
    chance = np.random.default_rng(1)
    faded, predicted = chance.integers(0, 2, 60).astype(float), chance.integers(0, 9, 60) / 9

    compared = [np.sign(p - q) / 2 + 0.5 for p in predicted[faded == 1] for q in predicted[faded == 0]]

    assert value(auc, list(faded), list(predicted)) == pytest.approx(np.mean(compared))


def test_auc_of_one_outcome_alone_is_not_known() -> None:
    assert math.isnan(value(auc, [1, 1], [0.2, 0.4]))


def test_brier_is_the_mean_squared_error() -> None:
    assert value(brier, [1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)


def test_log_loss_is_the_mean_surprise_and_stays_finite_at_certainty() -> None:
    assert value(log_loss, [1, 0], [0.8, 0.4]) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert value(log_loss, [1], [0.0]) == pytest.approx(-math.log(1e-9))


def test_ece_is_the_gap_of_each_bin_weighed_by_its_cases() -> None:
    # Three cases in [0.2, 0.3): predicted 0.25, observed 1/3; one in [0.9, 1]: predicted 1, observed 0.
    assert value(ece, [1, 0, 0, 0], [0.25, 0.25, 0.25, 1.0]) == pytest.approx(0.75 * (1 / 3 - 0.25) + 0.25 * 1)


def test_lift_compares_the_top_tenth_with_all() -> None:
    faded = [1.0] * 2 + [0.0] * 18
    rising = [0.9, 0.8, *[0.1] * 18]

    assert value(lift, faded, rising) == pytest.approx(10)


def test_of_a_tie_at_the_edge_the_top_tenth_takes_a_fair_share() -> None:
    assert value(lift, [1.0] * 5 + [0.0] * 15, [0.5] * 20) == pytest.approx(1)


@pytest.mark.parametrize("name", MEASURES)
def test_a_case_with_weight_two_is_that_case_twice(name: str) -> None:
    chance = np.random.default_rng(2)
    faded, predicted = chance.integers(0, 2, 40).astype(float), chance.integers(0, 12, 40) / 12
    weights = chance.integers(0, 4, 40)

    weighted = value(MEASURES[name], list(faded), list(predicted), list(weights.astype(float)))
    repeated = value(MEASURES[name], list(np.repeat(faded, weights)), list(np.repeat(predicted, weights)))

    assert weighted == pytest.approx(repeated)


def test_many_weights_at_once_are_many_answers() -> None:
    values: Floats = np.array([1.0, 5.0])

    assert list(mean(values, np.array([[1.0, 1.0], [3.0, 1.0]]))) == [3.0, 2.0]
