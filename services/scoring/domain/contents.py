"""What an event's payload says, in the numbers that facts keep."""

import hashlib
from datetime import datetime
from typing import NamedTuple

from schemas import payloads as p
from schemas.primitives import to_micros
from services.scoring.domain.bounds import HOUR, MINUTE, UNSET
from services.scoring.domain.kinds import BOTH, LATE, PLAIN, SLOTS
from services.scoring.domain.millionths import ONE, millionths

LATE_NOTICE_HOURS = 24
"""A cancellation with less notice is late: the other's day was already planned."""
SMART_UNKNOWN = -1
FIT = {"not_good": 0, "undecided": 1, "good": 2}
IMMEDIATE = 1
_RATING = 4
"""Steps of the scale 1 to 5."""


class Content(NamedTuple):
    """`first` and `second` are times (or the cadence in microseconds), `ref` names a session, a pause or a request,
    0 none. `value`: millionths of a rating's or a progress's scale; SMART flags that are true; fit; priority."""

    first: int = UNSET
    second: int = UNSET
    ref: int = 0
    value: int = 0
    name: str = ""


def slot_of(data: p.Payload) -> int | None:
    """What chooses the fact's group besides its kind; None: such an event is no fact."""
    match data:
        case p.PulseAnswered(by="mentor") | p.CheckinAnswered(rating=None):
            return None  # Well-being is asked of mentees; a check-in without a rating says nothing a score could read.
        case p.GoalChanged(goal_id=goal_id):
            return reference(goal_id)
        case p.SessionMissed(absent=side):
            return SLOTS[side]
        case p.SessionCancelled(notice_hours=hours):
            return PLAIN if hours is None or hours >= LATE_NOTICE_HOURS else LATE
        case p.MilestoneCelebrated(by=actor):
            return SLOTS.get(actor, BOTH)
        case p.OneSided(by=side):
            return SLOTS[side]
        case _:
            return PLAIN


def content_of(data: p.Payload) -> Content:  # noqa: C901, PLR0911, PLR0912 (one case per payload)
    match data:
        case p.RelationshipStarted(cadence_days=days):
            return Content(first=UNSET if days is None else round(days * 24 * HOUR))
        case p.RelationshipPaused(pause_id=pause_id):
            return Content(_micros(data.from_), _micros(data.until), reference(pause_id))
        case p.RelationshipResumed(pause_id=pause_id):
            return Content(ref=0 if pause_id is None else reference(pause_id))
        case p.SessionScheduled(session_id=session_id, starts_at=start, ends_at=end):
            return Content(to_micros(start), to_micros(end), reference(session_id))
        case p.SessionHeld(session_id=session_id):
            begin = to_micros(data.started_at)
            return Content(begin, begin + round((data.minutes or 0) * MINUTE), reference(session_id))
        case p.SessionMissed(session_id=session_id) | p.SessionCancelled(session_id=session_id):
            return Content(ref=reference(session_id))
        case p.GoalSet(smart=smart):
            return Content(value=SMART_UNKNOWN if smart is None else sum(flag for _, flag in smart))
        case p.GoalProgressed(percent=percent):
            return Content(value=millionths(percent / 100))
        case p.FeedbackGiven(rating=rating, scale_min=low, scale_max=high):
            return Content(value=millionths((rating - low) / (high - low)))
        case p.CheckinAnswered(rating=rating) if rating is not None:
            return Content(value=(rating - 1) * ONE // _RATING)
        case p.PulseAnswered(rating=rating):
            return Content(value=(rating - 1) * ONE // _RATING)
        case p.FitRated(fit=fit):
            return Content(value=FIT[fit])
        case p.SupportRequested(request_id=name, priority=priority):
            return Content(ref=reference(name), value=IMMEDIATE if priority == "immediate" else 0, name=name)
        case p.SupportResolved(request_id=name):
            return Content(ref=reference(name))
        case _:
            return Content()


def reference(name: str) -> int:
    """A session, goal, pause or request id as a number in [1, 2^63)."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1 | 1


def _micros(moment: datetime | None) -> int:
    return UNSET if moment is None else to_micros(moment)
