"""The logistic silence model, by its formula."""

import math

import pytest

from schemas.programs import Coefficients, Profile
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import ONE, probability
from tests.scoring.building import features, held, message, paused, resumed, row, scored, started


def test_the_risk_is_the_formula_written_out() -> None:
    days = [0, 7, 15, 21]
    found = row(40, started(0, 14), *(held(day) for day in days)).evaluation
    gaps = [math.log(g) for g in (7, 8, 6)]
    mu = (math.log(14) + sum(gaps)) / 4
    var = (4 * 0.8**2 + sum((g - mu) ** 2 for g in gaps)) / 7 * (1 + 1 / 4)
    m, c = math.exp(mu), math.pi / math.sqrt(3 * var)
    recent = sum(2 ** (-(21 - day) / 30) for day in days)
    predictor = 1.0 + 0.45 * math.log(1 + (19 / m) ** c) + 0.3 * math.log(m / 30) - 0.8 * math.log(1 + 4)
    predictor += 0.4 * math.log(1 + 19 / 30) - 1.0 * math.log(1 + recent)

    assert found.risk / 1e6 == pytest.approx(1 / (1 + math.exp(-predictor)), abs=1e-6)
    assert sum(value for _, value in found.terms) / 1e6 == pytest.approx(predictor, abs=4e-6)


def test_risk_grows_with_silence_and_falls_with_a_contact() -> None:
    silent = row(60, started(0, 7), held(1)).evaluation.risk
    later = row(90, started(0, 7), held(1)).evaluation.risk
    heard = row(60, started(0, 7), held(1), message(59, "mentee")).evaluation.risk

    assert heard < silent < later


def test_without_any_contact_silence_counts_from_the_start() -> None:
    assert row(50, started(0, 7)).evaluation.risk > row(5, started(0, 7)).evaluation.risk


def test_silence_stands_still_while_paused() -> None:
    events = [started(0, 7), held(1), paused(3), resumed(53)]

    assert row(54, *events).evaluation.risk == row(4, started(0, 7), held(1)).evaluation.risk


def test_contacts_older_than_half_a_year_before_the_newest_are_no_more_looked_at() -> None:
    recent = [held(day) for day in (300, 310, 320)]

    assert row(321, started(0), held(1), *recent).evaluation.terms == row(321, started(0), *recent).evaluation.terms


def test_the_probability_does_not_overflow_at_either_end() -> None:
    assert probability(-1e6, ONE) == 0
    assert probability(1e6, ONE) == 1
    assert probability(0, ONE) == 0.5


def test_a_profile_from_before_time_elapsed_and_recent_activity_counted_gives_the_risk_and_the_terms_that_it_gave() -> (
    None
):
    then = Coefficients(base=0.5, silence=0.9, pace=0.55, history=1.3, elapsed=0, activity=0)
    found = scored(40, started(0, 14), held(7), profiles=Profiles((Profile(version="then", coefficients=then),)))
    c = math.pi / math.sqrt(3 * 0.8**2 * 2)
    predictor = 0.5 + 0.9 * math.log(1 + (33 / 14) ** c) + 0.55 * math.log(14 / 30) - 1.3 * math.log(2)

    assert [name for name, _ in found.terms] == ["base", "silence", "pace", "history"]
    assert found.risk / 1e6 == pytest.approx(1 / (1 + math.exp(-predictor)), abs=1e-6)


def test_contact_days_count_by_their_age_when_the_newest_one_was_however_long_ago_that_is() -> None:
    days = [held(day) for day in (1, 16, 31)]
    recent = math.log1p(1 + 2 ** (-15 / 30) + 2 ** (-30 / 30))

    assert features(32, *days)["activity"] == pytest.approx(recent)
    assert features(90, *days)["activity"] == pytest.approx(recent)
    assert features(32)["activity"] == 0


def test_recent_activity_ages_on_active_time() -> None:
    steady = features(40, started(0), held(1), held(5))
    rested = features(40, started(0), held(1), paused(2), resumed(22), held(25))

    assert rested["activity"] == pytest.approx(steady["activity"])
