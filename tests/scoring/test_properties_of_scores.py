"""What holds of every score: properties 1, 2, 7, 10 and 12."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.programs import Profile, Weights
from services.scoring.domain.explaining.shown import shown_health, shown_points
from services.scoring.domain.history import History
from services.scoring.domain.kernel.arithmetic import LEAST_SILENCE_DAYS, probability, silence, silence_at
from services.scoring.domain.kernel.score import predictor
from services.scoring.domain.millionths import ONE
from services.scoring.domain.profiles import Profiles
from tests.scoring import building as b
from tests.scoring.effort import PROPERTY
from tests.scoring.strategies import DAYS, Story, profiles, stories

UNEVEN = Profiles((Profile(version="uneven", weights=Weights(rhythm=0.1, mutual=100, growth=33.3, support=0)),))
any_day = st.sampled_from(DAYS)


@PROPERTY
@given(stories(), profiles | st.just(UNEVEN), any_day)
def test_health_lies_between_0_and_100_and_the_risk_above_0_up_to_1(
    story: Story, profiles: Profiles, days: float
) -> None:
    """Property 1."""
    scorer = story.scorer(story.day + days, profiles)

    health, risk = scorer.numbers(b.micros(story.day + days))

    assert 0 <= health <= 100 * ONE
    assert 0 < risk <= ONE
    assert 0 < probability(predictor(scorer.selection.window, scorer.selection.profile)) <= 1


@PROPERTY
@given(stories(), profiles | st.just(UNEVEN), any_day)
def test_contributions_sum_to_health_and_shown_parts_to_shown_health(
    story: Story, profiles: Profiles, days: float
) -> None:
    """Property 2: within 1e-9 as computed, exactly as stored and as shown."""
    scorer = story.scorer(story.day + days, profiles)

    found = scorer.evaluate(b.micros(story.day + days))

    assert sum(part.contribution for part in found.parts) == found.health
    assert sum(shown_points(found)) == shown_health(found)
    share = scorer.selection.window.share
    assert math.fsum(share) == pytest.approx(found.health / ONE, abs=0.5e-6 + 1e-9)


@PROPERTY
@given(stories(), profiles, any_day, any_day)
def test_without_facts_a_later_day_never_raises_health_nor_lowers_the_risk(
    story: Story, profiles: Profiles, days: float, more: float
) -> None:
    """Property 7, within one version of the profile."""
    scorer = story.scorer(story.day, profiles)
    health, risk = scorer.numbers(b.micros(story.day + days))

    later_health, later_risk = scorer.numbers(b.micros(story.day + days + more))

    assert later_health <= health
    assert later_risk >= risk


@PROPERTY
@given(stories(), profiles, st.integers(0, 30))
def test_facts_after_an_instant_do_not_count(story: Story, profiles: Profiles, count: int) -> None:
    """Property 10."""
    at = sorted(key.time for key in story.facts)[min(count, len(story.facts) - 1)]
    known = {key: fact for key, fact in story.facts.items() if key.time <= at}

    assert History(story.facts, profiles).rows(at - 1, at) == History(known, profiles).rows(at - 1, at)


@PROPERTY
@given(
    level=st.floats(0.001, 0.999),
    others=st.floats(-8, 4),
    coefficient=st.floats(0.1, 10),
    median=st.floats(0.5, 200),
    shape=st.floats(0.3, 9),
)
def test_at_the_silence_of_the_closed_form_the_risk_is_the_level(
    level: float, others: float, coefficient: float, median: float, shape: float
) -> None:
    """Property 12, on real-valued silence: above half a day, below which silence is taken for half a day."""
    days = silence_at(level, others, coefficient, median, shape)

    if days == 0:
        assert probability(others) >= level
    elif days >= LEAST_SILENCE_DAYS:
        assert probability(others + coefficient * silence(days, median, shape)) == pytest.approx(level, abs=1e-12)
    else:
        assert probability(others + coefficient * silence(days, median, shape)) >= level
