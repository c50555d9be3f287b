"""What weighs on the risk beside silence: each feature, its bounds, and its term."""

import math

import pytest

from schemas.programs import Coefficients, Profile
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.score import ONE, probability
from tests.scoring.building import (
    booked,
    cancelled,
    facts,
    features,
    feedback,
    goal_set,
    held,
    micros,
    missed,
    moved,
    retraction,
    scored,
    scorer,
    started,
)

MET = (started(0, 7), held(1))


def test_missed_sessions_since_the_last_held_one_count_per_side_and_three_at_most() -> None:
    assert features(9, *MET)["missed"] == 0
    assert features(9, *MET, missed(2, "mentor"))["missed"] == 1
    assert features(9, *MET, missed(2, "both"))["missed"] == 2
    assert features(9, *MET, *(missed(2 + n, "mentor") for n in range(5)))["missed"] == 3
    assert features(9, *MET, *(missed(2 + n, "both") for n in range(5)))["missed"] == 6
    assert features(9, *MET, missed(2), held(3), missed(4))["missed"] == 1


def test_a_missed_session_that_stronger_evidence_calls_held_was_not_missed() -> None:
    contested = [missed(2, session="s", evidence="calendar"), held(1.9, "s", evidence="observed")]

    assert features(9, *MET, *contested)["missed"] == 0
    assert features(9, *MET, missed(2, session="s", evidence="observed"), held(1.9, "s"))["missed"] == 1


def test_a_retracted_missed_session_counts_no_more() -> None:
    absence = missed(2)

    assert features(9, *MET, absence, retraction(3, absence, "mentor"))["missed"] == 0


def test_a_late_cancellation_counts_until_a_session_is_held_or_another_is_booked_for_it() -> None:
    late = cancelled(2, "s", notice=3)

    assert features(9, *MET, late)["cancelled_late"] == 1
    assert features(9, *MET, late, cancelled(3, "t", notice=3))["cancelled_late"] == 1
    assert features(9, *MET, cancelled(2, "s", notice=24))["cancelled_late"] == 0
    assert features(9, *MET, cancelled(2, "s"))["cancelled_late"] == 0
    assert features(9, *MET, late, held(3))["cancelled_late"] == 0
    assert features(9, *MET, late, booked(2.005, "t", 5))["cancelled_late"] == 0
    assert features(9, *MET, late, retraction(3, late, "late"))["cancelled_late"] == 0


def test_a_latest_rating_below_the_pairs_mean_counts_per_two_points() -> None:
    assert features(9, *MET, feedback(2, "mentor", 1))["rating_drop"] == 0
    assert features(9, *MET, feedback(2, "mentor", 5), feedback(3, "mentee", 1))["rating_drop"] == pytest.approx(1)
    assert features(9, *MET, feedback(2, "mentee", 1), feedback(3, "mentor", 5))["rating_drop"] == 0


def test_a_booking_ahead_counts_until_it_begins_or_is_cancelled() -> None:
    ahead = [*MET, booked(2, "s", 5)]

    assert features(4, *ahead)["booked"] == 1
    assert features(5, *ahead)["booked"] == 0
    assert features(4, *ahead, cancelled(3, "s"))["booked"] == 0
    assert features(4, *ahead, cancelled(3, "s"), moved(3.5, "s", 6))["booked"] == 1
    assert features(6, *ahead, moved(3, "s", 8))["booked"] == 1
    assert features(7, *ahead, booked(3, "t", 8), booked(3, "u", 6))["booked"] == 1


def test_the_terms_are_the_coefficients_times_the_features_and_sum_to_the_predictor() -> None:
    events = (
        *MET,
        missed(2, "both"),
        cancelled(3, "s", 1),
        feedback(4, "mentor", 5),
        feedback(5, "mentee", 1),
        goal_set(6),
        booked(7, "t", 90),
    )
    found = scored(70, *events)
    terms = {name: value / 1e6 for name, value in found.terms}

    assert terms["base"] == 1.0
    assert terms["missed"] == 2 * 0.5
    assert terms["cancelled_late"] == 0.25
    assert terms["goal_stalled"] == 0.3
    assert terms["rating_drop"] == pytest.approx(0.3)
    assert terms["booked"] == -1
    assert terms["history"] == pytest.approx(-0.8 * math.log(2), abs=1e-6)
    assert found.risk / 1e6 == pytest.approx(probability(sum(terms.values()), ONE), abs=2e-6)


def test_covariates_are_told_only_where_they_apply() -> None:
    assert [name for name, _ in scored(9, *MET).terms] == ["base", "silence", "pace", "history", "elapsed", "activity"]


def test_each_covariate_weighs_what_the_profile_says() -> None:
    light = Profiles((Profile(version="light", coefficients=Coefficients(missed=0, booked=3)),))
    events = (*MET, missed(2), booked(3, "s", 20))

    assert scored(9, *events, profiles=light).risk < scored(9, *events).risk
    assert dict(scored(9, *events, profiles=light).terms)["booked"] == -3_000_000


def test_the_risk_crosses_a_level_at_the_first_second_past_it() -> None:
    history = ScoreHistory(facts(*MET), DEFAULT)
    crossed = next(at for at, found in history.rows(-1, micros(90)).items() if "crossing.risk.0.55" in found.causes)
    scores = scorer(2, *MET)

    pace = scores.snapshot.pace
    assert scores.features(micros(9))[0] == pytest.approx(math.log1p((8 / pace.median) ** pace.shape))
    assert scores.numbers(crossed)[1] >= 550_000
    assert scores.numbers(crossed - 1_000_000)[1] < 550_000


def test_where_silence_weighs_nothing_no_level_is_crossed_by_it() -> None:
    eager = Profiles((Profile(version="eager", coefficients=Coefficients(silence=0, elapsed=0)),))

    causes = {
        cause for found in ScoreHistory(facts(*MET), eager).rows(-1, micros(90)).values() for cause in found.causes
    }

    assert not any(cause.startswith("crossing.risk") for cause in causes)


def test_a_level_that_silence_hardly_brings_about_lies_beyond_every_clock() -> None:
    slow = Profiles((Profile(version="slow", coefficients=Coefficients(base=2, silence=0.001, history=0.5, booked=3)),))
    history = ScoreHistory(facts(started(0, 7), booked(0.5, "s", 5.25)), slow)

    assert history.due(micros(5.1)) == micros(5.25)
