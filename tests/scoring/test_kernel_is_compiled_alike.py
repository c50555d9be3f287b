"""The kernel has one source: over whole logs compiled by numba, over whole logs in Python, and event by event it says
the same, to the last bit."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

import pytest

from schemas.programs import Profile, Weights
from services.scoring.domain.columns import columns_of, empty_window
from services.scoring.domain.facts import Fact, Facts, Key, facts_of, merge_into
from services.scoring.domain.kernel import batch
from services.scoring.domain.kernel.batch import NO_SCORE, Work
from services.scoring.domain.kernel.places import ENDS, PROFILE, Window
from services.scoring.domain.kinds import Kind
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.selector import Selector
from tests.scoring import building as b
from tests.scoring.random_logs import random_log

pytest.importorskip("numba", reason="numba is not installed (extra `fast`): nothing is compiled")

from services.scoring.fast.compiled import addresses, score_all
from services.scoring.fast.scored import scored_compiled, scored_in_python

CHANGING = Profiles(
    (
        Profile(version="a"),
        Profile(version="b", effective_from=b.at(9), weights=Weights(growth=6, expectations=4), review_days=5),
        Profile(version="c", effective_from=b.at(21.3), weights=Weights(rhythm=0, feedback=0), cadence_days=2),
    )
)
BOTH = pytest.mark.parametrize("profiles", [DEFAULT, CHANGING], ids=["one version", "three versions"])


def relationships(seeds: range) -> list[Facts]:
    """Every third is of six random logs, so that there is more than a score looks at."""
    return [_facts([seed] if seed % 3 else range(6 * seed, 6 * seed + 6)) for seed in seeds]


@BOTH
def test_compiled_and_in_python_the_scores_of_random_logs_are_equal(profiles: Profiles) -> None:
    columns = columns_of(relationships(range(900)))

    compiled, in_python = scored_compiled(columns, profiles), scored_in_python(columns, profiles)

    assert len(columns.time) > 20_000
    assert list(compiled.health) == list(in_python.health)
    assert list(compiled.risk) == list(in_python.risk)


def test_compiled_and_in_python_the_windows_are_equal_bit_by_bit() -> None:
    """Not only the scores, which are rounded: every factor, share and feature."""
    for facts in relationships(range(150)):
        columns, ours = columns_of([facts]), empty_window()
        told, theirs, to = addresses(columns), addresses(empty_window()), addresses(_work(len(facts)))

        batch.score_all(columns, ours, _work(len(facts)), 1, 1)
        score_all()(told.places, theirs.places, to.places, 1, 1)

        in_python: list[list[Any]] = [*ours]
        for name, compiled, own in zip(Window._fields, theirs.arrays, in_python, strict=True):
            assert _bits(compiled) == _bits(own), name


@BOTH
def test_whole_logs_are_scored_as_live_does_event_by_event(profiles: Profiles) -> None:
    known = relationships(range(300))
    columns = columns_of(known)
    scores = scored_in_python(columns, profiles)

    live = [score for facts in known for score in _event_by_event(facts, profiles)]

    assert list(zip(scores.health, scores.risk, strict=True)) == live


def _facts(seeds: Iterable[int]) -> Facts:
    known: dict[Key, Fact] = {}
    for seed in seeds:
        for offset, (_, event) in enumerate(random_log(Random(seed))):
            merge_into(known, facts_of(event, offset))
    return known


def _event_by_event(facts: Facts, profiles: Profiles) -> Iterator[tuple[int, int]]:
    """Health and risk at the time of each fact; an erasure leaves nothing to score."""
    selector, is_erased = Selector(facts, profiles), any(key.kind == Kind.ERASED for key in facts)
    for key in sorted(facts):
        scorer = selector.scorer(key.time)
        is_scored = scorer.selection.exists and not is_erased
        yield scorer.numbers(key.time) if is_scored else (NO_SCORE, NO_SCORE)


def _bits(values: Sequence[float]) -> bytes:
    return struct.pack(f"{len(values)}d", *values)


def _work(count: int) -> Work:
    return Work(DEFAULT.vectors[0], [0], [0.0] * PROFILE, [0] * ENDS, [0] * count, [0] * count)
