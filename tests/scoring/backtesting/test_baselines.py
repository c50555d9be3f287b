"""The simpler rules rank as specified, and each gets its own calibration."""

import numpy as np
import pytest

from services.scoring.domain.backtesting import baselines
from services.scoring.domain.backtesting.measures import reliability
from tests.scoring.backtesting.pairs import cases, many, met, pairs_of
from tests.scoring.building import micros


def test_each_rule_ranks_by_what_it_is_named_after() -> None:
    found = cases(pairs_of(400, met([0.5, 10.5, 20.5]), met([0.5, 1.5, 2.5])), active_days=200)
    model = baselines.BgNbd(1.0, 10.0, 1.0, 3.0)

    scores = baselines.scores(found, model, 30)

    assert list(scores["30-day rule"]) == [float(silence > 30) for silence in found.silence]
    assert np.exp(scores["recency"]) == pytest.approx(found.silence)
    gaps = np.where(found.pair == 0, 10.0, 1.0)
    assert np.exp(scores["own mean gap"]) == pytest.approx(found.silence / gaps)
    assert scores["100 - health"] == pytest.approx(100 - found.health)
    chance = 1 / (1 + np.exp(-scores["BG/NBD"]))
    assert chance == pytest.approx(baselines.silent(model, found.summary, 30))


def test_bg_nbd_learns_from_all_pairs_seen_before_the_split_and_from_nothing_after_it() -> None:
    histories = pairs_of(400, met([0.5, 5.5, 300]), met([3.5]), met([200]))

    summary = baselines.contact_summaries(histories, micros(100))

    assert [list(column) for column in summary] == [[1.0, 0.0], [5.0, 0.0], [100.0, 97.0]]


def test_a_score_becomes_the_probability_that_the_earlier_cases_had() -> None:
    chance = np.random.default_rng(13)
    score = chance.normal(500, 90, 20_000)
    faded = (chance.random(20_000) < 1 / (1 + np.exp(-(score - 520) / 60))).astype(float)

    predicted = baselines.mapped(score[:10_000], faded[:10_000], score[10_000:])

    assert all(abs(one.predicted - one.observed) < 0.05 for one in reliability(faded[10_000:], predicted))


def test_a_score_that_ranks_the_wrong_way_round_tells_nothing() -> None:
    score, faded = np.arange(100.0), np.repeat([1.0, 1.0, 0.0], [40, 10, 50])

    predicted = baselines.mapped(score, faded, np.array([0.0, 50.0, 99.0]))

    assert predicted == pytest.approx(np.full(3, 0.5), abs=1e-3)


def test_a_score_that_is_always_the_same_becomes_the_base_rate() -> None:
    predicted = baselines.mapped(np.full(10, 7.0), np.repeat([1.0, 0.0], [3, 7]), np.array([7.0]))

    assert predicted == pytest.approx([0.3], abs=1e-4)


def test_the_rules_are_defined_for_every_case_of_a_random_history() -> None:
    histories = many(40, 500, seed=14)
    found = cases(histories)

    scores = baselines.scores(found, baselines.fit_bgnbd(baselines.contact_summaries(histories, micros(300))), 30)

    assert all(np.isfinite(score).all() for score in scores.values())
