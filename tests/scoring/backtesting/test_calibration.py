"""What calibration learns, and what it keeps."""

from dataclasses import replace

import numpy as np
import pytest

from schemas.programs import Coefficients
from services.scoring.domain.backtesting.calibration import (
    BOUNDS,
    DEFAULTS,
    Fit,
    NotLearnable,
    forecast,
    learnt,
    probabilities,
    rolling,
)
from services.scoring.domain.backtesting.cases import Examples
from services.scoring.domain.bounds import DAY
from services.scoring.domain.score import FEATURES

TRUE = Coefficients(
    base=1.4,
    silence=0.8,
    pace=0.2,
    history=1.1,
    elapsed=0.7,
    activity=0.6,
    missed=0.9,
    cancelled_late=0.7,
    goal_stalled=0.6,
    rating_drop=0.1,
    booked=1.6,
)


def examples(coefficients: Coefficients, pairs: int = 4_000, each: int = 3, seed: int = 7) -> Examples:
    """Cases of one day with realistic features and outcomes drawn by the coefficients."""
    chance = np.random.default_rng(seed)
    count = pairs * each
    features = np.column_stack(
        [
            chance.gamma(2.0, 0.8, count),
            chance.normal(-0.5, 0.8, count),
            np.log1p(chance.integers(1, 40, count)),
            chance.gamma(2.0, 0.5, count),
            chance.gamma(2.0, 0.6, count),
            chance.integers(0, 3, count),
            *chance.integers(0, 2, (4, count)),
        ]
    ).astype(float)
    faded = (chance.random(count) < probabilities(features, coefficients)).astype(float)
    return Examples(features, faded, np.repeat(np.arange(pairs), each), np.zeros(count, dtype=np.int64))


def found(of: Examples) -> Coefficients:
    coefficients = learnt(of)
    assert isinstance(coefficients, Coefficients)
    return coefficients


def test_the_coefficients_by_which_the_cases_turned_out_are_found_again() -> None:
    coefficients = found(examples(TRUE))

    assert dict(coefficients) == pytest.approx(dict(TRUE), abs=0.15)


def test_a_coefficient_stays_within_its_bounds_even_if_the_cases_speak_against_it() -> None:
    good = examples(TRUE)
    turned = replace(good, faded=1 - good.faded)

    coefficients = found(turned)

    assert coefficients.missed == coefficients.booked == coefficients.elapsed == coefficients.activity == 0
    assert (coefficients.silence, coefficients.history) == (0.35, 0.5)
    assert all(low <= getattr(coefficients, name) <= high for name, (low, high) in BOUNDS.items())


def test_a_pace_and_an_activity_beyond_their_bounds_are_held_there() -> None:
    coefficients = found(examples(TRUE.model_copy(update={"pace": 2.0, "activity": 3.0})))

    assert (coefficients.pace, coefficients.activity) == (0.35, 1.25)


def test_what_the_cases_do_not_tell_stays_at_its_default() -> None:
    some = examples(TRUE)
    some.features[:, FEATURES.index("goal_stalled")] = 0

    assert found(some).goal_stalled == DEFAULTS.goal_stalled


def test_few_cases_draw_the_coefficients_less_than_many() -> None:
    little, much = found(examples(TRUE, pairs=20, each=1)), found(examples(TRUE, pairs=4_000))

    assert abs(little.booked - DEFAULTS.booked) < abs(much.booked - DEFAULTS.booked)


def test_a_case_counts_half_for_every_two_years_of_its_age() -> None:
    old, new = examples(TRUE, pairs=1_000, each=1), examples(DEFAULTS, pairs=1_000, each=1, seed=8)
    aged = Examples(
        np.concatenate([old.features, new.features, new.features]),
        np.concatenate([old.faded, new.faded, new.faded]),
        np.arange(3_000),
        np.repeat([0, 730 * DAY, 730 * DAY], 1_000),
    )
    alike = Examples(
        np.concatenate([old.features, *[new.features] * 4]),
        np.concatenate([old.faded, *[new.faded] * 4]),
        np.arange(5_000),
        np.zeros(5_000, dtype=np.int64),
    )

    # Twice the weight of all cases is half of the ridge, which hardly counts here.
    assert dict(found(aged)) == pytest.approx(dict(found(alike)), abs=0.03)


def test_under_twenty_pairs_only_the_intercept_is_learnt() -> None:
    some = examples(TRUE, pairs=19, each=10)

    coefficients = found(some)

    assert coefficients.model_copy(update={"base": DEFAULTS.base}) == DEFAULTS
    assert coefficients.base != DEFAULTS.base
    assert probabilities(some.features, coefficients).mean() == pytest.approx(some.faded.mean(), abs=1e-4)


def test_with_twenty_pairs_more_than_the_intercept_is_learnt() -> None:
    assert found(examples(TRUE, pairs=20, each=10)).silence != DEFAULTS.silence


def test_no_case_teaches_nothing() -> None:
    nothing = learnt(Examples(np.zeros((0, len(FEATURES))), np.zeros(0), *[np.zeros(0, dtype=np.int64)] * 2))

    assert isinstance(nothing, NotLearnable)
    assert nothing.reason.startswith("there is no case")


@pytest.mark.parametrize(("outcome", "words"), [(1.0, "in none of 90 cases"), (0.0, "in all of 90 cases")])
def test_cases_that_all_turned_out_alike_teach_nothing(outcome: float, words: str) -> None:
    some = examples(TRUE, pairs=30)

    nothing = learnt(replace(some, faded=np.full(90, outcome)))

    assert isinstance(nothing, NotLearnable)
    assert nothing.reason.startswith(words)


def test_learning_anew_looks_only_at_cases_whose_horizon_was_over() -> None:
    some = examples(TRUE, pairs=400, each=1)
    at = np.arange(400, dtype=np.int64) * DAY
    starts = [200 * DAY, 300 * DAY]
    changed = replace(some, at=at, faded=np.where(at + 30 * DAY > 200 * DAY, 1 - some.faded, some.faded))

    first, second = rolling(replace(some, at=at), 30 * DAY, starts)
    first_again, second_again = rolling(changed, 30 * DAY, starts)

    assert first == first_again == Fit(200 * DAY, found(replace(some.where(at + 30 * DAY <= 200 * DAY), at=at[:171])))
    assert second != second_again


def test_where_nothing_can_be_learnt_yet_the_defaults_go_on_and_then_what_was_learnt_before() -> None:
    some = replace(examples(TRUE, pairs=100, each=1), at=np.full(100, 10 * DAY, dtype=np.int64))

    before, after = rolling(some, 30 * DAY, [20 * DAY, 40 * DAY])

    assert before == Fit(20 * DAY, DEFAULTS)
    assert after.coefficients == found(some)


def test_a_case_is_predicted_by_what_was_learnt_last() -> None:
    some = examples(TRUE, pairs=3, each=1)
    fits = [Fit(10, DEFAULTS), Fit(20, TRUE)]

    predicted = forecast(some.features, np.array([5, 19, 20]), fits)

    old, new = probabilities(some.features, DEFAULTS), probabilities(some.features, TRUE)
    assert list(predicted) == [old[0], old[1], new[2]]
