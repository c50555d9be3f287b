"""Whole logs over flat arrays are scored as live does event by event."""

from collections.abc import Iterator

import pytest

from services.scoring.domain.columns import columns_of, empty_window
from services.scoring.domain.facts import Facts
from services.scoring.domain.kernel.batch import NO_SCORE, Work, score_all
from services.scoring.domain.kernel.places import ENDS, PROFILE
from services.scoring.domain.kinds import Kind
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.selector import Selector
from tests.scoring.whole_logs import CHANGING, relationships


@pytest.mark.parametrize("profiles", [DEFAULT, CHANGING], ids=["one version", "three versions"])
def test_a_log_is_scored_as_event_by_event(profiles: Profiles) -> None:
    known = relationships(300)

    whole = list(_at_once(known, profiles))

    assert whole == [score for facts in known for score in _event_by_event(facts, profiles)]


def test_a_window_that_grew_fact_by_fact_is_the_one_that_is_read_anew() -> None:
    for facts in relationships(40):
        grown = Selector(facts, DEFAULT)
        for at in sorted({key.time for key in facts}):
            anew = Selector(facts, DEFAULT).scorer(at)
            assert grown.scorer(at).features(at) == anew.features(at)
            assert grown.scorer(at).selection.window == anew.selection.window


def _at_once(known: list[Facts], profiles: Profiles) -> Iterator[tuple[int, int]]:
    count, vectors = sum(map(len, known)), [number for vector in profiles.vectors for number in vector]
    work = Work(vectors, profiles.changes, [0.0] * PROFILE, [0] * ENDS, [0] * count, [0] * count)
    score_all(columns_of(known), empty_window(), work, len(known), len(profiles.versions))
    return zip(work.health, work.risk, strict=True)


def _event_by_event(facts: Facts, profiles: Profiles) -> Iterator[tuple[int, int]]:
    """Health and risk at the time of each fact; an erasure leaves nothing to score."""
    selector, is_erased = Selector(facts, profiles), any(key.kind == Kind.ERASED for key in facts)
    for key in sorted(facts):
        scorer = selector.scorer(key.time)
        is_scored = scorer.selection.exists and not is_erased
        yield scorer.numbers(key.time) if is_scored else (NO_SCORE, NO_SCORE)
