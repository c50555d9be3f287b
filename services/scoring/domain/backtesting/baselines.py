"""The simpler rules that a model must beat. Each ranks the cases; its own calibration turns that into probabilities."""

from collections.abc import Mapping

import numpy as np

from services.scoring.domain.backtesting import bgnbd
from services.scoring.domain.backtesting.bgnbd import BgNbd
from services.scoring.domain.backtesting.calibration import age_weights
from services.scoring.domain.backtesting.cases import Cases, Past, past_at
from services.scoring.domain.backtesting.logistic import WeightedProblem, fitted, log_odds, probability
from services.scoring.domain.backtesting.measures import Floats
from services.scoring.domain.backtesting.pairs import PairHistories
from services.scoring.domain.bounds import DAY

RULE_DAYS = 30
"""The rule of thumb: after a month without contact somebody asks."""
LEAST_SILENCE_DAYS = 0.5
"""As in the model: finer differences mean nothing."""


def scores(cases: Cases, model: BgNbd, horizon_days: int) -> Mapping[str, Floats]:
    """Higher means likelier to fade."""
    silence = np.maximum(LEAST_SILENCE_DAYS, cases.silence)
    return {
        "30-day rule": (cases.silence > RULE_DAYS).astype(float),
        "recency": np.log(silence),
        "own mean gap": np.log(silence / (cases.recency / cases.repeats)),
        "BG/NBD": log_odds(bgnbd.silent(model, cases.past, horizon_days)),
        "100 - health": 100.0 - cases.health,
    }


def predicted(
    histories: PairHistories, horizon_days: int, earlier: Cases, later: Cases, at: int
) -> Mapping[str, Floats]:
    """Of the later cases, by rule; everything is learnt from what was over at the instant `at`."""
    model = bgnbd.fitted(pasts(histories, at))
    known, asked = (scores(cases, model, horizon_days) for cases in (earlier, later))
    weight = age_weights(earlier.at)
    return {name: mapped(known[name], earlier.faded, asked[name], weight) for name in asked}


def mapped(score: Floats, faded: Floats, later: Floats, weight: Floats | float = 1.0) -> Floats:
    """The probabilities of the later scores, by a logistic curve through the earlier ones (Platt scaling)."""
    centre, spread = score.mean(), score.std() or 1.0
    bounds = [(-np.inf, np.inf), (0.0, np.inf)]
    curve = fitted(WeightedProblem(_design((score - centre) / spread), faded, bounds, weight=weight))
    return probability(_design((later - centre) / spread) @ curve)


def pasts(histories: PairHistories, at: int) -> Past:
    """The contacts of all pairs that were in contact up to `at`: what BG/NBD learns from."""
    known = [pair.days[: pair.days_upto(at)] for pair in histories.pairs]
    columns = np.array([past_at(days, at // DAY) for days in known if days], dtype=float)
    return Past(*columns.T)


def _design(score: Floats) -> Floats:
    return np.column_stack([np.ones_like(score), score])
