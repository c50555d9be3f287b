"""The arithmetic of scores: plain numbers in, plain numbers out, no objects, no clock."""

import math

# --- Health ---------------------------------------------------------------------------------------------------------
HELD_PRIOR = 1.7
"""Kept meetings that a new relationship is credited with, of OUTCOME_PRIOR: 85 %, the usual attendance."""
OUTCOME_PRIOR = 2.0
CANCELLED_SHARE = 0.5
"""A cancellation is half a missed meeting: the other was told."""
SILENCE_CADENCES = 3.0
"""Silence costs nothing up to three usual intervals: one skipped meeting is no silence."""

# --- Disengagement, the logistic silence model ------------------------------------------------------------------------
CADENCE_WEIGHT = 1.0
"""k0: the expected cadence counts like one observed gap."""
SPREAD = 0.8
"""s0: spread of log gaps that is expected before any was seen."""
SPREAD_WEIGHT = 4.0
"""nu: how many gaps that expectation is worth."""
LEAST_SILENCE_DAYS = 0.5
BASE, SILENCE_COEFFICIENT, PACE_COEFFICIENT, HISTORY_COEFFICIENT = 0.5, 0.9, 0.55, 1.3
"""b0..b3, fitted on seven public temporal contact data sets (mean AUC 0.754, Brier 0.180)."""


def fresh(age: float) -> float:
    """1 up to one interval, then halved with every further one."""
    return 1.0 if age <= 1.0 else 2.0 ** (1.0 - age)


def reliability(held: int, missed: int, cancelled: int) -> float:
    return (HELD_PRIOR + held) / (OUTCOME_PRIOR + held + missed + CANCELLED_SHARE * cancelled)


def mutual(by_mentor: int, by_mentee: int) -> float:
    return 2.0 * (1 + min(by_mentor, by_mentee)) / (2 + by_mentor + by_mentee)


def typical_gap(log_cadence: float, count: int, total: float) -> float:
    """mu: mean of the log gaps, the expected cadence counting as one of them."""
    return (CADENCE_WEIGHT * log_cadence + total) / (CADENCE_WEIGHT + count)


def steepness(count: int, squares: float) -> float:
    """The shape c of the log-logistic: pi / sqrt(3 var), var the predictive variance of the next log gap.
    `squares` is the sum of squared deviations of the log gaps from mu."""
    variance = (SPREAD_WEIGHT * SPREAD**2 + squares) / (SPREAD_WEIGHT + count) * (1 + 1 / (CADENCE_WEIGHT + count))
    return math.pi / math.sqrt(3 * variance)


def silence_term(silence_days: float, median_days: float, shape: float) -> float:
    return SILENCE_COEFFICIENT * math.log1p((silence_days / median_days) ** shape)


def pace_term(median_days: float, horizon_days: float) -> float:
    return PACE_COEFFICIENT * math.log(median_days / horizon_days)


def history_term(contact_days: int) -> float:
    return -HISTORY_COEFFICIENT * math.log1p(contact_days)


def probability(predictor: float) -> float:
    """1 / (1 + exp(-L)), without overflow at either end."""
    if predictor >= 0:
        return 1.0 / (1.0 + math.exp(-predictor))
    grown = math.exp(predictor)
    return grown / (1.0 + grown)
