"""A person in an HR feed: the columns that we read, and the faults in them."""

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from schemas.primitives import EPOCH, FIRST_YEAR, LAST_YEAR
from services.ingest.domain.tools.allow_list import clean_text, mailboxes, visible
from services.ingest.domain.tools.cells import NO_RESULT, NO_VALUE, NOTHING, find_damage, is_missing_day
from services.ingest.domain.verdict import Problem
from services.ingest.sources.day_formats import may_be_two_days
from services.ingest.sources.hr.settings import ISO, NAMES, YES, HrSettings, flatten, normalise
from services.ingest.sources.vendor_model import VendorModel, ZonedOrUtc, find_zone


class HrFault(VendorModel):
    column: str = ""
    words: Annotated[str, Field(min_length=1)]


class HrRecord(VendorModel):
    """A recorded person: position in the feed, the columns, and a fault of the row as a whole."""

    line: int | None = None
    index: int | None = None
    employee: dict[str, object]
    received_at: ZonedOrUtc | None = None
    fault: HrFault | None = None
    counts_elsewhere: bool = False

    @property
    def position(self) -> str:
        return f"line {self.line}" if self.line is not None else f"employee {(self.index or 0) + 1}"


Read = TypeVar("Read")
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0", "off", "nein", "falsch", "non", "faux", "falso"})
# ISO 8601 days, with an offset as XML Schema writes them, and timestamps of which only the day counts: systems export
# midnights.
DAY = re.compile(r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d.*|[Zz]|[+-]\d\d(:?\d\d)?)?", re.ASCII)
LONGEST_DAY = 64
# Limit of a participant in the directory (schemas.directory).
LONGEST_NAME = 200
# Without separators, as SAP writes days and ISO 8601 allows; and in milliseconds, as OData 2 does.
DIGITS = re.compile(r"(?:19|20|99)\d{6}", re.ASCII)
IN_UTC = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.0{1,9})?(?:[Zz]|[+-]00(?::?00)?)", re.ASCII)
MIDNIGHTS_OF_EUROPE = frozenset({time(22), time(23)})
"""In UTC, on the day before."""
LAST_MINUTE = time(23, 59)
"""Systems with inclusive ends may end a day with its last minute in UTC. This is midnight in no zone."""
AMBIGUOUS_MIDNIGHT = (
    "may be midnight of the next day in a zone to the east: settings.time_zone can say where days begin"
)
ODATA_DATE = re.compile(r"/Date\((-?\d{1,14})(?:[+-]\d{4})?\)/", re.ASCII)
# Excel's day number in a cell without date format, limited to the years 2015 to 2035: other five-digit notations, such
# as a day with one digit before month and year, do not fall into this range.
EXCEL_DAY = re.compile(r"(4(?:200[5-9]|20[1-9]\d|2[1-9]\d\d|[3-8]\d{3}|9[0-5]\d\d))(?:[.,]\d{1,12})?", re.ASCII)
EXCEL_EPOCH = date(1899, 12, 30)
CENTURY = 100
AMBIGUOUS_DAY = "this one may be two, by which comes first, day or month: settings.day_format can say it"
# A time of day that may follow a day in the format of the settings.
CLOCK = re.compile(r"[T ]\d\d:\d\d[\d:.]*$", re.ASCII)
# Workday appends a person's state to the name, and marks contingent workers.
WORKDAY_SUFFIX = re.compile(r"\s*(?:\((?:on leave|terminated|inactive)\)|\[C\])$", re.IGNORECASE)
MOMENT: TypeAdapter[datetime] = TypeAdapter(ZonedOrUtc)


class UncertainDayError(ValueError):
    """The timestamp falls on one of two days, depending on its time zone."""


