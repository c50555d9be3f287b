"""One person of an HR system, read column by column; what is wrong is gathered with the column's own name."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from schemas.primitives import FIRST_YEAR, LAST_YEAR
from services.ingest.domain.tools.leaves import mailboxes
from services.ingest.domain.verdict import Problem
from services.ingest.domain.written import composed, is_no_day
from services.ingest.sources.hr.columns import flat, plain
from services.ingest.sources.hr.settings import ISO, HrSettings
from services.ingest.sources.reading import ZonedOrUtc

Read = TypeVar("Read")
TRUE = frozenset({"true", "yes", "y", "1"})
FALSE = frozenset({"false", "no", "n", "0"})
# ISO 8601 days, with an offset as XML Schema writes them, and moments of which only the day counts: systems export
# midnights.
DAY = re.compile(r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d.*|[Zz]|[+-]\d\d(:?\d\d)?)?", re.ASCII)
LONGEST_DAY = 64
MOMENT: TypeAdapter[datetime] = TypeAdapter(ZonedOrUtc)


class Employee:
    """`place` is where the person stands, such as `line 5`. With any of `problems` it counts for nothing."""

    def __init__(self, place: str, members: Mapping[str, object], settings: HrSettings) -> None:
        self._place, self._settings = place, settings
        self._members = flat(members)
        self.problems: list[Problem] = []

    def text(self, column: str) -> str:
        """Empty if there is nothing."""
        return self._read(column, _text, "")

    def needed(self, column: str) -> str:
        found = self.text(column)
        if not found and not any(problem.path == self._path(column) for problem in self.problems):
            self.fault(column, "is required")
        return found

    def addresses(self) -> tuple[str, ...]:
        """Separated by |, comma, semicolon or blanks; or a list, of texts or of objects with a value (SCIM). What is no
        address stays as it is."""
        return self._read("addresses", _addresses, ())

    def day(self, column: str) -> date | None:
        return self._read(column, self._day, None)

    def moment(self, column: str) -> datetime | None:
        return self._read(column, _moment, None)

    def flag(self, column: str) -> bool | None:
        return self._read(column, _flag, None)

    def named(self, name: str) -> str:
        """Of a column that only the settings know."""
        _, value = self.member(name)
        try:
            return "" if value is None else _text(value)
        except ValueError as wrong:
            self.problems.append(Problem(f"{self._place}, column {name}", str(wrong)))
            return ""

    def member(self, name: str) -> tuple[str, object]:
        """How it is called here, and what stands there; None if there is no such column."""
        return self._members.get(plain(name), (name, None))

    def has(self, column: str) -> bool:
        """Whether there is a column that could say it, be it empty."""
        return self.found(column)[1] is not None

    def found(self, column: str) -> tuple[str, object]:
        """The first of the columns that could say it that is filled in, else the first that is there."""
        there = [self._members[name] for name in self._settings.names(column) if name in self._members]
        filled = (one for one in there if one[1] not in (None, ""))
        return next(filled, there[0] if there else (column, None))

    def fault(self, column: str, words: str) -> None:
        """At the first of the columns that could say it and is there."""
        self.problems.append(Problem(self._path(column), words))

    def _path(self, column: str) -> str:
        name, _ = self.found(column)
        return f"{self._place}, column {name}"

    def _read(self, column: str, read: Callable[[object], Read], nothing: Read) -> Read:
        _, value = self.found(column)
        if value is None or value == "":
            return nothing
        try:
            return read(value)
        except ValueError as wrong:
            self.fault(column, str(wrong))
            return nothing

    def _day(self, value: object) -> date | None:
        text = _text(value)
        if is_no_day(text):
            return None
        try:
            found = DAY.fullmatch(text[:LONGEST_DAY])
            return self._written(text) if found is None else _lived(date.fromisoformat(found[1]))
        except ValueError as wrong:
            example = date(2026, 3, 31)
            forms = dict.fromkeys(example.strftime(form) for form in (ISO, self._settings.day_format))
            raise ValueError(f"must be a day as in {' or '.join(forms)}") from wrong

    def _written(self, text: str) -> date | None:
        return _lived(datetime.strptime(text, self._settings.day_format).date())  # noqa: DTZ007 (a day has no zone)


def _lived(day: date) -> date | None:
    """Systems write 9999-12-31 or 1900-01-01 for a day that is not known."""
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return composed(str(value))
    raise ValueError("must be a text or a whole number")


def _addresses(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    texts = (_text(one.get("value")) if isinstance(one, dict) else _text(one) for one in values)
    return tuple(dict.fromkeys(address for text in texts for address in mailboxes(text)))


def _moment(value: object) -> datetime:
    try:
        return MOMENT.validate_python(value)
    except ValidationError as wrong:
        raise ValueError("must be a date and a time as in 2026-03-01T10:00:00Z") from wrong


def _flag(value: object) -> bool:
    text = _text(value).lower()
    if text not in TRUE | FALSE:
        raise ValueError("must be true or false")
    return text in TRUE
