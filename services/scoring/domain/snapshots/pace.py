"""Pace: how long the gaps between contact days usually are, and how much they vary."""

import math
from itertools import pairwise
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY
from services.scoring.domain.snapshots.frame import Frame
from services.scoring.domain.snapshots.index import View

GROUPS = ("held", "messages_by_mentor", "messages_by_mentee")

CADENCE_WEIGHT = 1.0
"""k0: the expected cadence counts like one observed gap."""
SPREAD = 0.8
"""s0: spread of log gaps that is expected before any was seen."""
SPREAD_WEIGHT = 4.0
"""nu: how many gaps that expectation is worth."""
_LOGS = tuple(math.log(max(1, days)) for days in range(400))
"""Most gaps are whole days, and no longer than the window."""


class Pace(NamedTuple):
    """`median` of the silences to come, in days, and the `shape` of their log-logistic; `contacts`: contact days looked
    at, at least 1."""

    median: float
    shape: float
    contacts: int


def pace(view: View, frame: Frame) -> Pace:
    days = view.contact_days(bounds.CONTACT_DAYS, bounds.CONTACT_WINDOW_DAYS)
    gaps = [_log_gap(frame, a, b) for a, b in pairwise(days)]
    mu = typical_gap(math.log(frame.cadence), len(gaps), math.fsum(gaps))
    return Pace(
        math.exp(mu), steepness(len(gaps), math.fsum((gap - mu) * (gap - mu) for gap in gaps)), max(1, len(days))
    )


def typical_gap(log_cadence: float, count: int, total: float) -> float:
    """mu: mean of the log gaps, the expected cadence counting as one of them."""
    return (CADENCE_WEIGHT * log_cadence + total) / (CADENCE_WEIGHT + count)


def steepness(count: int, squares: float) -> float:
    """The shape c of the log-logistic: pi / sqrt(3 var), var the predictive variance of the next log gap.
    `squares` is the sum of squared deviations of the log gaps from mu."""
    variance = (SPREAD_WEIGHT * SPREAD * SPREAD + squares) / (SPREAD_WEIGHT + count)
    variance *= 1.0 + 1.0 / (CADENCE_WEIGHT + count)
    return math.pi / math.sqrt(3.0 * variance)


def _log_gap(frame: Frame, a: int, b: int) -> float:
    if not frame.pauses.union and b - a < len(_LOGS):
        return _LOGS[b - a]
    days = (frame.pauses.active(b * DAY) - frame.pauses.active(a * DAY)) / DAY
    return math.log(max(1.0, days))
