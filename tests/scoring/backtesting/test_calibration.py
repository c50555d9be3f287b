"""What calibration learns, and what it keeps."""

import numpy as np
import pytest

from schemas.programs import Coefficients
from services.scoring.domain.backtesting.calibration import DEFAULTS, Examples, NotLearnable, learnt, probabilities
from services.scoring.domain.score import FEATURES

TRUE = Coefficients(
    base=1.4,
    silence=0.5,
    pace=0.9,
    history=0.8,
    missed=0.9,
    cancelled_late=0.7,
    goal_stalled=0.6,
    rating_drop=0.1,
    booked=1.6,
)


def examples(coefficients: Coefficients, pairs: int = 4_000, each: int = 3, seed: int = 7) -> Examples:
    """Cases with features as they occur, that turn out as the coefficients say."""
    chance = np.random.default_rng(seed)
    count = pairs * each
    features = np.column_stack(
        [
            chance.gamma(2.0, 0.8, count),
            chance.normal(-0.5, 0.8, count),
            np.log1p(chance.integers(1, 40, count)),
            chance.integers(0, 3, count),
            *chance.integers(0, 2, (4, count)),
        ]
    ).astype(float)
    faded = (chance.random(count) < probabilities(features, coefficients)).astype(float)
    return Examples(features, faded, np.repeat(np.arange(pairs), each))


def found(of: Examples) -> Coefficients:
    coefficients = learnt(of)
    assert isinstance(coefficients, Coefficients)
    return coefficients


def test_the_coefficients_by_which_the_cases_turned_out_are_found_again() -> None:
    coefficients = found(examples(TRUE))

    assert dict(coefficients) == pytest.approx(dict(TRUE), abs=0.15)


def test_a_coefficient_keeps_its_sign_even_if_the_cases_speak_against_it() -> None:
    good = examples(TRUE)
    turned = Examples(good.features, 1 - good.faded, good.pair)

    coefficients = found(turned)

    assert coefficients.silence == coefficients.missed == coefficients.booked == 0
    assert all(getattr(coefficients, name) >= 0 for name in FEATURES)


def test_what_the_cases_do_not_tell_stays_at_its_default() -> None:
    some = examples(TRUE)
    some.features[:, FEATURES.index("goal_stalled")] = 0

    assert found(some).goal_stalled == DEFAULTS.goal_stalled


def test_few_cases_draw_the_coefficients_less_than_many() -> None:
    little, much = found(examples(TRUE, pairs=30)), found(examples(TRUE, pairs=4_000))

    assert abs(little.booked - DEFAULTS.booked) < abs(much.booked - DEFAULTS.booked)


def test_a_pair_counts_once_however_many_cases_it_has() -> None:
    some = examples(TRUE, pairs=60, each=1)
    often = Examples(np.repeat(some.features, 5, axis=0), np.repeat(some.faded, 5), np.repeat(some.pair, 5))

    assert dict(found(often)) == pytest.approx(dict(found(some)), abs=1e-4)


def test_under_twenty_pairs_only_the_intercept_is_learnt() -> None:
    some = examples(TRUE, pairs=19, each=10)

    coefficients = found(some)

    assert coefficients.model_copy(update={"base": DEFAULTS.base}) == DEFAULTS
    assert coefficients.base != DEFAULTS.base
    assert probabilities(some.features, coefficients).mean() == pytest.approx(some.faded.mean(), abs=1e-4)


def test_with_twenty_pairs_more_than_the_intercept_is_learnt() -> None:
    assert found(examples(TRUE, pairs=20, each=10)).silence != DEFAULTS.silence


def test_no_case_teaches_nothing() -> None:
    nothing = learnt(Examples(np.zeros((0, len(FEATURES))), np.zeros(0), np.zeros(0, dtype=np.int64)))

    assert isinstance(nothing, NotLearnable)
    assert nothing.reason.startswith("there is no case")


@pytest.mark.parametrize(("outcome", "words"), [(1.0, "in none of 90 cases"), (0.0, "in all of 90 cases")])
def test_cases_that_all_turned_out_alike_teach_nothing(outcome: float, words: str) -> None:
    some = examples(TRUE, pairs=30)

    nothing = learnt(Examples(some.features, np.full(90, outcome), some.pair))

    assert isinstance(nothing, NotLearnable)
    assert nothing.reason.startswith(words)
