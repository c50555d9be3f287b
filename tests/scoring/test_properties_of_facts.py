"""Properties of facts, independent of their score: properties 9 and 11."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.scoring.domain import bounds, memory
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Facts
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.kinds import GOALS, FactKind
from services.scoring.domain.layout import RelationshipState, facts_bytes
from services.scoring.domain.memory import SELECTED_PER_GROUP
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.score import FEATURES
from tests.scoring import building as b
from tests.scoring.effort import PROPERTY
from tests.scoring.strategies import ALL_ON, Story, later, stories


class Group(NamedTuple):
    """Kinds of facts, and which factors and features read them."""

    kinds: frozenset[int]
    factors: frozenset[str]
    features: frozenset[str] = frozenset()


OF_CONTACTS = frozenset({"silence", "pace", "history", "elapsed", "activity"})
GROUPS = (
    Group(
        frozenset({FactKind.SCHEDULED, FactKind.RESCHEDULED, FactKind.CANCELLED, FactKind.HELD, FactKind.MISSED}),
        frozenset({"rhythm", "reliability", "silence"}),
        OF_CONTACTS | {"missed", "cancelled_late", "booked"},
    ),
    Group(frozenset({FactKind.MESSAGE}), frozenset({"mutual", "responsiveness", "silence"}), OF_CONTACTS),
    Group(GOALS, frozenset({"goals"}), frozenset({"goal_stalled"})),
    Group(frozenset({FactKind.FEEDBACK, FactKind.CHECKIN}), frozenset({"feedback"}), frozenset({"rating_drop"})),
    Group(frozenset({FactKind.PULSE}), frozenset({"support"})),
    Group(
        frozenset({FactKind.CELEBRATED, FactKind.REFLECTION, FactKind.SKILL, FactKind.INTRODUCTION, FactKind.RESOURCE}),
        frozenset({"growth"}),
    ),
    Group(frozenset({FactKind.AGREED, FactKind.PREPARED}), frozenset({"expectations"})),
    Group(frozenset({FactKind.REQUESTED, FactKind.RESOLVED, FactKind.FIT}), frozenset()),
)


@pytest.fixture(scope="module", autouse=True)
def _small_bounds() -> Iterator[None]:
    """Bounds so small that a short story trims, fills groups and falls below the floor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "HORIZON", 12 * bounds.DAY)
        patch.setattr(bounds, "FLOOR", 6 * bounds.DAY)
        patch.setattr(bounds, "LOOKBACK", 5 * bounds.DAY)
        patch.setattr(bounds, "GROUP_CAPACITY", 5)
        patch.setattr(bounds, "CONTACT_DAYS", 5)
        patch.setattr("services.scoring.domain.evaluation.POINTS", (5, 3, 1))
        for name in memory.SELECTED_PER_GROUP:
            patch.setitem(memory.SELECTED_PER_GROUP, name, min(4, memory.SELECTED_PER_GROUP[name]))
        yield


@PROPERTY
@given(stories(beginnings=(b.started,)), later)
def test_to_remove_the_events_of_a_group_leaves_all_other_factors_alone(story: Story, days: float) -> None:
    """Property 9: of values, for weights are shared among the factors that have data; where a start was told, for else
    the first fact is the start. What changes the frame of all ages (starts, pauses, the end) is no group."""
    assume(any(story.facts[key].stands for key in story.of("started")[-SELECTED_PER_GROUP["started"] :]))
    values, features = _read(story, story.day + days)

    for group in GROUPS:
        rest = {key: fact for key, fact in story.facts.items() if key.kind not in group.kinds}
        values_without, features_without = _read(Story((rest,), story.day), story.day + days)

        assert _but(values_without, group.factors) == _but(values, group.factors)
        assert _but(features_without, group.features) == _but(features, group.features)


@PROPERTY
@given(stories(), st.integers(0, 2**32), later)
def test_any_order_repetition_and_grouping_of_the_facts_gives_the_same_bytes_and_rows(
    story: Story, seed: int, days: float
) -> None:
    """Property 11: rows above the floor, the bounds being small. A repeat comes later on the log."""
    rng, clock = Random(seed), b.micros(story.day + days)
    repeats = [_repeated(facts, len(story.stated) + n) for n, facts in enumerate(rng.choices(story.stated, k=4))]
    states = [RelationshipState(facts) for facts in (*story.stated, *repeats)]
    rng.shuffle(states)

    while len(states) > 1:
        number = rng.randrange(len(states) - 1)
        states[number : number + 2] = [states[number].merge(states[number + 1])]

    kept, true = states[0].facts, memory.trimmed(story.facts)
    assert facts_bytes(kept) == facts_bytes(true)
    since = ScoreHistory(kept, DEFAULT).index.floor(clock) - 1
    assert ScoreHistory(kept, DEFAULT).rows(since, clock) == ScoreHistory(story.facts, DEFAULT).rows(since, clock)


def _read(story: Story, day: float) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """The values of the factors, and the features of the model."""
    scorer = story.scorer(day, ALL_ON)
    found = scorer.evaluate(b.micros(day))
    features = scorer.features(b.micros(day))
    return {part.name: part.value for part in found.parts}, dict(zip(FEATURES, features, strict=True))


def _but(values: Mapping[str, float], names: frozenset[str]) -> Mapping[str, float]:
    return {name: value for name, value in values.items() if name not in names}


def _repeated(facts: Facts, position: int) -> Facts:
    return {key: fact if fact.position == NONE else fact._replace(position=position) for key, fact in facts.items()}
