"""When nobody acknowledges: until when whoever looks after a programme has time, before the next one is asked."""

from datetime import time, timedelta
from typing import assert_never

from schemas.alerts import TransitionName, Urgency
from schemas.primitives import Instant
from services.notify.domain.working_hours import WorkCalendar

ASKING: frozenset[TransitionName] = frozenset({"fired", "escalated", "unstable"})
"""What somebody is to acknowledge."""
ANSWER_WITHIN = timedelta(minutes=30)
"""A P1: long enough to leave a meeting, short enough that nobody waits a night."""
NOON = time(12)
"""Of the working day after: whoever has read the digest of the morning has had half a day."""
_DAY = timedelta(days=1)


def escalates_at(urgency: Urgency, decided_at: Instant, calendar: WorkCalendar) -> Instant | None:
    """It follows from the decision: no rule or holiday that changes later moves it. None: a P3 never does."""
    match urgency:
        case "P1":
            return decided_at + ANSWER_WITHIN
        case "P2":
            day = calendar.working_day_from(calendar.local(decided_at).date() + _DAY)
            return calendar.instant_of(day, NOON)
        case "P3":
            return None
        case _:
            assert_never(urgency)
