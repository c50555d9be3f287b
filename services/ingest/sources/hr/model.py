"""A person as an HR system tells of them: what stands in the columns that we read, and what is wrong with it."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from schemas.primitives import EPOCH, FIRST_YEAR, LAST_YEAR
from services.ingest.domain.tools.allow_list import composed, mailboxes, visible
from services.ingest.domain.tools.cells import NO_RESULT, NO_VALUE, NOTHING, damage_of, is_no_day
from services.ingest.domain.verdict import Problem
from services.ingest.sources.day_formats import may_be_two_days
from services.ingest.sources.hr.settings import ISO, NAMES, YES, HrSettings, flat, plain
from services.ingest.sources.vendor_model import VendorModel, ZonedOrUtc, zone_named


class HrFault(VendorModel):
    column: str = ""
    words: Annotated[str, Field(min_length=1)]


class HrRecord(VendorModel):
    """A person as recorded: where they stood, what their HR system says, and what is wrong with the row as a whole."""

    line: int | None = None
    index: int | None = None
    employee: dict[str, object]
    received_at: ZonedOrUtc | None = None
    fault: HrFault | None = None
    counts_elsewhere: bool = False

    @property
    def place(self) -> str:
        return f"line {self.line}" if self.line is not None else f"employee {(self.index or 0) + 1}"


Read = TypeVar("Read")
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0", "off", "nein", "falsch", "non", "faux", "falso"})
# ISO 8601 days, with an offset as XML Schema writes them, and moments of which only the day counts: systems export
# midnights.
DAY = re.compile(r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d.*|[Zz]|[+-]\d\d(:?\d\d)?)?", re.ASCII)
LONGEST_DAY = 64
# Without separators, as SAP writes days and ISO 8601 allows; and as OData 2 does, in milliseconds.
DIGITS = re.compile(r"(?:19|20|99)\d{6}", re.ASCII)
IN_UTC = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.0{1,9})?(?:[Zz]|[+-]00(?::?00)?)", re.ASCII)
MIDNIGHTS_OF_EUROPE = frozenset({time(22), time(23)})
"""In UTC, with the day before."""
LAST_MINUTE = time(23, 59)
"""Systems that say until when something holds may end it with its day in UTC. Nowhere is this a midnight."""
ELSEWHERE = "may be midnight of the next day in a zone to the east: settings.time_zone can say where days begin"
TICKS = re.compile(r"/Date\((-?\d{1,14})(?:[+-]\d{4})?\)/", re.ASCII)
# As Excel counts days where a cell has not the format of one. Of the years from 2015 to 2035: what else is written in
# five digits, such as a day of one digit before its month and year, is no number of these.
SERIAL = re.compile(r"(4(?:200[5-9]|20[1-9]\d|2[1-9]\d\d|[3-8]\d{3}|9[0-5]\d\d))(?:[.,]\d{1,12})?", re.ASCII)
DAY_0 = date(1899, 12, 30)
CENTURY = 100
TWO_DAYS = "this one may be two, by which comes first, day or month: settings.day_format can say it"
# What may follow a day in the form of the settings.
CLOCK = re.compile(r"[T ]\d\d:\d\d[\d:.]*$", re.ASCII)
# Workday shows so behind a name how somebody is, and that they are of another company.
BEHIND_A_NAME = re.compile(r"\s*(?:\((?:on leave|terminated|inactive)\)|\[C\])$", re.IGNORECASE)
MOMENT: TypeAdapter[datetime] = TypeAdapter(ZonedOrUtc)


class UncertainDayError(ValueError):
    """The moment is in one of two days, by where its clock hangs."""


class Employee:
    """`place` is where the person stands, such as `line 5`. With any of `problems` it counts for nothing."""

    def __init__(self, place: str, members: Mapping[str, object], settings: HrSettings) -> None:
        self._place, self._settings = place, settings
        self._members = flat(members)
        self._there = settings.there(tuple(self._members))
        self.problems: list[Problem] = []

    def text(self, column: str) -> str:
        """Empty if there is nothing."""
        found = self._read(column, _text, "")
        if NO_RESULT.fullmatch(found):
            self.fault(column, "is what a table shows of a formula that went wrong")
            return ""
        if column in NAMES and (damage := damage_of(found)):
            self.fault(column, damage[0])
            return ""
        return BEHIND_A_NAME.sub("", found) if column in NAMES else found

    def needed(self, column: str) -> str:
        faults = len(self.problems)
        found = self.text(column)
        if not found and len(self.problems) == faults:
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
        text = self._read(column, _text, "").lower()
        if text and text not in YES | FALSE:
            self.fault(column, "must be true or false")
        return text in YES if text in YES | FALSE else None

    def says_yes(self, column: str) -> bool:
        """No where anything else stands, such as a day."""
        _, value = self.found(column)
        return isinstance(value, str | int) and str(value).lower() in YES

    def named(self, name: str) -> str:
        """Of a column that only the settings know."""
        _, value = self.member(name)
        try:
            return "" if _is_nothing(value) else _text(value)
        except ValueError as wrong:
            self.problems.append(Problem(f"{self._place}, column {name}", str(wrong)))
            return ""

    def member(self, name: str) -> tuple[str, object]:
        """How it is called here, and what stands there; None if there is no such column."""
        return self._members.get(plain(name), (name, None))

    def found(self, column: str) -> tuple[str, object]:
        """The first of the columns that could say it that is filled in, else the first that is there. Thin where there
        is one at most: every column of every row is asked for several times."""
        names = self._there[column]
        if len(names) <= 1:
            return self._members[names[0]] if names else (column, None)
        there = self.all_of(column)
        return next((one for one in there if not self._says_nothing(column, one[1])), there[0])

    def all_of(self, column: str) -> list[tuple[str, object]]:
        """All of the columns that could say it and are there."""
        return [self._members[name] for name in self._there[column]]

    def fault(self, column: str, words: str) -> None:
        """At the first of the columns that could say it and is there."""
        name, _ = self.found(column)
        self.problems.append(Problem(f"{self._place}, column {name}", words))

    def _read(self, column: str, read: Callable[[object], Read], nothing: Read) -> Read:
        _, value = self.found(column)
        if self._says_nothing(column, value):
            return nothing
        try:
            return read(value)
        except ValueError as wrong:
            self.fault(column, str(wrong))
            return nothing

    def _says_nothing(self, column: str, value: object) -> bool:
        """A status may be called `None` or `-` where the settings say what that means."""
        if not _is_nothing(value):
            return False
        return not (column == "status" and isinstance(value, str) and self._settings.status(value, "") is not None)

    def _day(self, value: object) -> date | None:
        text = visible(_text(value))
        if is_no_day(text):
            return None
        try:
            if found := IN_UTC.fullmatch(text[:LONGEST_DAY]):
                return self._day_of(datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00"))
            if found := DAY.fullmatch(text[:LONGEST_DAY]):
                return _lived(date.fromisoformat(found[1]))
            if found := TICKS.fullmatch(text[:LONGEST_DAY]):
                return self._day_of(EPOCH + timedelta(milliseconds=int(found[1])))
            if found := SERIAL.fullmatch(text[:LONGEST_DAY]):
                return DAY_0 + timedelta(days=int(found[1]))
            form, written = self._settings.day_format, text[:LONGEST_DAY]
            if form == ISO and DIGITS.fullmatch(written):
                return _lived(date.fromisoformat(written))
            # Systems that export days may write their midnights.
            timed = written if "%H" in form or "%I" in form else CLOCK.sub("", written)
            return _lived(datetime.strptime(timed, form).date())  # noqa: DTZ007 (a day has no zone)
        except UncertainDayError as wrong:
            raise ValueError(ELSEWHERE) from wrong
        except ValueError as wrong:
            example = date(2026, 3, 31)
            forms = dict.fromkeys(example.strftime(form) for form in (ISO, self._settings.day_format))
            twofold = f"; {TWO_DAYS}" if may_be_two_days(text[:LONGEST_DAY]) else ""
            raise ValueError(f"must be a day as in {' or '.join(forms)}{twofold}") from wrong

    def _day_of(self, moment: datetime) -> date | None:
        """Systems export days as midnights, of UTC or of where they are: then its date in UTC is the day before."""
        name = self.text("time_zone") or self._settings.time_zone
        if moment.time() == time.min or moment.time() >= LAST_MINUTE:
            return _lived(moment.date())
        if name != "UTC":
            with suppress(ValueError):
                return _lived(moment.astimezone(zone_named(name)).date())
        if moment.time() in MIDNIGHTS_OF_EUROPE:
            raise UncertainDayError
        return _lived(moment.date())


def is_moment(text: str) -> bool:
    """Whether it names one that is in one of two days, by where its clock hangs."""
    return bool(IN_UTC.fullmatch(text[:LONGEST_DAY]) or TICKS.fullmatch(text[:LONGEST_DAY]))


def _is_nothing(value: object) -> bool:
    return value in (None, "") or (isinstance(value, str) and composed(value) in NO_VALUE)


def _lived(day: date) -> date | None:
    """Systems write 9999-12-31 or 1900-01-01 for a day that is not known. 0026-11-20 is a slip."""
    if 1 < day.year < CENTURY:
        raise ValueError("the year has lost its century")
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return composed(str(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise ValueError("must be a text or a whole number")


# How lists call the address beside its kind: SCIM, Microsoft, and others.
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
