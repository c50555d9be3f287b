"""The cells of a row, read as times, numbers and lists in UTC; what is not certain is an error, never a guess."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import TypeVar
from zoneinfo import ZoneInfo

from schemas.directory import known_zone
from schemas.primitives import to_rfc3339, to_utc
from services.ingest.domain.tools.allow_list import mailboxes
from services.ingest.domain.verdict import Problem
from services.ingest.domain.written import composed, is_no_day

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


Read = TypeVar("Read")

DIGEST_BYTES = 16
YES, NO = frozenset({"yes", "true", "1", "y"}), frozenset({"no", "false", "0", "n"})
_SEPARATED = re.compile(r"[|;,\s]+")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Defaults:
    """What the options of the command say of every row whose own column does not."""

    source: str = ""
    program: str = ""
    time_zone: str = ""


@dataclass
class TableRow:
    """`problems` grow while it is read; with any, what was read counts for nothing."""

    cells: Mapping[str, str]
    defaults: Defaults
    problems: list[Problem] = field(default_factory=list)
    _needed: set[str] = field(default_factory=set, repr=False)

    def text(self, column: str) -> str:
        """Empty if there is nothing."""
        return composed(self.cells.get(column, ""))

    def needed(self, column: str) -> str:
        self._needed.add(column)
        found = self.text(column)
        if not found:
            self.fault(column, "is empty")
        return found

    def moment(self, column: str) -> str | None:
        """RFC 3339, UTC; a day alone is none."""
        if DAY.fullmatch(self.text(column)):
            self.fault(column, f"{self.text(column)!r} names no time of day")
            return None
        return self.moment_or_day(column)

    def moment_or_day(self, column: str) -> str | None:
        """RFC 3339, UTC; a day is its begin."""
        return None if self._has_no_day(column) else self._read(column, lambda text: instant(text, self.zone()))

    def day(self, column: str) -> str | None:
        return None if self._has_no_day(column) else self._read(column, day)

    def number(self, column: str) -> float | int | None:
        return self._read(column, _number)

    def flag(self, column: str) -> bool | None:
        return self._read(column, _flag)

    def several(self, column: str) -> list[str]:
        """Separated by |, comma, semicolon or blanks."""
        return [part for part in _SEPARATED.split(self.text(column)) if part]

    def addresses(self, column: str) -> list[str]:
        """As above, also with names before them."""
        return mailboxes(self.text(column))

    def zone(self) -> ZoneInfo | None:
        """Of the row, else of the command. Raises UncertainError."""
        name = self.text("time_zone") or self.defaults.time_zone
        try:
            return ZoneInfo(known_zone(name)) if name else None
        except ValueError as unknown:
            raise UncertainError(f"cannot be placed: {unknown}") from unknown

    def fault(self, column: str, words: str) -> None:
        self.problems.append(Problem(column, words))

    def _has_no_day(self, column: str) -> bool:
        found = is_no_day(self.text(column))
        if found and column in self._needed:
            self.fault(column, f"{self.text(column)[:LONGEST_SHOWN]!r} names no day")
        return found

    def _read(self, column: str, read: Callable[[str], Read]) -> Read | None:
        text = self.text(column)
        if not text:
            return None
        try:
            return read(text)
        except ValueError as wrong:
            self.fault(column, f"{text[:LONGEST_SHOWN]!r} {wrong}")
            return None


def derived(*parts: str) -> str:
    """An id that follows from these parts."""
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def present(**members: object) -> dict[str, object]:
    """Without what is not known."""
    return {name: value for name, value in members.items() if value not in (None, "", [])}


def _number(text: str) -> float | int:
    if not _NUMBER.fullmatch(text):
        raise UncertainError("is no number: write it like 4.5")
    return float(text) if "." in text else int(text)


def _flag(text: str) -> bool:
    if text.lower() not in YES | NO:
        raise UncertainError("is neither yes nor no")
    return text.lower() in YES
