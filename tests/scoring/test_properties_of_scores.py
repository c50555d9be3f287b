"""What holds of every score: properties 1, 2, 7, 10 and 12."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.programs import Profile, Weights
from services.scoring.domain.bounds import ONE, SECOND
from services.scoring.domain.evaluation import factors
from services.scoring.domain.explaining.story import shown_health, shown_points
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import ONE as SINGLE
from services.scoring.domain.score import levels, probability
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
    terms = zip(scorer.snapshot.parameters.coefficients, scorer.features(b.micros(story.day + days)), strict=True)
    assert 0 < probability(scorer.snapshot.parameters.base + math.fsum(c * x for c, x in terms), SINGLE) <= 1


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
    scores, points = scorer.scores(b.micros(story.day + days)), scorer.snapshot.points
    shares = [most * value for most, value in zip(points, factors(scorer.snapshot.steady, scores), strict=True)]
    assert math.fsum([*shares, -scores.silence * scores.core]) == pytest.approx(found.health / ONE, abs=0.5e-6 + 1e-9)


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
    merged_facts = {key: fact for key, fact in story.facts.items() if key.time <= at}

    assert ScoreHistory(story.facts, profiles).rows(at - 1, at) == ScoreHistory(merged_facts, profiles).rows(at - 1, at)


@PROPERTY
@given(stories(), profiles)
def test_at_the_second_of_a_crossing_the_level_is_passed_and_one_second_before_it_is_not(
    story: Story, profiles: Profiles
) -> None:
    """Property 12; where the last instant is less than a second ago, not at that one."""
    history, upto = ScoreHistory(story.facts, profiles), b.micros(story.day + 60)
    rows = history.rows(-1, upto)
    watched = {level.cause: level for level in levels(profiles.at(upto).watch)}

    for before, at in pairwise(rows):
        for level in (watched[cause] for cause in rows[at].causes if cause in watched):
            now, then = rows[at].evaluation, history.score(max(before, at - SECOND))
            assert level.is_passed(now.health, now.risk)
            assert then is None or not level.is_passed(then.health, then.risk)
