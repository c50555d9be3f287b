"""What mentor and mentee report of themselves: ratings, well-being, growth, expectations; and the caps of the band."""

from collections.abc import Callable

import pytest

from schemas.events import OfRelationship
from schemas.primitives import Side
from schemas.programs import Profile, Weights
from services.scoring.domain.profiles import Profiles
from tests.scoring.building import (
    SIDES,
    agreed,
    celebrated,
    checkin,
    facts,
    feedback,
    fit,
    held,
    introduction,
    message,
    prepared,
    pulse,
    reflection,
    requested,
    resolved,
    resource,
    retraction,
    row,
    scored,
    skill,
    started,
    values,
)
from tests.scoring.expected import fresh, near

START = started(0)
ALL_ON = Profiles((Profile(version="all-on", weights=Weights(growth=10, expectations=10)),))


def test_one_sides_ratings_are_their_mean_with_a_full_one_credited() -> None:
    assert "feedback" not in values(9, START)
    assert values(2, START, feedback(1, "mentee", 5))["feedback"] == 1
    assert values(2, START, feedback(1, "mentor", 1))["feedback"] == near(1 / 2)
    assert values(3, START, feedback(1, "mentee", 4), feedback(2, "mentee", 2))["feedback"] == near(2 / 3)


def test_of_both_sides_the_less_content_one_counts_more() -> None:
    events = [START, feedback(1, "mentor", 5), feedback(1, "mentee", 1)]

    assert values(2, *events)["feedback"] == near(0.5 * 0.5 + 0.25 * (1 + 0.5))


def test_a_rating_is_read_on_its_own_scale() -> None:
    assert values(2, START, feedback(1, "mentee", 7, best=10))["feedback"] == near((1 + 6 / 9) / 2)


def test_a_check_in_with_a_rating_is_a_rating_and_one_without_is_nothing() -> None:
    assert (
        values(2, START, checkin(1, "mentee", 2))["feedback"] == values(2, START, feedback(1, "mentee", 2))["feedback"]
    )
    assert facts(checkin(1, "mentee")) == {}


def test_the_last_six_ratings_of_a_side_count() -> None:
    bad, good = (feedback(1, "mentor", 1), [feedback(2 + n, "mentor", 5) for n in range(6)])

    assert values(9, START, bad, *good[:5])["feedback"] == near(6 / 7)
    assert values(9, START, bad, *good)["feedback"] == 1


def test_a_retracted_rating_is_gone_but_keeps_its_place_among_the_six() -> None:
    ratings = [feedback(1 + n, "mentor", 1 if n == 0 else 5) for n in range(7)]

    assert values(9, START, *ratings, retraction(8, ratings[6], "mentor"))["feedback"] == 1
    assert "feedback" not in values(9, START, ratings[0], retraction(8, ratings[0], "mentor"))


def test_support_is_the_mentees_last_four_pulses() -> None:
    assert "support" not in values(9, START)
    assert values(2, START, pulse(1, 3))["support"] == near(1.5 / 2)
    assert values(9, START, pulse(1, 1), *(pulse(2 + n, 5) for n in range(3)))["support"] == near(4 / 5)
    assert values(9, START, pulse(1, 1), *(pulse(2 + n, 5) for n in range(4)))["support"] == 1
    assert facts(pulse(1, 1, by="mentor")) == {}


@pytest.mark.parametrize("happened", [reflection, skill, introduction, resource], ids=lambda made: made.__name__)
def test_growth_is_how_lately_either_side_grew(happened: Callable[[float, Side], OfRelationship]) -> None:
    grown = [happened(60, side) for side in SIDES]

    assert values(120, START, profiles=ALL_ON)["growth"] == near(fresh(2))
    assert values(120, START, grown[0], profiles=ALL_ON)["growth"] == near(0.5 + 0.5 * fresh(2))
    assert values(120, START, *grown, profiles=ALL_ON)["growth"] == 1
    assert values(180, START, *grown, profiles=ALL_ON)["growth"] == near(fresh(2))


