"""Evaluations of one relationship, remembered for a while: rows and trends ask for the same instants again."""

from services.scoring.domain.bounds import DAY
from tests.scoring.before.evaluation import Evaluation
from tests.scoring.before.selector import Selector
from tests.scoring.before.trend import POINTS, trend

REMEMBERED = 4
"""Evaluations kept per relationship: a row's deltas read the one before."""
REMEMBERED_HEALTH = 64
"""Values of health kept per relationship: trends read four weeks of days again."""


class Evaluations:
    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._evaluations: dict[int, Evaluation | None] = {}
        self._healths: dict[int, int] = {}

    def forget(self, since: int) -> None:
        """A fact came at that instant: nothing is known any more from there on."""
        self._evaluations = {at: known for at, known in self._evaluations.items() if at < since}
        self._healths = {at: health for at, health in self._healths.items() if at < since}

    def at(self, at: int) -> Evaluation | None:
        """None where nothing stands."""
        if at not in self._evaluations:
            if len(self._evaluations) >= REMEMBERED:
                del self._evaluations[next(iter(self._evaluations))]
            scorer = self._selector.scorer(at)
            self._evaluations[at] = scorer.evaluate(at) if scorer.selection.exists else None
        return self._evaluations[at]

    def trend(self, at: int, health: int) -> int:
        self._healths[at] = health
        while len(self._healths) > REMEMBERED_HEALTH:
            del self._healths[next(iter(self._healths))]
        earlier = [(days, self._health(at - days * DAY)) for days in POINTS]
        return trend([(-days, then) for days, then in earlier if then is not None] + [(0, health)])

    def _health(self, at: int) -> int | None:
        if at in self._healths:
            return self._healths[at]
        scorer = self._selector.scorer(at)
        return scorer.numbers(at)[0] if scorer.selection.exists else None
