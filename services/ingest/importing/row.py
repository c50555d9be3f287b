"""Parses the cells of a row as times, numbers, people and lists. An ambiguous value is recorded as a problem of its
column."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import blake2b
from typing import TypeVar
from zoneinfo import ZoneInfo

from services.ingest.domain.tools.allow_list import address_in, clean_text, mailboxes, visible
from services.ingest.domain.tools.cells import (
    ADDRESS,
    LOST_DIGITS,
    NO_RESULT,
    NO_VALUE,
    NOTHING,
    SHORTENED,
    as_whole_number,
    find_damage,
    is_missing_day,
    plain_name,
)
from services.ingest.domain.verdict import Problem
from services.ingest.importing.cell_formats import CellFormats, InvalidCellError
from services.ingest.sources.vendor_model import find_zone

Parsed = TypeVar("Parsed")

DIGEST_BYTES = 16
YES, NO = frozenset({"yes", "true", "1", "y", "t"}), frozenset({"no", "false", "0", "n", "f"})
# Neither comma nor blank: they separate first and last names.
_PEOPLE_SEPARATOR = re.compile(r"[|;\n]+")
_VALUE_SEPARATOR = re.compile(r"[|;,\s]+")
# Characters that no id contains: Ada Lovelace; Lovelace, Ada.
_PERSON_NAME = re.compile(r"[\s,]")
IS_A_NAME = "looks like a name: give the id, or import the directory first and name people by address"
LONGEST_SHOWN = 60


@dataclass(frozen=True)
class RowDefaults:
    """Values from the command's options, for rows whose own columns lack them."""

    source: str = ""
    program: str = ""
    time_zone: str = ""


def no_directory(_: str) -> str:
    """The lookup where no directory is available. Raises InvalidCellError."""
    raise InvalidCellError("is an address, and the directory is not known here: give the id")


@dataclass(frozen=True)
class RowContext:
    """Shared by all rows of a table. `saved_at`: RFC 3339, when the table was last written. `conflicting`: participants
    whose rows contradict each other. `resolve_address` returns the participant id of an address, or raises
    InvalidCellError."""

    defaults: RowDefaults = field(default_factory=RowDefaults)
    formats: CellFormats = field(default_factory=CellFormats)
    saved_at: str = ""
    conflicting: frozenset[str] = frozenset()
    resolve_address: Callable[[str], str] = no_directory


