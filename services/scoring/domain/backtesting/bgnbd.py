"""BG/NBD: how often a customer comes, who may drop out after any visit.

Fader, Hardie, Lee (2005): "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model, Marketing
Science 24(2). Visits come at a rate that is gamma(r, alpha) over customers; after each the customer drops out for good
with a probability that is beta(a, b) over customers."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

from services.scoring.domain.backtesting.cases import Past
from services.scoring.domain.backtesting.measures import Floats

BOUND = 12.0
"""Of the logarithms of the parameters: beyond e^12 nothing changes any more but rounding."""


class BgNbd(NamedTuple):
    r: float
    alpha: float
    a: float
    b: float


def fitted(past: Past) -> BgNbd:
    """By maximum likelihood."""
    start = np.log([1.0, max(1.0, float(np.median(past.age))), 1.0, 1.0])

    def loss(logs: Floats) -> float:
        return -float(log_likelihood(BgNbd(*np.exp(logs)), past).mean())

    found = minimize(loss, start, method="L-BFGS-B", bounds=[(-BOUND, BOUND)] * 4)
    return BgNbd(*map(float, np.exp(found.x)))


def log_likelihood(model: BgNbd, past: Past) -> Floats:
    """Of each customer's history: equation 6 of the paper."""
    r, alpha, a, b = model
    x = past.repeats
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
    result: Floats = common + np.logaddexp(_still_there(model, past, 0.0), _dropped_out(model, past))
    return result


def silent(model: BgNbd, past: Past, horizon: float) -> Floats:
    """P(no visit in the next `horizon` days): the likelihood of the same history seen so much longer, over that of the
    history as it is."""
    dropped = _dropped_out(model, past)
    longer = np.logaddexp(_still_there(model, past, horizon), dropped)
    result: Floats = np.exp(longer - np.logaddexp(_still_there(model, past, 0.0), dropped))
    return result


def _still_there(model: BgNbd, past: Past, horizon: float) -> Floats:
    result: Floats = -(model.r + past.repeats) * np.log(model.alpha + past.age + horizon)
    return result


def _dropped_out(model: BgNbd, past: Past) -> Floats:
    """Only a visit after the first can have been the last: without one the customer is still there."""
    again = past.repeats > 0
    x = np.where(again, past.repeats, 1.0)
    logs = np.log(model.a) - np.log(model.b + x - 1) - (model.r + x) * np.log(model.alpha + past.recency)
    return np.where(again, logs, -np.inf)
