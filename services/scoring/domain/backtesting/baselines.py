"""The simpler rules that a model must beat. Each ranks the cases; a calibration of its own turns ranks into
probabilities.

BG/NBD: how often a customer comes, who may drop out after any visit.

Fader, Hardie, Lee (2005): "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model, Marketing
Science 24(2). Visits come at a rate that is gamma(r, alpha) over customers; after each the customer drops out for good
with a probability that is beta(a, b) over customers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

from services.scoring.domain.backtesting.calibration import (
    WeightedProblem,
    age_weights,
    log_odds,
    minimize_loss,
    probability,
)
from services.scoring.domain.backtesting.cases import Cases, ContactSummary, PairHistories, contact_summary
from services.scoring.domain.backtesting.measures import Floats
from services.scoring.domain.bounds import DAY

RULE_DAYS = 30
"""The rule of thumb: follow up after a month without contact."""
MIN_SILENCE_DAYS = 0.5
"""As in the model: finer differences mean nothing."""
BOUND = 12.0
"""Of the logarithms of the parameters: beyond e^12 only rounding changes."""


class BgNbd(NamedTuple):
    r: float
    alpha: float
    a: float
    b: float


def fit_bgnbd(summary: ContactSummary) -> BgNbd:
    """By maximum likelihood."""
    start = np.log([1.0, max(1.0, float(np.median(summary.age))), 1.0, 1.0])

    def loss(logs: Floats) -> float:
        return -float(log_likelihood(BgNbd(*np.exp(logs)), summary).mean())

    found = minimize(loss, start, method="L-BFGS-B", bounds=[(-BOUND, BOUND)] * 4)
    return BgNbd(*map(float, np.exp(found.x)))


def log_likelihood(model: BgNbd, summary: ContactSummary) -> Floats:
    """Of each customer's history: equation 6 of the paper."""
    r, alpha, a, b = model
    x = summary.repeats
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
    result: Floats = common + np.logaddexp(_still_there(model, summary, 0.0), _dropped_out(model, summary))
    return result


def silent(model: BgNbd, summary: ContactSummary, horizon: float) -> Floats:
    """P(no visit in the next `horizon` days): the likelihood of the same history observed that much longer, over that
    of the history itself."""
    dropped = _dropped_out(model, summary)
    longer = np.logaddexp(_still_there(model, summary, horizon), dropped)
    result: Floats = np.exp(longer - np.logaddexp(_still_there(model, summary, 0.0), dropped))
    return result


def _still_there(model: BgNbd, summary: ContactSummary, horizon: float) -> Floats:
    result: Floats = -(model.r + summary.repeats) * np.log(model.alpha + summary.age + horizon)
    return result


def _dropped_out(model: BgNbd, summary: ContactSummary) -> Floats:
    """Only a visit after the first can have been the last: without one the customer has not dropped out."""
    again = summary.repeats > 0
    x = np.where(again, summary.repeats, 1.0)
    logs = np.log(model.a) - np.log(model.b + x - 1) - (model.r + x) * np.log(model.alpha + summary.recency)
    return np.where(again, logs, -np.inf)


def scores(cases: Cases, model: BgNbd, horizon_days: int) -> Mapping[str, Floats]:
    """Higher means likelier to fade."""
    silence = np.maximum(MIN_SILENCE_DAYS, cases.silence)
    return {
        "30-day rule": (cases.silence > RULE_DAYS).astype(float),
        "recency": np.log(silence),
        "own mean gap": np.log(silence / (cases.recency / cases.repeats)),
        "BG/NBD": log_odds(silent(model, cases.summary, horizon_days)),
        "100 - health": 100.0 - cases.health,
    }


def predicted(
    histories: PairHistories, horizon_days: int, earlier: Cases, later: Cases, at: int
) -> Mapping[str, Floats]:
    """Predictions of the later cases, by rule; everything is learnt from what was over at the instant `at`."""
    model = fit_bgnbd(contact_summaries(histories, at))
    earlier_scores, later_scores = (scores(cases, model, horizon_days) for cases in (earlier, later))
    weight = age_weights(earlier.at)
    return {name: mapped(earlier_scores[name], earlier.faded, later_scores[name], weight) for name in later_scores}


def mapped(score: Floats, faded: Floats, later: Floats, weight: Floats | float = 1.0) -> Floats:
    """Probabilities of the later scores, by a logistic curve through the earlier ones (Platt scaling)."""
    centre, spread = score.mean(), score.std() or 1.0
    bounds = [(-np.inf, np.inf), (0.0, np.inf)]
    curve = minimize_loss(WeightedProblem(_design((score - centre) / spread), faded, bounds, weight=weight))
    return probability(_design((later - centre) / spread) @ curve)


def contact_summaries(histories: PairHistories, at: int) -> ContactSummary:
    """The contacts of all pairs that were in contact up to `at`: the input of BG/NBD."""
    earlier_scores = [pair.days[: pair.days_upto(at)] for pair in histories.pairs]
    columns = np.array([contact_summary(days, at // DAY) for days in earlier_scores if days], dtype=float)
    return ContactSummary(*columns.T)


def _design(score: Floats) -> Floats:
    return np.column_stack([np.ones_like(score), score])
