"""Which part of a calendar is read, and when it is read anew because time went on."""

from datetime import datetime, timedelta

from schemas.primitives import to_rfc3339

# What is moved or cancelled after its time is still told; older entries are history.
BEHIND = timedelta(days=14)
# People book a series for half a year; one without an end would go on for ever.
AHEAD = timedelta(days=270)
# The end of what is read moves on with each reading from the beginning: what lies so near is always known.
ANEW_AFTER = timedelta(days=30)


def window(now: datetime) -> tuple[str, str]:
    return to_rfc3339(now - BEHIND), to_rfc3339(now + AHEAD)


def is_due_anew(whole: datetime, now: datetime) -> bool:
    return now - whole > ANEW_AFTER