def test_a_celebration_is_the_growth_of_who_celebrates_or_of_both() -> None:
    assert values(120, START, celebrated(120), profiles=ALL_ON)["growth"] == 1
    assert values(120, START, celebrated(120, by="mentor"), profiles=ALL_ON)["growth"] == near(0.5 + 0.5 * fresh(2))


def test_a_retracted_growth_is_none() -> None:
    thought = reflection(100, "mentor")

    assert values(120, START, thought, retraction(101, thought, "mentor"), profiles=ALL_ON)["growth"] == near(fresh(2))


def test_expectations_are_three_things_to_do_within_a_fortnight() -> None:
    things = [agreed(1), *(prepared(1, side) for side in SIDES)]

    assert values(14, START, profiles=ALL_ON)["expectations"] == 1
    assert values(28, START, profiles=ALL_ON)["expectations"] == near(fresh(2))
    for done in range(1, 4):
        expected = (done + (3 - done) * fresh(2)) / 3
        assert values(28, START, *things[:done], profiles=ALL_ON)["expectations"] == near(expected)
    assert values(28, START, things[0], retraction(2, things[0]), profiles=ALL_ON)["expectations"] == near(fresh(2))


def test_growth_and_expectations_count_only_where_a_profile_turns_them_on() -> None:
    events = [START, agreed(1), reflection(1)]

    assert {"growth", "expectations"} & values(28, *events).keys() == set()
    assert {"growth", "expectations"} <= values(28, *events, profiles=ALL_ON).keys()
    assert scored(28, START, reflection(28)).health == scored(28, START).health


def test_an_open_immediate_request_caps_the_band_until_it_is_resolved() -> None:
    well = [START, held(1)]

    assert scored(3, *well).band == "thriving"
    assert scored(3, *well, requested(2)).caps == ("support_open",)
    assert scored(3, *well, requested(2)).band == "strained"
    assert scored(3, *well, requested(2)).health == scored(3, *well).health
    assert scored(3, *well, requested(2), resolved(3)).caps == ()
    assert scored(3, *well, requested(2), resolved(3, "another")).caps == ("support_open",)
    assert scored(3, *well, resolved(1.5), requested(2)).caps == ("support_open",)


def test_a_request_that_can_wait_or_was_retracted_caps_nothing() -> None:
    request, answer = requested(2), resolved(2.5)

    assert scored(3, START, requested(2, priority="normal")).caps == ()
    assert scored(3, START, request, retraction(3, request)).caps == ()
    assert scored(3, START, request, answer, retraction(3, answer)).caps == ("support_open",)


def test_a_row_names_all_open_requests_the_oldest_first() -> None:
    events = [START, requested(1, "b"), requested(2, "a", "normal"), requested(3, "c"), resolved(4, "c")]

    assert row(5, *events).open_requests == ("b", "a")


def test_a_fit_that_is_not_good_from_either_side_caps_the_band_until_that_side_says_otherwise() -> None:
    for side in SIDES:
        unhappy = [START, held(1), fit(2, side, "not_good")]
        assert scored(3, *unhappy).caps == ("fit_not_good",)
        assert scored(3, *unhappy).band == "strained"
        assert scored(3, *unhappy, fit(3, side, "undecided")).caps == ()
        assert scored(3, *unhappy, retraction(3, unhappy[-1], side)).caps == ()
    both = [requested(1), fit(2, "mentor", "not_good"), fit(3, "mentee", "good")]
    assert scored(3, START, *both).caps == ("support_open", "fit_not_good")


def test_a_cap_lifts_no_band() -> None:
    bad = [started(0, 1), requested(1)]

    assert scored(60, *bad).band == scored(60, started(0, 1)).band == "critical"


def test_confidence_counts_the_ratings_and_pulses_that_a_score_rests_on() -> None:
    silent, spoken = [START, held(1)], [START, held(1), pulse(1, 5), *(feedback(1, side, 5) for side in SIDES)]

    assert scored(2, *silent).confidence == round((25 + 20) * 1 / 4 / 100 * 1e6)
    assert scored(2, *spoken).confidence == round(((25 + 20 + 5) * 1 / 4 + 15 * 2 / 5) / 100 * 1e6)
    assert scored(2, *silent, message(1.5, "mentor")).confidence == scored(2, *silent).confidence
