"""The scores of whole histories: compiled where numba is installed, else by the same kernel in Python."""

import importlib.util
from typing import NamedTuple

import numpy as np

from services.scoring.domain.columns import empty_window
from services.scoring.domain.kernel import batch
from services.scoring.domain.kernel.batch import Work
from services.scoring.domain.kernel.places import ENDS, PROFILE, Columns
from services.scoring.domain.profiles import Profiles
from services.scoring.fast.lines import Whole


class Scores(NamedTuple):
    """Beside each fact, in millionths: of its relationship at its time; batch.NO_SCORE where nothing stands."""

    health: Whole
    risk: Whole


def is_compiled() -> bool:
    return importlib.util.find_spec("numba") is not None


def scored(columns: Columns, profiles: Profiles) -> Scores:
    if is_compiled():
        return scored_compiled(columns, profiles)
    return scored_in_python(columns, profiles)


def scored_in_python(columns: Columns, profiles: Profiles) -> Scores:
    listed = Columns(*(list(map(int, sequence)) for sequence in columns))
    work = _work(listed, profiles)
    batch.score_all(listed, empty_window(), work, len(listed.fact_begin) - 1, len(profiles.versions))
    return Scores(np.array(work.health, dtype=np.int64), np.array(work.risk, dtype=np.int64))


def scored_compiled(columns: Columns, profiles: Profiles) -> Scores:
    from services.scoring.fast.compiled import addresses, score_all  # noqa: PLC0415 (numba is an extra of its own)

    told, room, work = addresses(columns), addresses(empty_window()), addresses(_work(columns, profiles))
    score_all()(told.places, room.places, work.places, len(columns.fact_begin) - 1, len(profiles.versions))
    written = dict(zip(Work._fields, work.arrays, strict=True))
    return Scores(written["health"], written["risk"])


def _work(columns: Columns, profiles: Profiles) -> Work:
    count = len(columns.time)
    vectors = [number for vector in profiles.vectors for number in vector]
    return Work(vectors, profiles.changes or [0], [0.0] * PROFILE, [0] * ENDS, [0] * count, [0] * count)
