"""Chances for people: what a term of the risk's log-odds adds to the chance itself."""

from math import exp, log

CERTAIN = 1e-9
"""Closer to 0 or 1 no chance is told apart."""


def chance_points(risk: float, log_odds: float) -> float:
    """By how many points of 100 the chance is higher than it would be without the term. Terms do not sum up: each is
    taken away alone."""
    bounded = min(1 - CERTAIN, max(CERTAIN, risk))
    without = 1 / (1 + exp(-(log(bounded / (1 - bounded)) - log_odds)))
    return 100 * (risk - without)
