"""Times, days and numbers as tables hold them, read into UTC; what is not certain is an error, never a guess."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.primitives import to_rfc3339, to_utc
from services.ingest.sources.day_formats import ISO, OFFSET, UTC_WORD, in_iso

# fromisoformat would also read week dates and digits without separators, which are numbers in other tables.
_WRITTEN = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"([Tt ](?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?) ?"
    rf"(?P<offset>{OFFSET})?)?"
)
DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?")
FORM = "write it like 2026-03-31 16:30 or 2026-03-31T16:30:00+02:00"
# What Excel shows of a day whose cell is no date to it: days since 1900.
SERIAL = re.compile(r"[34][0-9]{4}([.,][0-9]+)?")
# `10:00-11:00` may be from ten to eleven, or in a zone eleven hours behind; `16:30-08:00` is no meeting of 15 hours.
_RANGE = re.compile(r"(?P<day>.{10}) (?P<begin>[0-9]{2}:[0-9]{2})-(?P<end>[0-9]{2}:[0-9]{2})")
LONGEST_RANGE = timedelta(hours=12)
A_RANGE = (
    "may be a range, or a time with an offset: write its end in a column of its own, or a T before the time, or name "
    "the zone, if that is its offset there"
)


class UncertainError(ValueError):
    """The text names no instant, or more than one; the message says why."""


def instant(text: str, zone: ZoneInfo | None) -> str:
    """RFC 3339 in UTC. `zone` is where the clock hung if the text does not say it; a day is its begin there.
    Raises UncertainError."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise UncertainError(f"is no time: {_counted(text) or FORM}")
    try:
        offset = re.sub(UTC_WORD, "Z", found["offset"] or "")
        written = datetime.fromisoformat(f"{found['day']}T{found['time'] or '00:00'}{offset}")
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
        raise UncertainError(f"is no day: {_counted(text) or 'write it like 2026-03-31'}") from wrong


def _counted(text: str) -> str:
    return "Excel counts days so: give the column the format of a date" if SERIAL.fullmatch(text) else ""


def _placed(written: datetime, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        raise UncertainError("has no time zone: write it like 2026-03-31T16:30:00+02:00, or name the zone")
    early, late = written.replace(tzinfo=zone, fold=0), written.replace(tzinfo=zone, fold=1)
    if early.utcoffset() == late.utcoffset():
        return early
    there = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    happens = "happens twice" if there == written else "does not exist"
    raise UncertainError(f"{happens} in {zone.key}, where the clocks change: write it with its offset")


_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_WITH_COMMA = re.compile(r"[+-]?([0-9]{1,15}|[0-9]{1,3}(\.[0-9]{3}){1,4})(,[0-9]{1,15})?")
_LASTED = re.compile(r"(?P<h>[0-9]{1,2}):(?P<m>[0-5][0-9]):(?P<s>[0-5][0-9](\.[0-9]{1,6})?)")
_UNIT = re.compile(r"(?<=[0-9]) ?(min\.?|mins|minutes|minuten)$", re.IGNORECASE)
# 1.500 may be one and a half, or fifteen hundred.
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}\.[0-9]{3}")


def number(text: str) -> float | int:
    """Raises UncertainError."""
    if not _NUMBER.fullmatch(text):
        raise UncertainError("is no number: write it like 4.5")
    return float(text) if "." in text else int(text)


def number_with_comma(text: str) -> float | int:
    """`1.234,5`; also `4.5`, which nobody means otherwise. Raises UncertainError."""
    if _GROUPED.fullmatch(text):
        raise UncertainError("may be two numbers: write it without the point")
    if _NUMBER.fullmatch(text):
        return number(text)
    if not _WITH_COMMA.fullmatch(text):
        raise UncertainError("is no number: write it like 4,5")
    return number(text.replace(".", "").replace(",", "."))


@dataclass(frozen=True)
class Forms:
    """How the cells of a table are written, besides ISO 8601 and 4.5."""

    day_format: str = ISO
    has_decimal_comma: bool = False

    def moment(self, text: str, zone: ZoneInfo | None) -> str:
        """As `instant`."""
        found = self._hinted(text, lambda iso: instant(iso, zone))
        begin = None if "T" in text else _begin_of_range(in_iso(text, self.day_format))
        # Where the clocks hung by that offset, a range begins at the same instant.
        if begin is not None and (zone is None or begin.replace(tzinfo=zone) != datetime.fromisoformat(found)):
            raise UncertainError(A_RANGE)
        return found

    def day(self, text: str) -> str:
        """Also of a cell that has a time beside its day, as Excel writes days that it counts by the second."""
        return self._hinted(text, lambda iso: day(iso.removesuffix(" 00:00:00").removesuffix(" 00:00")))

    def is_day(self, text: str) -> bool:
        return DAY.fullmatch(in_iso(text, self.day_format)) is not None

    def number(self, text: str) -> float | int:
        return number_with_comma(text) if self.has_decimal_comma else number(text)

    def minutes(self, text: str) -> float | int:
        """Also `1:30:00`, as Excel shows what has lasted, and `45 min`; 1:30 may be hours and minutes, or minutes and
        seconds."""
        if found := _LASTED.fullmatch(text):
            return round(int(found["h"]) * 60 + int(found["m"]) + float(found["s"]) / 60, 3)
        return self.number(_UNIT.sub("", text))

    def _hinted(self, text: str, read: Callable[[str], str]) -> str:
        iso = in_iso(text, self.day_format)
        try:
            return read(iso)
        except UncertainError as wrong:
            if iso != text or self.day_format == ISO or _WRITTEN.fullmatch(text):
                raise
            raise UncertainError(f"{wrong}, or as {self.day_format}") from wrong


def _begin_of_range(text: str) -> datetime | None:
    """By the clock there, of a text that may be a range; None of what is none."""
    found = _RANGE.fullmatch(text)
    if found is None or max(found["begin"], found["end"]) >= "24:00":
        return None
    begin, end = (datetime.fromisoformat(f"{found['day']} {found[name]}") for name in ("begin", "end"))
    return begin if timedelta(0) < (end - begin) % timedelta(days=1) <= LONGEST_RANGE else None
