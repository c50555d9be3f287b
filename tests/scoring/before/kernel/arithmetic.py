"""The formulas: plain numbers in, plain numbers out."""

import math

LN2 = math.log(2.0)
DAY = 24 * 3600 * 1_000_000
"""Microseconds."""

# --- Health ----------------------------------------------------------------------------------------------------------
HELD_PRIOR = 1.7
"""Kept meetings that a new relationship is credited with, of OUTCOME_PRIOR: 85 %, the usual attendance."""
OUTCOME_PRIOR = 2.0
CANCELLED_SHARE = 0.5
"""A cancellation is half a missed meeting: the other was told."""
SILENCE_CADENCES = 3.0
"""Silence costs nothing up to three usual intervals: one skipped meeting is no silence."""
SMART_LEAST, SMART_STEP, SMART_FULL = 0.6, 0.08, 1.0
"""A goal counts by its SMART flags, 0.6 for none to 1 for all five; unknown flags are no fault."""
RECENT_SHARE, GOALS_SHARE = 0.6, 0.4
"""Of the goals factor: how lately anything changed, and how far the goals are."""
REPLY_HOURS = 24.0
"""A reply within the day is as good as one at once."""
REPLY_SLACK_HOURS = 72.0
REPLY_PRIOR = 2.0
"""Replies within a day that a new relationship is credited with."""
EXPECTED_WITHIN_DAYS = 14.0
"""So long a relationship may take to agree on expectations and to prepare; three things are to be done."""
EXPECTED_THINGS = 3

# --- Disengagement, the logistic silence model -----------------------------------------------------------------------
CADENCE_WEIGHT = 1.0
"""k0: the expected cadence counts like one observed gap."""
SPREAD = 0.8
"""s0: spread of log gaps that is expected before any was seen."""
SPREAD_WEIGHT = 4.0
"""nu: how many gaps that expectation is worth."""
LEAST_SILENCE_DAYS = 0.5
LONGEST_SILENCE = 600.0
"""ln of the longest silence in usual gaps: what takes longer does not happen, and must not overflow."""
STALLED_REVIEWS = 2.0
"""A goal is stalled when nothing changed for so many review periods."""


def fresh(age: float) -> float:
    """1 up to one interval, then halved with every further one."""
    return 1.0 if age <= 1.0 else math.exp(LN2 * (1.0 - age))


def reliability(held: int, missed: int, cancelled: int) -> float:
    return (HELD_PRIOR + held) / (OUTCOME_PRIOR + held + missed + CANCELLED_SHARE * cancelled)


def mutual(by_mentor: int, by_mentee: int) -> float:
    return 2.0 * (1 + min(by_mentor, by_mentee)) / (2 + by_mentor + by_mentee)


def responsiveness(turns: int, log_hours: float) -> float:
    """`log_hours`: the sum of ln(1 + reply hours) over the turns."""
    typical = math.expm1((REPLY_PRIOR * math.log(1.0 + REPLY_HOURS) + log_hours) / (REPLY_PRIOR + turns))
    return 1.0 / (1.0 + max(0.0, typical - REPLY_HOURS) / REPLY_SLACK_HOURS)


def rated(total: float, count: int) -> float:
    """One side's ratings, of 0 to 1 each; one full rating is credited."""
    return (1.0 + total) / (1.0 + count)


def both_sides(a: float, b: float) -> float:
    """The less content side counts more: one happy side is no happy pair."""
    return 0.5 * min(a, b) + 0.25 * (a + b)


def smart(flags: int) -> float:
    """`flags`: how many of the five are true; below 0: unknown."""
    return SMART_FULL if flags < 0 else SMART_LEAST + SMART_STEP * flags


def expectations(done: int, days: float) -> float:
    """`done` of the three things; the others are not yet missed in the first days."""
    return (done + (EXPECTED_THINGS - done) * fresh(days / EXPECTED_WITHIN_DAYS)) / EXPECTED_THINGS


def typical_gap(log_cadence: float, count: int, total: float) -> float:
    """mu: mean of the log gaps, the expected cadence counting as one of them."""
    return (CADENCE_WEIGHT * log_cadence + total) / (CADENCE_WEIGHT + count)


def steepness(count: int, squares: float) -> float:
    """The shape c of the log-logistic: pi / sqrt(3 var), var the predictive variance of the next log gap.
    `squares` is the sum of squared deviations of the log gaps from mu."""
    variance = (SPREAD_WEIGHT * SPREAD * SPREAD + squares) / (SPREAD_WEIGHT + count)
    variance *= 1.0 + 1.0 / (CADENCE_WEIGHT + count)
    return math.pi / math.sqrt(3.0 * variance)


def silence(days: float, median_days: float, shape: float) -> float:
    """ln(1 + (s/m)^c), s at least half a day."""
    return math.log1p(math.exp(shape * math.log(max(LEAST_SILENCE_DAYS, days) / median_days)))


def probability(predictor: float) -> float:
    """1 / (1 + exp(-L)), without overflow at either end."""
    if predictor >= 0.0:
        return 1.0 / (1.0 + math.exp(-predictor))
    grown = math.exp(predictor)
    return grown / (1.0 + grown)


def silence_at(level: float, others: float, coefficient: float, median_days: float, shape: float) -> float:
    """The days of silence s* at which the probability reaches `level`, `others` being the predictor without its silence
    term; 0 where it is past the level without any silence. `level` in (0, 1), `coefficient` above 0."""
    r = (math.log(level / (1.0 - level)) - others) / coefficient
    if r <= 0.0:
        return 0.0
    # ln(e^r - 1), written so that a small coefficient, which makes r large, cannot overflow.
    return median_days * math.exp(min(LONGEST_SILENCE, (r + math.log(-math.expm1(-r))) / shape))


def rounded(value: float) -> int:
    """In whole millionths, halves upward."""
    return math.floor(value * 1e6 + 0.5)
