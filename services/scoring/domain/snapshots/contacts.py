"""Contacts: who carries the conversation, how soon the other answers; how long the gaps between contact days usually
are, how much they vary, and how many days are recent."""

import math
from itertools import pairwise
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, HOUR
from services.scoring.domain.kinds import MENTOR
from services.scoring.domain.snapshots.frame import Frame, Pauses
from services.scoring.domain.snapshots.index import IndexedFact, View

MESSAGE_GROUPS = ("messages_by_mentor", "messages_by_mentee")

RATED_MESSAGES = 24
LEAST_MESSAGES = 4
"""Fewer messages say nothing about who carries the conversation."""
REPLY_HOURS = 24.0
"""A reply within the day is as good as one at once."""
REPLY_SLACK_HOURS = 72.0
REPLY_PRIOR = 2.0
"""Replies within a day that a new relationship is credited with."""


class Messages(NamedTuple):
    """`newest` of either side. `rated`: how many messages mutual rests on, 0 for too few; `replies` likewise."""

    newest: IndexedFact | None
    mutual: float
    rated: int
    responsiveness: float
    replies: int


def messages(view: View, pauses: Pauses) -> Messages:
    by_side = [view.standing(name) for name in MESSAGE_GROUPS]
    rated = sorted([*by_side[0], *by_side[1]])[-RATED_MESSAGES:]
    by_mentor, replies, log_hours = 0, 0, 0.0
    asked, active = rated[0] if rated else None, pauses.active if pauses.union else None
    for entry in rated:
        by_mentor += entry.slot == MENTOR
        if asked is not None and entry.slot != asked.slot:
            took = entry.time - asked.time if active is None else active(entry.time) - active(asked.time)
            log_hours += math.log1p(took / HOUR)
            replies += 1
            asked = entry
    return Messages(
        newest=rated[-1] if rated else None,
        mutual=mutual(by_mentor, len(rated) - by_mentor),
        rated=len(rated) if len(rated) >= LEAST_MESSAGES else 0,
        responsiveness=responsiveness(replies, log_hours),
        replies=replies,
    )


def mutual(by_mentor: int, by_mentee: int) -> float:
    return 2.0 * (1 + min(by_mentor, by_mentee)) / (2 + by_mentor + by_mentee)


def responsiveness(replies: int, log_hours: float) -> float:
    """`log_hours`: the sum of ln(1 + reply hours) over the replies."""
    typical = math.expm1((REPLY_PRIOR * math.log(1.0 + REPLY_HOURS) + log_hours) / (REPLY_PRIOR + replies))
    return 1.0 / (1.0 + max(0.0, typical - REPLY_HOURS) / REPLY_SLACK_HOURS)


GROUPS = ("held", *MESSAGE_GROUPS)

CADENCE_WEIGHT = 1.0
"""k0: the expected cadence counts like one observed gap."""
SPREAD = 0.8
"""s0: spread of log gaps that is expected before any was seen."""
SPREAD_WEIGHT = 4.0
"""nu: how many gaps that expectation is worth."""
RECENT_HALVED_DAYS = 30.0
"""A contact day counts half as recent for every so many days between it and the newest one."""
_LOGS = tuple(math.log(max(1, days)) for days in range(400))
"""Most gaps are whole days, and no longer than the window."""
_RECENT = tuple(math.exp2(-days / RECENT_HALVED_DAYS) for days in range(400))


class Pace(NamedTuple):
    """`median` of the silences to come, in days, and the `shape` of their log-logistic. Two features of the model:
    `history`, ln(1 + contact days looked at, at least 1), and `activity`, ln(1 + as many as they are worth by their age
    when the newest one was)."""

    median: float
    shape: float
    history: float
    activity: float


def pace(view: View, frame: Frame) -> Pace:
    days = view.contact_days(bounds.CONTACT_DAYS, bounds.CONTACT_WINDOW_DAYS)
    if frame.pauses.union or (days and days[-1] - days[0] >= len(_LOGS)):
        gaps = [_log_gap(frame, a, b) for a, b in pairwise(days)]
        recent = [math.exp2(-_active_days(frame, day, days[-1]) / RECENT_HALVED_DAYS) for day in days]
    else:
        gaps = [_LOGS[b - a] for a, b in pairwise(days)]
        recent = [_RECENT[days[-1] - day] for day in days]
    mu = typical_gap(math.log(frame.cadence), len(gaps), math.fsum(gaps))
    shape = steepness(len(gaps), math.fsum([(gap - mu) * (gap - mu) for gap in gaps]))
    return Pace(math.exp(mu), shape, math.log1p(max(1, len(days))), math.log1p(math.fsum(recent)))


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
    return math.log(max(1.0, _active_days(frame, a, b)))


def _active_days(frame: Frame, a: int, b: int) -> float:
    """Between two days."""
    return (frame.pauses.active(b * DAY) - frame.pauses.active(a * DAY)) / DAY
