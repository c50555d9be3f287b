"""Which connections are to be left alone for how long, because their tool said so."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from services.runtime.bounded_http import HttpAnswer
from services.runtime.loop import TryLaterError

# Whatever a tool says: later the operator would rather see it fail again than wait.
LONGEST_WAIT = timedelta(hours=1)
NO_WAIT = timedelta(0)


class Closed:
    """For any thread that asks for one connection at a time."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def check(self, connection: str, now: datetime) -> None:
        """Raises TryLaterError as long as the tool wants to be left alone."""
        until = self._until.get(connection)
        if until is not None and now < until:
            raise TryLaterError(f"connection {connection}: its API asks to wait until {until.isoformat()}")
        self._until.pop(connection, None)

    def close(self, connection: str, answer: HttpAnswer, now: datetime) -> str:
        """Says why; without Retry-After it is the loop that waits, longer each time."""
        wait = min(_wait(answer.headers.get("retry-after", ""), now), LONGEST_WAIT)
        self._until[connection] = now + wait
        return f"connection {connection}: the API answers {answer.status}, again in {wait.total_seconds():.0f} s"


def _wait(retry_after: str, now: datetime) -> timedelta:
    """RFC 9110: seconds, or a date. Anything else counts as not said."""
    if retry_after.isascii() and retry_after.isdecimal():
        return timedelta(seconds=min(int(retry_after[:9]), LONGEST_WAIT.total_seconds()))
    try:
        return max(NO_WAIT, parsedate_to_datetime(retry_after) - now)
    except (ValueError, TypeError):  # no date, or one without a zone
        return NO_WAIT
