"""Every row of the core equals that of the core before it within a millionth; the trend alone is defined anew."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.bounds import DAY
from services.scoring.domain.facts import Facts
from services.scoring.domain.history import History
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.row import Row
from tests.scoring import building as b
from tests.scoring.before.history import History as Before
from tests.scoring.before.profiles import Profiles as ProfilesBefore
from tests.scoring.before.row import Row as RowBefore
from tests.scoring.effort import PROPERTY
from tests.scoring.strategies import Story, profiles, stories
from tests.scoring.whole_logs import CHANGING, relationships


@PROPERTY
@given(stories(), profiles | st.just(CHANGING), st.sampled_from((0, 3, 45)))
def test_the_rows_of_a_story(story: Story, profiles: Profiles, days: float) -> None:
    assert differences(story.facts, profiles, b.micros(story.day + days)) == []


@pytest.mark.parametrize("profiles", [DEFAULT, CHANGING], ids=["one version", "three versions"])
def test_the_rows_of_random_logs(profiles: Profiles) -> None:
    for facts in relationships(60):
        assert differences(facts, profiles, max(facts).time + 20 * DAY) == []


def differences(facts: Facts, profiles: Profiles, upto: int) -> Sequence[tuple[int, object, object]]:
    """The first instants at which the two do not say the same."""
    before = Before(facts, ProfilesBefore(profiles.versions)).rows(-1, upto)
    now = History(facts, profiles).rows(-1, upto)
    return [
        (at, before.get(at), now.get(at))
        for at in sorted(before.keys() | now.keys())
        if not is_equal(before.get(at), now.get(at))
    ][:2]


def is_equal(before: RowBefore | None, now: Row | None) -> bool:
    if before is None or now is None:
        return False
    return is_near(said(before), said(now))


def said(row: Row | RowBefore) -> Sequence[Any]:
    evaluation = row.evaluation
    return [
        row._replace(evaluation=None, before=None, trend=0),  # type: ignore[arg-type]
        evaluation,
        evaluation.band,
        None if row.before is None else (row.before.at, row.before.evaluation),
    ]


def is_near(a: Any, b: Any) -> bool:  # noqa: ANN401
    """Whole numbers within one millionth, as which all numbers are told; everything else the same."""
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(is_near, a, b))
    if isinstance(a, int) and abs(a) < 10**12:
        return bool(abs(a - b) <= 1)
    return bool(a == b)
