"""What the answer of a receiver means: arrived, again later, or never."""

from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

from schemas.primitives import Instant

RETRYABLE = frozenset({408, 425, 429})
"""Beside 5xx: timeout, too early, too many requests. Every other 4xx says that a repeat changes nothing."""
LONGEST_SECONDS = 10 * 24 * 3600
"""Longer than any delivery is kept trying."""
LONGEST_NUMBER, LONGEST_DATE = 9, 100
"""Characters; a header may have a hundred thousand."""


@dataclass(frozen=True)
class Arrived:
    status: str


@dataclass(frozen=True)
class Again:
    """`wait`: what the receiver asked for (Retry-After), if it did."""

    status: str
    wait: timedelta | None = None


@dataclass(frozen=True)
class Never:
    status: str


Verdict = Arrived | Again | Never


def of_answer(code: int, retry_after: str | None, now: Instant) -> Verdict:
    status = f"HTTP {code}"
    match code // 100:
        case 2:
            return Arrived(status)
        case 3:
            return Never(f"{status}: redirects are not followed")
        case 5:
            return Again(status, _wait(retry_after, now))
        case _:
            return Again(status, _wait(retry_after, now)) if code in RETRYABLE else Never(status)


def _wait(retry_after: str | None, now: Instant) -> timedelta | None:
    """RFC 9110: seconds, or a date. Anything else counts as not said."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return timedelta(seconds=min(int(retry_after[:LONGEST_NUMBER]), LONGEST_SECONDS))
    try:
        wait = parsedate_to_datetime(retry_after[:LONGEST_DATE]) - now
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None
    return min(max(timedelta(0), wait), timedelta(seconds=LONGEST_SECONDS))
