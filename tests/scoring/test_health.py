"""Health: each factor by its formula, and parts that sum."""

import pytest

from schemas.programs import Profile, Weights
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.serialization import part_columns
from tests.scoring.building import (
    SIDES,
    booked,
    cancelled,
    facts,
    goal_set,
    held,
    joined,
    left,
    message,
    micros,
    missed,
    moved,
    part,
    paused,
    reflection,
    resumed,
    retraction,
    row,
    started,
)


def test_rhythm_is_full_up_to_the_cadence_and_halves_with_every_further_one() -> None:
    assert part(row(7, started(0, 7), held(0)), "rhythm") == 1
    assert part(row(14, started(0, 7), held(0)), "rhythm") == pytest.approx(0.5, abs=1e-6)
    assert part(row(28, started(0, 7), held(0)), "rhythm") == pytest.approx(0.125, abs=1e-6)


def test_without_a_session_rhythm_counts_from_the_start_by_the_profiles_cadence() -> None:
    assert part(row(28, started(0)), "rhythm") == pytest.approx(0.5, abs=1e-6)


def test_ages_stand_still_while_paused() -> None:
    events = [started(0, 7), held(0), paused(7, name="p"), resumed(21, "p")]

    assert part(row(21, *events), "rhythm") == 1
    assert part(row(28, *events), "rhythm") == pytest.approx(0.5, abs=1e-6)


def test_reliability_starts_with_a_credit_and_counts_cancelled_sessions_half() -> None:
    assert part(row(1, started(0)), "reliability") == 0.85
    assert part(row(3, started(0), held(1), missed(2)), "reliability") == pytest.approx(2.7 / 4)
    assert part(row(3, started(0), held(1), cancelled(2, "c")), "reliability") == pytest.approx(2.7 / 3.5, abs=1e-6)


def test_reliability_looks_at_the_last_eight_outcomes() -> None:
    events = [started(0), *(missed(day) for day in range(1, 5)), *(held(day) for day in range(5, 13))]

    assert part(row(13, *events), "reliability") == pytest.approx(9.7 / 10)


def test_one_meeting_told_by_two_tools_is_one_outcome_and_observation_wins() -> None:
    told_twice = [started(0), missed(1, session="s", evidence="calendar"), held(1, "s", evidence="observed")]

    assert part(row(2, *told_twice), "reliability") == pytest.approx(2.7 / 3)


def test_meetings_that_overlap_in_time_are_one_also_through_a_third() -> None:
    chain = [started(0), held(1, "a", 60), held(1.03, "b", 60), held(1.06, "c", 60)]

    assert part(row(2, *chain), "reliability") == pytest.approx(2.7 / 3)
    assert part(row(2, started(0), held(1, "a", 10), held(1.03, "b", 10)), "reliability") == pytest.approx(3.7 / 4)


def test_a_missed_session_takes_the_time_it_was_booked_for() -> None:
    events = [started(0), booked(0.5, "s", 1), missed(1.2, session="s"), held(1, "t", evidence="observed")]

    assert part(row(2, *events), "reliability") == pytest.approx(2.7 / 3)


def test_a_cancellation_that_another_booking_replaces_counts_as_nothing() -> None:
    replaced = [started(0), booked(1, "a", 3), cancelled(2, "a"), booked(2.003, "b", 4)]
    left_alone = [started(0), booked(1, "a", 3), cancelled(2, "a"), booked(2.1, "b", 4)]

    assert part(row(2.5, *replaced), "reliability") == 0.85
    assert part(row(2.5, *left_alone), "reliability") == pytest.approx(1.7 / 2.5)


def test_mutual_needs_four_messages_and_is_full_when_both_write_alike() -> None:
    one_sided = [message(day, "mentor") for day in (1, 2, 3)]

    assert "mutual" not in {p.name for p in row(4, started(0), *one_sided).evaluation.parts}
    assert part(row(5, started(0), *one_sided, message(4, "mentor")), "mutual") == pytest.approx(2 / 6, abs=1e-6)
    both = [message(day + 0.1 * number, by) for day in (1, 2) for number, by in enumerate(SIDES)]
    assert part(row(5, started(0), *both), "mutual") == 1


def test_silence_takes_from_health_after_three_cadences_without_any_contact() -> None:
    talking = row(42, started(0, 7), held(0), *(message(day, "mentee") for day in (10, 20, 30, 40)))
    silent = row(42, started(0, 7), held(0))

    assert part(talking, "silence") == 0
    assert part(silent, "silence") == pytest.approx(0.5, abs=1e-6)
    assert silent.evaluation.health < 0.6 * talking.evaluation.health


def test_contributions_sum_to_health_and_deltas_to_its_change_exactly() -> None:
    events = [started(0, 7), held(0), held(6), missed(13), *(message(day, "mentor") for day in (3, 9, 15, 21, 27))]

    for as_of, found in ScoreHistory(facts(*events), Profiles((Profile(version="x"),))).rows(-1, micros(60)).items():
        parts = list(zip(*part_columns(found), strict=True))
        assert sum(contribution for _, _, _, contribution, _ in parts) == found.evaluation.health, as_of
        before = found.before.evaluation.health if found.before else 0
        assert sum(delta for *_, delta in parts) == found.evaluation.health - before, as_of


def test_a_factor_that_loses_its_data_is_told_with_what_it_took_away() -> None:
    written = [message(day, "mentor") for day in (1, 2, 3, 4)]
    found = row(4.5, started(0), *written, retraction(4.4, written[3], "mentor"))
    now = row(4.5, started(0), *written)

    assert {name for name, *_ in zip(*part_columns(now), strict=True)} >= {"mutual"}
    assert "mutual" not in {p.name for p in found.evaluation.parts}


def test_a_profile_without_weights_scores_nothing_and_says_so() -> None:
    nothing = Weights(**dict.fromkeys(Weights.model_fields, 0))
    history = ScoreHistory(facts(started(0), held(1)), Profiles((Profile(version="x", weights=nothing),)))

    (_, found), *_ = history.rows(-1, micros(2)).items()

    assert found.evaluation.health == 0
    assert found.evaluation.confidence == 0


def test_confidence_grows_with_the_facts_that_the_factors_rest_on() -> None:
    few = row(3, started(0), held(1)).evaluation.confidence
    many = row(40, started(0), *(held(day) for day in range(1, 30, 3))).evaluation.confidence

    assert few < 250_000 < many


def test_bands_are_read_from_health() -> None:
    assert row(1, started(0), held(0.5)).evaluation.band == "thriving"
    assert row(30, started(0, 7), held(0), *(missed(day) for day in range(7, 30, 7))).evaluation.band == "critical"


def test_the_next_session_is_the_last_word_on_each_booking() -> None:
    events = [started(0), booked(1, "a", 5), moved(2, "a", 6), booked(2, "b", 4), cancelled(3, "b")]

    assert row(3.5, *events).next_session == micros(6)
    assert row(7, *events).next_session is None


def test_a_type_that_is_not_scored_leaves_no_fact() -> None:
    assert facts(joined(1, "mentor"), left(2, "mentor")) == {}
    assert facts(retraction(2, joined(1, "mentor"))) == {}
    assert facts(retraction(2, held(1), slot="nobody")) == {}
    assert facts(retraction(2, reflection(1), slot="mentee")).keys() == facts(reflection(1)).keys()


def test_a_mark_finds_its_fact_by_its_side_or_its_goal() -> None:
    assert facts(retraction(2, goal_set(1), slot="g")).keys() == facts(goal_set(1)).keys()
    assert facts(retraction(2, missed(1, "both"), slot="both")).keys() == facts(missed(1, "both")).keys()