@dataclass
class TableRow:
    """`problems` accumulate while the row is parsed; if there are any, the parsed values must not be used."""

    cells: Mapping[str, str]
    context: RowContext = field(default_factory=RowContext)
    problems: list[Problem] = field(default_factory=list)
    _required: set[str] = field(default_factory=set, repr=False)

    @property
    def defaults(self) -> RowDefaults:
        return self.context.defaults

    def text(self, column: str) -> str:
        """Return an empty string for an empty cell."""
        found = clean_text(self.cells.get(column, ""))
        if NO_RESULT.fullmatch(found):
            self.add_problem(column, f"{found!r} is what Excel shows of a formula that went wrong")
        return "" if found in NO_VALUE else found

    def name(self, column: str) -> str:
        """Return the name of a person."""
        found = plain_name(self.text(column))
        if damage := find_damage(found):
            self.add_problem(column, f"{found[:LONGEST_SHOWN]!r} {damage[0]}")
        return found

    def required(self, column: str) -> str:
        self._required.add(column)
        found = self.text(column)
        if not found:
            written = clean_text(self.cells.get(column, ""))
            self.add_problem(column, f"{written!r} names no day, person or thing" if written else "is empty")
        return found

    def choice(self, column: str, allowed: Collection[str]) -> str:
        """Return one of the allowed values, matched case-insensitively; an empty string if the cell is empty or holds
        another value."""
        found = visible(self.text(column)).lower()
        if not found or found in allowed:
            return found
        close = get_close_matches(found[:LONGEST_SHOWN], allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        self.add_problem(column, f"{found[:LONGEST_SHOWN]!r} is none of {', '.join(allowed)}{hint}")
        return ""

    def timestamp(self, column: str) -> str | None:
        """Return RFC 3339 in UTC; a date alone is a problem."""
        if self._is_undated(column):
            return None
        if self.context.formats.is_day(normalize_blanks(self.text(column))):
            self.add_problem(column, f"{self.text(column)!r} names no time of day")
            return None
        return self.timestamp_or_day(column)

    def timestamp_or_day(self, column: str) -> str | None:
        """Return RFC 3339 in UTC; a date alone is the start of that day."""
        if self._is_undated(column):
            return None
        return self._parse(column, lambda text: self.context.formats.timestamp(text, self.zone()))

    def day(self, column: str) -> str | None:
        return None if self._is_undated(column) else self._parse(column, self.context.formats.day)

    def number(self, column: str) -> float | int | None:
        return self._parse(column, self.context.formats.number)

    def percent(self, column: str) -> float | int | None:
        """Accepts the form of Excel's percent cells, too: 40 %."""
        return self._parse(column, lambda text: self.context.formats.number(text.removesuffix("%").rstrip()))

    def minutes(self, column: str) -> float | int | None:
        """Accepts the form of Excel's duration cells, too: 1:30:00."""
        return self._parse(column, self.context.formats.minutes)

    def flag(self, column: str) -> bool | None:
        choice = visible(normalize_blanks(self.text(column))).lower()
        if choice and choice not in YES | NO:
            self.add_problem(column, f"{normalize_blanks(self.text(column))[:LONGEST_SHOWN]!r} is neither yes nor no")
        return choice in YES if choice in YES | NO else None

    def people(self, column: str) -> list[str]:
        """Return participant ids; addresses are resolved. Entries are separated by |, semicolons or line breaks."""
        found = [visible(part) for part in _PEOPLE_SEPARATOR.split(self.text(column))]
        return [person for part in found if part and part not in NO_VALUE and (person := self._resolve(column, part))]

    def values(self, column: str) -> list[str]:
        """Split the cell at |, commas, semicolons and blanks."""
        return [part for part in _VALUE_SEPARATOR.split(self.text(column)) if part]

    def addresses(self, column: str) -> list[str]:
        """Split like `values`; accepts names before the addresses, too."""
        found = [one for one in mailboxes(self.text(column)) if one.lower() not in NOTHING]
        if wrong := next((one for one in found if "@" in one and not ADDRESS.fullmatch(one)), ""):
            self.add_problem(column, f"{wrong[:LONGEST_SHOWN]!r} is no address as in somebody@example.com")
        return found

    def zone(self) -> ZoneInfo | None:
        """Return the zone of the row, else of the command, by any of its names. Raises InvalidCellError."""
        name = self.text("time_zone") or self.defaults.time_zone
        try:
            return find_zone(name) if name else None
        except ValueError as unknown:
            raise InvalidCellError(f"cannot be placed: {unknown}") from unknown

    def add_problem(self, column: str, words: str) -> None:
        """Record a problem once, even if the cell is parsed twice."""
        problem = Problem(column, words)
        if problem not in self.problems:
            self.problems.append(problem)

    def _resolve(self, column: str, written: str) -> str | None:
        """Return None, and record a problem, if the person is not found."""
        try:
            return (
                self.context.resolve_address(address_in(written) or written)
                if "@" in written
                else _participant_id(written)
            )
        except InvalidCellError as wrong:
            self.add_problem(column, f"{written[:LONGEST_SHOWN]!r} {wrong}")
            return None

    def _is_undated(self, column: str) -> bool:
        found = is_missing_day(self.text(column))
        if found and column in self._required:
            self.add_problem(column, f"{self.text(column)[:LONGEST_SHOWN]!r} names no day")
        return found

    def _parse(self, column: str, parse: Callable[[str], Parsed]) -> Parsed | None:
        text = normalize_blanks(self.text(column))
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as wrong:
            self.add_problem(column, f"{text[:LONGEST_SHOWN]!r} {wrong}")
            return None


def derived_id(*parts: str) -> str:
    """Return an id that is a digest of these parts."""
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def without_empty(**members: object) -> dict[str, object]:
    """Drop members without a value."""
    return {name: value for name, value in members.items() if value not in (None, "", [])}


def normalize_blanks(text: str) -> str:
    """Replace non-ASCII blanks by spaces: some systems write 10:30 AM with a narrow no-break space."""
    return text if text.isascii() else " ".join(visible(text).split())


def _participant_id(text: str) -> str:
    """Raises InvalidCellError."""
    if SHORTENED.fullmatch(text):
        raise InvalidCellError(LOST_DIGITS)
    if _PERSON_NAME.search(text):
        raise InvalidCellError(IS_A_NAME)
    return as_whole_number(text)
