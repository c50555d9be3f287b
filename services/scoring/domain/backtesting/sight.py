"""What the live scoring sees of a pair at past instants. Everything that a backtest knows of scores comes from here."""

from collections.abc import Sequence

import numpy as np

from services.scoring.domain.backtesting.arrays import Floats
from services.scoring.domain.evaluation import Moment, features, scores_of
from services.scoring.domain.facts import Facts
from services.scoring.domain.millionths import ONE
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import FEATURES
from services.scoring.domain.snapshots.timeline import Timeline


class Sight:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self._timeline = Timeline(facts, profiles)

    def is_watched(self, begin: int, end: int) -> bool:
        """Whether the pair was neither paused nor ended in between, as the facts up to `end` tell: what a leave or a
        planned end does is no fading."""
        snapshot = self._timeline.at(end)
        return snapshot.is_open(end) and not any(
            low < end and begin < high for low, high in snapshot.frame.pauses.spans
        )

    def scores(self, instants: Sequence[int]) -> tuple[Floats, Floats]:
        """A row per instant: the unit features of the risk, in the order of score.FEATURES; and health in points."""
        moments = [Moment(self._timeline.at(at), at) for at in instants]
        found = scores_of(moments)
        rows = [features(moment.snapshot, scores) for moment, scores in zip(moments, found, strict=True)]
        health = np.array([scores.health / ONE for scores in found], dtype=np.float64)
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES)), health