class Employee:
    """`position` is where the person is in the feed, such as `line 5`. A person with any `problems` is rejected."""

    def __init__(self, position: str, members: Mapping[str, object], settings: HrSettings) -> None:
        self._position, self._settings = position, settings
        self._members = flatten(members)
        self._present = settings.present_columns(tuple(self._members))
        self.problems: list[Problem] = []

    def text(self, column: str) -> str:
        """Return "" if the column is empty."""
        if column in ("id", *NAMES) and isinstance(self.lookup(column)[1], bool):
            self.fault(column, "must be a text or a whole number")
            return ""
        found = self._read(column, _text, "")
        if NO_RESULT.fullmatch(found):
            self.fault(column, "is what a table shows of a formula that went wrong")
            return ""
        if column in NAMES and (damage := find_damage(found)):
            self.fault(column, damage[0])
            return ""
        return WORKDAY_SUFFIX.sub("", found) if column in NAMES else found

    def required_text(self, column: str) -> str:
        faults = len(self.problems)
        found = self.text(column)
        if not found and len(self.problems) == faults:
            self.fault(column, "is required")
        return found

    def addresses(self) -> tuple[str, ...]:
        """Split at |, comma, semicolon or blanks, or read a list of texts or of objects with a value (SCIM). What is no
        address stays unchanged."""
        return self._read("addresses", _addresses, ())

    def day(self, column: str) -> date | None:
        return self._read(column, self._day, None)

    def moment(self, column: str) -> datetime | None:
        return self._read(column, _moment, None)

    def flag(self, column: str) -> bool | None:
        text = self._read(column, _text, "").lower()
        if text and text not in YES | FALSE:
            self.fault(column, "must be true or false")
        return text in YES if text in YES | FALSE else None

    def is_yes(self, column: str) -> bool:
        """Whether the column is a yes; False for any other content, such as a day."""
        _, value = self.lookup(column)
        return isinstance(value, str | int) and str(value).lower() in YES

    def member_text(self, name: str) -> str:
        """Return the text of a column that only the settings name."""
        _, value = self.member(name)
        try:
            return "" if _is_nothing(value) else _text(value)
        except ValueError as wrong:
            self.problems.append(Problem(f"{self._position}, column {name}", str(wrong)))
            return ""

    def member(self, name: str) -> tuple[str, object]:
        """Return the column's written name and its value; None if there is no such column."""
        return self._members.get(normalise(name), (name, None))

    def lookup(self, column: str) -> tuple[str, object]:
        """Return the first non-empty synonym of the column, else the first present one. Kept fast for a single synonym:
        every column of every row is looked up several times."""
        names = self._present[column]
        if len(names) <= 1:
            return self._members[names[0]] if names else (column, None)
        present = self.present_synonyms(column)
        return next((one for one in present if not self._is_empty(column, one[1])), present[0])

    def present_synonyms(self, column: str) -> list[tuple[str, object]]:
        """Return all present synonyms of the column."""
        return [self._members[name] for name in self._present[column]]

    def unread_object(self, names: Collection[str]) -> str:
        """Return the first of these members that is an object with a value in it; "" if there is none."""
        filled = (name for name, (_, value) in self._members.items() if value not in (None, "", [], {}))
        return next((outer for name in filled if (outer := name.partition(".")[0]) != name and outer in names), "")

    def fault(self, column: str, words: str) -> None:
        """Report a fault at the column's first present synonym."""
        name, _ = self.lookup(column)
        self.problems.append(Problem(f"{self._position}, column {name}", words))

    def _read(self, column: str, read: Callable[[object], Read], nothing: Read) -> Read:
        _, value = self.lookup(column)
        if self._is_empty(column, value):
            return nothing
        try:
            return read(value)
        except ValueError as wrong:
            self.fault(column, str(wrong))
            return nothing

    def _is_empty(self, column: str, value: object) -> bool:
        """A status may be called `None` or `-` if the settings give it a meaning."""
        if not _is_nothing(value):
            return False
        return not (column == "status" and isinstance(value, str) and self._settings.status(value, "") is not None)

    def _day(self, value: object) -> date | None:
        text = visible(_text(value))
        if is_missing_day(text):
            return None
        try:
            if found := IN_UTC.fullmatch(text[:LONGEST_DAY]):
                return self._day_of(datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00"))
            if found := DAY.fullmatch(text[:LONGEST_DAY]):
                return _in_supported_years(date.fromisoformat(found[1]))
            if found := ODATA_DATE.fullmatch(text[:LONGEST_DAY]):
                return self._day_of(EPOCH + timedelta(milliseconds=int(found[1])))
            if found := EXCEL_DAY.fullmatch(text[:LONGEST_DAY]):
                return EXCEL_EPOCH + timedelta(days=int(found[1]))
            form, written = self._settings.day_format, text[:LONGEST_DAY]
            if form == ISO and DIGITS.fullmatch(written):
                return _in_supported_years(date.fromisoformat(written))
            # Systems that export days may append midnight.
            timed = written if "%H" in form or "%I" in form else CLOCK.sub("", written)
            return _in_supported_years(datetime.strptime(timed, form).date())  # noqa: DTZ007 (a day has no zone)
        except UncertainDayError as wrong:
            raise ValueError(AMBIGUOUS_MIDNIGHT) from wrong
        except ValueError as wrong:
            example = date(2026, 3, 31)
            forms = dict.fromkeys(example.strftime(form) for form in (ISO, self._settings.day_format))
            twofold = f"; {AMBIGUOUS_DAY}" if may_be_two_days(text[:LONGEST_DAY]) else ""
            raise ValueError(f"must be a day as in {' or '.join(forms)}{twofold}") from wrong

    def _day_of(self, moment: datetime) -> date | None:
        """Systems export days as midnights, in UTC or in local time: then the UTC date is the day before."""
        name = self.text("time_zone") or self._settings.time_zone
        if moment.time() == time.min or moment.time() >= LAST_MINUTE:
            return _in_supported_years(moment.date())
        if name != "UTC":
            with suppress(ValueError):
                return _in_supported_years(moment.astimezone(find_zone(name)).date())
        if moment.time() in MIDNIGHTS_OF_EUROPE:
            raise UncertainDayError
        return _in_supported_years(moment.date())


def is_moment(text: str) -> bool:
    """Whether the text is a timestamp whose day depends on the time zone."""
    return bool(IN_UTC.fullmatch(text[:LONGEST_DAY]) or ODATA_DATE.fullmatch(text[:LONGEST_DAY]))


def _is_nothing(value: object) -> bool:
    return value in (None, "") or (isinstance(value, str) and clean_text(value) in NO_VALUE)


def _in_supported_years(day: date) -> date | None:
    """Return None for 9999-12-31 or 1900-01-01, which systems write for an unknown day. Raises ValueError for
    0026-11-20, a typo."""
    if 1 < day.year < CENTURY:
        raise ValueError("the year has lost its century")
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return clean_text(str(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise ValueError("must be a text or a whole number")


# Names of the address in a list entry that also has a type: SCIM, Microsoft, and others.
ADDRESS_MEMBERS = ("value", "address", "email", "emailAddress")


def _addresses(value: object) -> tuple[str, ...]:
    found: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        given = next((one[name] for name in ADDRESS_MEMBERS if one.get(name)), None) if isinstance(one, dict) else one
        found += mailboxes(_text(given)) if given is not None else []
    return tuple(one for one in dict.fromkeys(found) if one.lower() not in NOTHING)


def _moment(value: object) -> datetime:
    try:
        return MOMENT.validate_python(value)
    except ValidationError as wrong:
        raise ValueError("must be a date and a time as in 2026-03-01T10:00:00Z") from wrong
