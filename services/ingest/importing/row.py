"""The cells of a row, read as times, numbers, people and lists; what is not certain is a fault of its column."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import blake2b
from typing import TypeVar
from zoneinfo import ZoneInfo

from services.ingest.domain.tools.allow_list import address_in, composed, mailboxes, visible
from services.ingest.domain.tools.cells import (
    ADDRESS,
    LOST_DIGITS,
    NO_RESULT,
    NO_VALUE,
    NOTHING,
    SHORTENED,
    as_whole_number,
    damage_of,
    is_no_day,
    plain_name,
)
from services.ingest.domain.verdict import Problem
from services.ingest.importing.moments import Forms, UncertainError
from services.ingest.sources.vendor_model import zone_named

Read = TypeVar("Read")

DIGEST_BYTES = 16
YES, NO = frozenset({"yes", "true", "1", "y", "t"}), frozenset({"no", "false", "0", "n", "f"})
# No comma and no blank: between a first and a last name stand these.
_BETWEEN_PEOPLE = re.compile(r"[|;\n]+")
_SEPARATED = re.compile(r"[|;,\s]+")
# What no id holds: Ada Lovelace; Lovelace, Ada.
_NAME = re.compile(r"[\s,]")
A_NAME = "looks like a name: give the id, or import the directory first and name people by address"
LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Defaults:
    """What the options of the command say of every row whose own column does not."""

    source: str = ""
    program: str = ""
    time_zone: str = ""


def nobody_by_address(_: str) -> str:
    """Where nobody knows a directory. Raises UncertainError."""
    raise UncertainError("is an address, and the directory is not known here: give the id")


@dataclass(frozen=True)
class RowReading:
    """How all rows of a table are read. `saved`: RFC 3339, when the table was last written. `contradicted`: the people
    of whom several rows say different things. `person_at` tells the id
    of whom an address belongs to, or raises UncertainError."""

    defaults: Defaults = field(default_factory=Defaults)
    forms: Forms = field(default_factory=Forms)
    saved: str = ""
    contradicted: frozenset[str] = frozenset()
    person_at: Callable[[str], str] = nobody_by_address


@dataclass
class TableRow:
    """`problems` grow while it is read; with any, what was read counts for nothing."""

    cells: Mapping[str, str]
    reading: RowReading = field(default_factory=RowReading)
    problems: list[Problem] = field(default_factory=list)
    _needed: set[str] = field(default_factory=set, repr=False)

    @property
    def defaults(self) -> Defaults:
        return self.reading.defaults

    def text(self, column: str) -> str:
        """Empty if there is nothing."""
        found = composed(self.cells.get(column, ""))
        if NO_RESULT.fullmatch(found):
            self.fault(column, f"{found!r} is what Excel shows of a formula that went wrong")
        return "" if found in NO_VALUE else found

    def name(self, column: str) -> str:
        """Of a person."""
        found = plain_name(self.text(column))
        if damage := damage_of(found):
            self.fault(column, f"{found[:LONGEST_SHOWN]!r} {damage[0]}")
        return found

    def needed(self, column: str) -> str:
        self._needed.add(column)
        found = self.text(column)
        if not found:
            written = composed(self.cells.get(column, ""))
            self.fault(column, f"{written!r} names no day, person or thing" if written else "is empty")
        return found

    def word(self, column: str, allowed: Collection[str]) -> str:
        """One of these, in any case; empty if there is nothing, or something else."""
        found = visible(self.text(column)).lower()
        if not found or found in allowed:
            return found
        close = get_close_matches(found[:LONGEST_SHOWN], allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        self.fault(column, f"{found[:LONGEST_SHOWN]!r} is none of {', '.join(allowed)}{hint}")
        return ""

    def moment(self, column: str) -> str | None:
        """RFC 3339, UTC; a day alone is none."""
        if self._has_no_day(column):
            return None
        if self.reading.forms.is_day(in_line(self.text(column))):
            self.fault(column, f"{self.text(column)!r} names no time of day")
            return None
        return self.moment_or_day(column)

    def moment_or_day(self, column: str) -> str | None:
        """RFC 3339, UTC; a day is its begin."""
        if self._has_no_day(column):
            return None
        return self._read(column, lambda text: self.reading.forms.moment(text, self.zone()))

    def day(self, column: str) -> str | None:
        return None if self._has_no_day(column) else self._read(column, self.reading.forms.day)

    def number(self, column: str) -> float | int | None:
        return self._read(column, self.reading.forms.number)

    def percent(self, column: str) -> float | int | None:
        """Also as Excel writes a cell of this format: 40 %."""
        return self._read(column, lambda text: self.reading.forms.number(text.removesuffix("%").rstrip()))

    def minutes(self, column: str) -> float | int | None:
        """Also as Excel writes what has lasted: 1:30:00."""
        return self._read(column, self.reading.forms.minutes)

    def flag(self, column: str) -> bool | None:
        word = visible(in_line(self.text(column))).lower()
        if word and word not in YES | NO:
            self.fault(column, f"{in_line(self.text(column))[:LONGEST_SHOWN]!r} is neither yes nor no")
        return word in YES if word in YES | NO else None

    def people(self, column: str) -> list[str]:
        """Ids, of which addresses are looked up, between |, semicolons or line breaks."""
        found = [visible(part) for part in _BETWEEN_PEOPLE.split(self.text(column))]
        return [person for part in found if part and part not in NO_VALUE and (person := self._person(column, part))]

    def several(self, column: str) -> list[str]:
        """Separated by |, comma, semicolon or blanks."""
        return [part for part in _SEPARATED.split(self.text(column)) if part]

    def addresses(self, column: str) -> list[str]:
        """As above, also with names before them."""
        found = [one for one in mailboxes(self.text(column)) if one.lower() not in NOTHING]
        if wrong := next((one for one in found if "@" in one and not ADDRESS.fullmatch(one)), ""):
            self.fault(column, f"{wrong[:LONGEST_SHOWN]!r} is no address as in somebody@example.com")
        return found

    def zone(self) -> ZoneInfo | None:
        """Of the row, else of the command; by any of its names. Raises UncertainError."""
        name = self.text("time_zone") or self.defaults.time_zone
        try:
            return zone_named(name) if name else None
        except ValueError as unknown:
            raise UncertainError(f"cannot be placed: {unknown}") from unknown

    def fault(self, column: str, words: str) -> None:
        """What is read twice is at fault once."""
        problem = Problem(column, words)
        if problem not in self.problems:
            self.problems.append(problem)

    def _person(self, column: str, written: str) -> str | None:
        """None with a fault."""
        try:
            return self.reading.person_at(address_in(written) or written) if "@" in written else _id(written)
        except UncertainError as wrong:
            self.fault(column, f"{written[:LONGEST_SHOWN]!r} {wrong}")
            return None

    def _has_no_day(self, column: str) -> bool:
        found = is_no_day(self.text(column))
        if found and column in self._needed:
            self.fault(column, f"{self.text(column)[:LONGEST_SHOWN]!r} names no day")
        return found

    def _read(self, column: str, read: Callable[[str], Read]) -> Read | None:
        text = in_line(self.text(column))
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


def in_line(text: str) -> str:
    """With no other blanks than those of ASCII: systems write 10:30 AM with a narrow one that does not break."""
    return text if text.isascii() else " ".join(visible(text).split())


def _id(text: str) -> str:
    """Raises UncertainError."""
    if SHORTENED.fullmatch(text):
        raise UncertainError(LOST_DIGITS)
    if _NAME.search(text):
        raise UncertainError(A_NAME)
    return as_whole_number(text)
