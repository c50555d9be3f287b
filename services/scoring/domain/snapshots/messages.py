"""Messages: who carries the conversation, and how soon the other answers."""

import math
from typing import NamedTuple

from services.scoring.domain.bounds import HOUR
from services.scoring.domain.kinds import MENTOR
from services.scoring.domain.snapshots.frame import Pauses
from services.scoring.domain.snapshots.index import Entry, View

GROUPS = ("messages_by_mentor", "messages_by_mentee")

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

    newest: Entry | None
    mutual: float
    rated: int
    responsiveness: float
    replies: int


def messages(view: View, pauses: Pauses) -> Messages:
    rated = sorted(entry for name in GROUPS for entry in view.standing(name))[-RATED_MESSAGES:]
    by_mentor, replies, log_hours = sum(entry.slot == MENTOR for entry in rated), 0, 0.0
    asked = rated[0] if rated else None
    for entry in rated:
        if asked is not None and entry.slot != asked.slot:
            log_hours += math.log1p((pauses.active(entry.time) - pauses.active(asked.time)) / HOUR)
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
