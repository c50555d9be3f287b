"""The simpler rules that a model must beat. Each ranks the cases; its own calibration turns that into probabilities."""

from collections.abc import Mapping

import numpy as np

from services.scoring.domain.backtesting import bgnbd
from services.scoring.domain.backtesting.arrays import Floats
from services.scoring.domain.backtesting.bgnbd import BgNbd
from services.scoring.domain.backtesting.cases import Cases, Past, past_at
from services.scoring.domain.backtesting.logistic import Problem, fitted, log_odds, probability
from services.scoring.domain.backtesting.pairs import Histories
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


def mapped(score: Floats, faded: Floats, later: Floats) -> Floats:
    """The probabilities of the later scores, by a logistic curve through the earlier ones (Platt scaling)."""
    centre, spread = score.mean(), score.std() or 1.0
    curve = fitted(Problem(_design((score - centre) / spread), faded, [(-np.inf, np.inf), (0.0, np.inf)]))
    return probability(_design((later - centre) / spread) @ curve)


def pasts(histories: Histories, at: int) -> Past:
    """The contacts of all pairs that were in contact up to `at`: what BG/NBD learns from."""
    known = [pair.days[: pair.days_upto(at)] for pair in histories.pairs]
    columns = np.array([past_at(days, at // DAY) for days in known if days], dtype=float)
    return Past(*columns.T)


def _design(score: Floats) -> Floats:
    return np.column_stack([np.ones_like(score), score])
