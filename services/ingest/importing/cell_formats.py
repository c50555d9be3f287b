"""Parses the times, days and numbers of table cells, times into UTC. A value that is ambiguous is an error, never a
guess."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.primitives import to_rfc3339, to_utc
from services.ingest.sources.day_formats import ISO, OFFSET, UTC_WORD, in_iso

# fromisoformat would also accept week dates and digits without separators, which are numbers in other tables.
_TIMESTAMP = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"([Tt ](?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?) ?"
    rf"(?P<offset>{OFFSET})?)?"
)
DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?")
EXPECTED_FORMAT = "write it like 2026-03-31 16:30 or 2026-03-31T16:30:00+02:00"
# Excel's serial date: days since 1900, shown when the cell does not have a date format.
SERIAL = re.compile(r"[34][0-9]{4}([.,][0-9]+)?")
# `10:00-11:00` may be a range from ten to eleven, or a time in a zone eleven hours behind UTC; `16:30-08:00` is no
# meeting of 15 hours.
_RANGE = re.compile(r"(?P<day>.{10}) (?P<begin>[0-9]{2}:[0-9]{2})-(?P<end>[0-9]{2}:[0-9]{2})")
LONGEST_RANGE = timedelta(hours=12)
MAY_BE_RANGE = (
    "may be a range, or a time with an offset: put the end into a column of its own, or write a T before the time, or "
    "name the zone, if it has that offset"
)


class InvalidCellError(ValueError):
    """The text has no value of the expected type, or more than one possible value; the message says why."""


def instant(text: str, zone: ZoneInfo | None) -> str:
    """Return the time as RFC 3339 in UTC. `zone` applies when the text has no offset; a date alone is the start of that
    day in `zone`. Raises InvalidCellError."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise InvalidCellError(f"is no time: {_serial_date_hint(text) or EXPECTED_FORMAT}")
    try:
        offset = re.sub(UTC_WORD, "Z", found["offset"] or "")
        local_time = datetime.fromisoformat(f"{found['day']}T{found['time'] or '00:00'}{offset}")
        return to_rfc3339(to_utc(local_time if local_time.tzinfo else _localized(local_time, zone)))
    except InvalidCellError:
        raise
    except (ValueError, OverflowError) as wrong:
        raise InvalidCellError(f"is no time: {wrong}") from wrong


def day(text: str) -> str:
    """Return the date, without the offset that XML Schema allows in a date. Raises InvalidCellError."""
    found = DAY.fullmatch(text)
    try:
        return date.fromisoformat(found[1] if found else "").isoformat()
    except ValueError as wrong:
        raise InvalidCellError(f"is no day: {_serial_date_hint(text) or 'write it like 2026-03-31'}") from wrong


def _serial_date_hint(text: str) -> str:
    return "Excel counts days so: give the column the format of a date" if SERIAL.fullmatch(text) else ""


def _localized(local_time: datetime, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        raise InvalidCellError("has no time zone: write it like 2026-03-31T16:30:00+02:00, or name the zone")
    early, late = local_time.replace(tzinfo=zone, fold=0), local_time.replace(tzinfo=zone, fold=1)
    if early.utcoffset() == late.utcoffset():
        return early
    there = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    happens = "happens twice" if there == local_time else "does not exist"
    raise InvalidCellError(f"{happens} in {zone.key}, where the clocks change: write it with its offset")


_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_WITH_COMMA = re.compile(r"[+-]?([0-9]{1,15}|[0-9]{1,3}(\.[0-9]{3}){1,4})(,[0-9]{1,15})?")
_DURATION = re.compile(r"(?P<h>[0-9]{1,2}):(?P<m>[0-5][0-9]):(?P<s>[0-5][0-9](\.[0-9]{1,6})?)")
_UNIT = re.compile(r"(?<=[0-9]) ?(min\.?|mins|minutes|minuten)$", re.IGNORECASE)
# 1.500 may be one and a half, or fifteen hundred.
GROUPED = re.compile(r"[+-]?[0-9]{1,3}\.[0-9]{3}")


def number(text: str) -> float | int:
    """Raises InvalidCellError."""
    if not _NUMBER.fullmatch(text):
        raise InvalidCellError("is no number: write it like 4.5")
    return float(text) if "." in text else int(text)


def number_with_comma(text: str) -> float | int:
    """Parse `1.234,5`, and also `4.5`, which has no other meaning. Raises InvalidCellError."""
    if GROUPED.fullmatch(text):
        raise InvalidCellError("may be two numbers: write it without the point")
    if _NUMBER.fullmatch(text):
        return number(text)
    if not _WITH_COMMA.fullmatch(text):
        raise InvalidCellError("is no number: write it like 4,5")
    return number(text.replace(".", "").replace(",", "."))


@dataclass(frozen=True)
class CellFormats:
    """How the cells of a table are written, in addition to ISO 8601 and 4.5."""

    day_format: str = ISO
    has_decimal_comma: bool = False

    def timestamp(self, text: str, zone: ZoneInfo | None) -> str:
        """As `instant`; raises InvalidCellError also for a text that may be a range of times."""
        found = self._parse_with_hint(text, lambda iso: instant(iso, zone))
        begin = None if "T" in text else _start_of_range(in_iso(text, self.day_format))
        # Unambiguous if the offset is the one of `zone`: then both readings give the same start.
        if begin is not None and (zone is None or begin.replace(tzinfo=zone) != datetime.fromisoformat(found)):
            raise InvalidCellError(MAY_BE_RANGE)
        return found

    def day(self, text: str) -> str:
        """Accepts a time of 00:00 after the date, too, as Excel writes date cells with a time format."""
        return self._parse_with_hint(text, lambda iso: day(iso.removesuffix(" 00:00:00").removesuffix(" 00:00")))

    def is_day(self, text: str) -> bool:
        return DAY.fullmatch(in_iso(text, self.day_format)) is not None

    def number(self, text: str) -> float | int:
        return number_with_comma(text) if self.has_decimal_comma else number(text)

    def minutes(self, text: str) -> float | int:
        """Accepts `1:30:00`, as Excel shows durations, and `45 min`. Rejects 1:30, which may be hours and minutes or
        minutes and seconds."""
        if found := _DURATION.fullmatch(text):
            return round(int(found["h"]) * 60 + int(found["m"]) + float(found["s"]) / 60, 3)
        return self.number(_UNIT.sub("", text))

    def _parse_with_hint(self, text: str, read: Callable[[str], str]) -> str:
        iso = in_iso(text, self.day_format)
        try:
            return read(iso)
        except InvalidCellError as wrong:
            if iso != text or self.day_format == ISO or _TIMESTAMP.fullmatch(text):
                raise
            raise InvalidCellError(f"{wrong}, or as {self.day_format}") from wrong


def _start_of_range(text: str) -> datetime | None:
    """Return the local start time if the text may be a range of times, else None."""
    found = _RANGE.fullmatch(text)
    if found is None or max(found["begin"], found["end"]) >= "24:00":
        return None
    begin, end = (datetime.fromisoformat(f"{found['day']} {found[name]}") for name in ("begin", "end"))
    return begin if timedelta(0) < (end - begin) % timedelta(days=1) <= LONGEST_RANGE else None
