"""How early the risk predicts what happened."""

from collections.abc import Callable

import numpy as np

from services.scoring.domain.backtesting.calibration import DEFAULTS, probabilities
from services.scoring.domain.backtesting.cases import PairHistories
from services.scoring.domain.backtesting.lead_time import LeadTime, lead_time, watched_gaps
from services.scoring.domain.backtesting.measures import Floats, Ints
from services.scoring.domain.facts import Facts
from tests.scoring.backtesting.pairs import met, pairs_of, plan
from tests.scoring.building import ended, micros, paused

EVERY_WEEK = [0.5, 7.5, 14.5, 21.5, 28.5]
Predict = Callable[[Floats, Ints], Floats]


def by_model(features: Floats, _: Ints) -> Floats:
    return probabilities(features, DEFAULTS)


def found(level: float, histories: PairHistories, since: float = 0, predict: Predict = by_model) -> LeadTime:
    asked = plan(horizon_days=30)
    measured = watched_gaps(histories.pairs, asked, histories.span, micros(since), predict)
    return lead_time(level, measured, asked.rule, histories.span)


def test_the_lead_is_the_days_between_the_level_and_the_ninetieth_day_of_silence() -> None:
    histories = pairs_of(400, met(EVERY_WEEK))
    silence = watched_gaps(histories.pairs, plan(), histories.span, 0, by_model)[-1]
    reached = next(day for day, risk in enumerate(silence.risks) if risk >= 0.55)

    assert 0 < reached < 90
    assert len(silence.risks) == 91
    assert found(0.55, histories).days == (90 - reached,) * 3


def test_silences_begin_with_every_contact_day_from_the_third_on() -> None:
    measured = found(0.55, pairs_of(400, met(EVERY_WEEK)))

    assert (measured.silences, measured.fades) == (3, 1)


def test_silences_before_the_time_that_is_judged_are_left_out() -> None:
    assert found(0.55, pairs_of(400, met(EVERY_WEEK)), since=20).silences == 2


def test_an_alert_is_right_if_no_contact_comes_in_the_horizon_after_it() -> None:
    gone, back_at_once = met(EVERY_WEEK), met([*EVERY_WEEK, 70.5, 75.5, 80.5])

    assert found(0.45, pairs_of(400, gone)).right == 1
    assert (
        found(0.45, pairs_of(400, back_at_once)).reached,
        found(0.45, pairs_of(400, back_at_once)).right,
    ) == (2, 0.5)


def test_an_alert_whose_horizon_outlasts_the_history_is_neither_right_nor_wrong() -> None:
    measured = found(0.3, pairs_of(60, met(EVERY_WEEK)))

    assert measured.reached == 1
    assert np.isnan(measured.right)


def test_a_level_that_is_never_reached_is_told_as_never() -> None:
    measured = found(0.9999, pairs_of(400, met(EVERY_WEEK)))

    assert (measured.fades, measured.never, measured.reached, measured.days) == (1, 1.0, 0, None)
    assert np.isnan(measured.right)


def test_a_silence_that_outlasts_the_history_is_no_fade_yet() -> None:
    assert found(0.55, pairs_of(100, met(EVERY_WEEK))).fades == 0


def test_an_end_is_no_fade() -> None:
    assert found(0.55, pairs_of(400, met(EVERY_WEEK, ended(60)))).fades == 0


def test_who_is_away_all_the_time_has_no_silences() -> None:
    assert found(0.55, pairs_of(400, met(EVERY_WEEK, paused(0.2)))).silences == 0


def test_pairs_that_never_met_often_enough_have_no_silences() -> None:
    few: Facts = met([0.5, 1.5])

    measured = found(0.55, pairs_of(400, few))

    assert (measured.silences, measured.fades) == (0, 0)
    assert np.isnan(measured.never)
