"""Times as people write them into tables, in UTC; what is not certain is an error, never a guess."""

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from schemas.primitives import to_rfc3339, to_utc

# fromisoformat would also read week dates and digits without separators, which are numbers in other tables.
_WRITTEN = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"([Tt ](?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?) ?(?P<offset>[Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?")
FORM = "write it like 2026-03-31 16:30 or 2026-03-31T16:30:00+02:00"


class UncertainError(ValueError):
    """The text names no instant, or more than one; the message says why."""


def instant(text: str, zone: ZoneInfo | None) -> str:
    """RFC 3339 in UTC. `zone` is where the clock hung if the text does not say it; a day is its begin there.
    Raises UncertainError."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise UncertainError(f"is no time: {FORM}")
    try:
        written = datetime.fromisoformat(f"{found['day']}T{found['time'] or '00:00'}{found['offset'] or ''}")
        return to_rfc3339(to_utc(written if written.tzinfo else _placed(written, zone)))
    except UncertainError:
        raise
    except (ValueError, OverflowError) as wrong:
        raise UncertainError(f"is no time: {wrong}") from wrong


def day(text: str) -> str:
    """Without the offset that XML Schema lets a day have. Raises UncertainError."""
    found = DAY.fullmatch(text)
    try:
        return date.fromisoformat(found[1] if found else "").isoformat()
    except ValueError as wrong:
        raise UncertainError("is no day: write it like 2026-03-31") from wrong


def _placed(written: datetime, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        raise UncertainError("has no time zone: write it like 2026-03-31T16:30:00+02:00, or name the zone")
    early, late = written.replace(tzinfo=zone, fold=0), written.replace(tzinfo=zone, fold=1)
    if early.utcoffset() == late.utcoffset():
        return early
    there = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    happens = "happens twice" if there == written else "does not exist"
    raise UncertainError(f"{happens} in {zone.key}, where the clocks change: write it with its offset")
