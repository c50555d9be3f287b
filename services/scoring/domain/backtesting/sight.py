"""What the live scoring sees of a pair at past instants. Everything that a backtest knows of scores comes from here."""

from collections.abc import Sequence

import numpy as np

from services.scoring.domain.backtesting.arrays import Floats
from services.scoring.domain.evaluation import FEATURES
from services.scoring.domain.facts import Facts
from services.scoring.domain.millionths import ONE
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.selector import Selector


class Sight:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self._selector = Selector(facts, profiles)

    def is_watched(self, begin: int, end: int) -> bool:
        """Whether the pair was neither paused nor ended in between, as the facts up to `end` tell: what a leave or a
        planned end does is no fading."""
        selection = self._selector.at(end)
        pauses = zip(selection.window.pause_begin, selection.window.pause_end, strict=True)
        return selection.is_open(end) and not any(low < end and begin < high for low, high in pauses)

    def features(self, instants: Sequence[int]) -> Floats:
        """A row per instant: the unit features of the risk, in the order of FEATURES."""
        found = [self._selector.scorer(at).features(at) for at in instants]
        return np.array(found, dtype=np.float64).reshape(len(found), len(FEATURES))

    def health(self, instants: Sequence[int]) -> Floats:
        """In points."""
        return np.array([self._selector.scorer(at).numbers(at)[0] / ONE for at in instants], dtype=np.float64)
