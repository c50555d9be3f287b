"""What the answer of a receiver means: of the message (arrived, again later, nobody knows, never), or of the
destination (down: nothing arrives there now, whatever it is)."""

from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

from schemas.primitives import Instant

RETRYABLE = frozenset({408, 425})
"""Beside 5xx: timeout, too early. Every other 4xx says that a repeat changes nothing."""
OF_DESTINATION = frozenset({401, 403, 404, 410})
"""The address or its credentials are at fault: no message would arrive."""
TOO_MANY = 429
LONGEST_SECONDS = 10 * 24 * 3600
"""Longer than any delivery is kept trying."""
LONGEST_NUMBER, LONGEST_DATE = 9, 100
"""Characters; a header may have a hundred thousand."""


@dataclass(frozen=True)
class Arrived:
    """`provider_id`: what the receiver calls the message, if it says so; `refused`: digests of addresses that it has
    refused for good, while others were taken."""

    status: str
    provider_id: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Again:
    """`wait`: what the receiver asked for (Retry-After), if it did."""

    status: str
    wait: timedelta | None = None


@dataclass(frozen=True)
class Unknown:
    """It was sent, and the answer is missing."""

    status: str


@dataclass(frozen=True)
class Never:
    """The message is at fault: others may arrive, this one will not. `refused`: digests of addresses that are."""

    status: str
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Down:
    """The destination is at fault, or full: whatever waits for it waits on, and loses nothing."""

    status: str
    wait: timedelta | None = None


Verdict = Arrived | Again | Unknown | Never | Down


def of_answer(code: int, retry_after: str | None, now: Instant) -> Verdict:
    """Of an HTTP receiver that says no more than its status."""
    status = f"HTTP {code}"
    match code // 100:
        case 2:
            return Arrived(status)
        case 3:
            return Down(f"{status}: redirects are not followed")
        case 5:
            return Again(status, _wait(retry_after, now))
        case _:
            return _of_client_error(code, _wait(retry_after, now))


def _of_client_error(code: int, wait: timedelta | None) -> Verdict:
    status = f"HTTP {code}"
    if code == TOO_MANY or code in OF_DESTINATION:
        return Down(status, wait)
    return Again(status, wait) if code in RETRYABLE else Never(status)


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
