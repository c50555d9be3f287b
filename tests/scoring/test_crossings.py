"""The second at which silence alone takes a score to a level: the grid search finds the very first."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.programs import Coefficients, Profile
from services.scoring.domain.bounds import DAY, FOREVER, ONE, SECOND
from services.scoring.domain.crossings import SilentPeriods, crossings
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import Level, passed
from tests.scoring.building import Scorer, facts, goal_set, held, message, micros, scorer, started
from tests.scoring.strategies import ALL_ON, Story, profiles, stories

BEGIN = micros(2)
RISK, HEALTH = Level("crossing.risk.0.55", is_health=False, bound=550_000), Level("c", is_health=True, bound=50 * ONE)
MET = (started(0, 7), held(1), goal_set(1.5), message(1.6, "mentee"))


def silence(scores: Scorer, begin: int) -> SilentPeriods:
    snapshot = scores.snapshot
    return SilentPeriods(
        snapshot.aging, snapshot.active(begin), float(max(snapshot.meetings.bookings, default=0) > begin)
    )


def crossing(silence: SilentPeriods, begin: int, end: int, level: Level) -> int | None:
    return crossings(silence, np.array([begin]), np.array([end]), [level])[0]


def is_passed(scores: Scorer, level: Level, at: int) -> bool:
    return bool(level.is_passed(*scores.numbers(at)))


@pytest.mark.parametrize("level", [RISK, HEALTH])
@pytest.mark.parametrize("begin", [BEGIN, BEGIN + 1, BEGIN + SECOND - 1, BEGIN + 10 * DAY + 123_456])
def test_the_first_second_past_a_level_is_found_wherever_the_search_begins(level: Level, begin: int) -> None:
    scores = scorer(2, *MET)

    at = crossing(silence(scores, begin), begin, begin + 400 * DAY, level)

    assert at is not None
    assert at % SECOND == 0
    assert at > begin
    assert is_passed(scores, level, at)
    assert not is_passed(scores, level, at - SECOND)
    assert at == crossing(silence(scores, at - 1), at - 1, at, level)


@pytest.mark.parametrize("level", [RISK, HEALTH])
def test_a_level_that_is_passed_later_or_was_passed_before_is_not_crossed_in_between(level: Level) -> None:
    scores = scorer(2, *MET)
    at = crossing(silence(scores, BEGIN), BEGIN, BEGIN + 400 * DAY, level)
    assert at is not None

    assert crossing(silence(scores, BEGIN), BEGIN, at - 1, level) is None
    assert crossing(silence(scores, BEGIN), BEGIN, BEGIN, level) is None
    now, then = scores.scores(at), scores.scores(at + DAY)
    assert passed([level], now, then) == []
    assert passed([level], scores.scores(at - SECOND), now) == [level]


@given(stories(), profiles, st.integers(0, 40 * DAY), st.integers(1, 100), st.sampled_from([HEALTH, RISK]))
def test_of_whatever_history_the_second_found_is_the_first(
    story: Story, profiles: Profiles, later: int, percent: int, kind: Level
) -> None:
    scores = story.scorer(story.day, profiles)
    begin = micros(story.day) + later
    if not scores.snapshot.is_open(begin) or scores.snapshot.frame.pauses.spans or scores.snapshot.meetings.bookings:
        return
    level = kind._replace(bound=percent * ONE if kind.is_health else percent * ONE // 100)

    at = crossing(silence(scores, begin), begin, begin + 60 * DAY, level)

    full = begin // SECOND * SECOND
    if at is None:
        end = (begin + 60 * DAY) // SECOND * SECOND
        assert is_passed(scores, level, begin) or not is_passed(scores, level, end)
    else:
        assert is_passed(scores, level, at)
        assert at == full + SECOND or not is_passed(scores, level, at - SECOND)


def test_where_silence_hardly_weighs_no_level_is_crossed_before_the_end_of_time_and_nothing_overflows() -> None:
    silence_alone = Coefficients(base=-3, silence=0.001, elapsed=0, activity=0)
    slow = Profiles((Profile(version="slow", coefficients=silence_alone),))
    scores = scorer(2, *MET, profiles=slow)

    assert crossing(silence(scores, BEGIN), BEGIN, FOREVER, Level("never", is_health=False, bound=700_000)) is None
    last = scores.scores(FOREVER)
    assert all(math.isfinite(value) for value in last)
    assert last.health == 0
    assert last.quiet > 20


def test_what_a_stalling_goal_has_lifted_over_a_level_is_not_crossed_again_within_the_second_after() -> None:
    """Risk jumps where a goal begins to stall, which is at any fraction of a second."""
    events = (started(0), goal_set(0.004), started(33, 3, "again"))

    found = ScoreHistory(facts(*events), ALL_ON).rows(-1, micros(45))

    (stalled,) = [at for at, row in found.items() if "goal.stalled" in row.causes]
    crossed = [at for at, row in found.items() if at > stalled and "crossing.risk.0.7" in row.causes]
    assert found[stalled].evaluation.risk >= 700_000 > found[max(at for at in found if at < stalled)].evaluation.risk
    assert crossed == []
