"""The kernel has one source: compiled by numba and run as Python it says the same, to the last bit."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest

from services.scoring.domain.columns import columns_of, empty_window
from services.scoring.domain.kernel import batch
from services.scoring.domain.kernel.batch import Work
from services.scoring.domain.kernel.places import ENDS, PROFILE, Window
from services.scoring.domain.profiles import DEFAULT, Profiles
from tests.scoring.whole_logs import CHANGING, relationships

pytest.importorskip("numba", reason="numba is not installed (extra `fast`): nothing is compiled")

from services.scoring.fast.compiled import addresses, score_all
from services.scoring.fast.scored import scored_compiled, scored_in_python


@pytest.mark.parametrize("profiles", [DEFAULT, CHANGING], ids=["one version", "three versions"])
def test_the_scores_of_random_logs_are_equal(profiles: Profiles) -> None:
    columns = columns_of(relationships(900))

    compiled, in_python = scored_compiled(columns, profiles), scored_in_python(columns, profiles)

    assert len(columns.time) > 20_000
    assert list(compiled.health) == list(in_python.health)
    assert list(compiled.risk) == list(in_python.risk)


def test_windows_are_equal_bit_by_bit() -> None:
    """Not only the scores, which are rounded: every factor, share and feature."""
    for facts in relationships(150):
        columns, ours = columns_of([facts]), empty_window()
        told, theirs, to = addresses(columns), addresses(empty_window()), addresses(_work(len(facts)))

        batch.score_all(columns, ours, _work(len(facts)), 1, 1)
        score_all()(told.places, theirs.places, to.places, 1, 1)

        in_python: list[list[Any]] = [*ours]
        for name, compiled, own in zip(Window._fields, theirs.arrays, in_python, strict=True):
            assert _bits(compiled) == _bits(own), name


def _bits(values: Sequence[float]) -> bytes:
    return struct.pack(f"{len(values)}d", *values)


def _work(count: int) -> Work:
    return Work(DEFAULT.vectors[0], [0], [0.0] * PROFILE, [0] * ENDS, [0] * count, [0] * count)
