"""What HR systems send of a person, and what they mean by it."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from schemas.primitives import EPOCH, FIRST_YEAR, LAST_YEAR, Code, TimeZone
from services.ingest.domain.tools.allow_list import composed, mailboxes, visible
from services.ingest.domain.tools.cells import NO_RESULT, NO_VALUE, NOTHING, damage_of, is_no_day
from services.ingest.domain.verdict import Problem
from services.ingest.sources.day_formats import may_be_two_days
from services.ingest.sources.hr.columns import NAMES, flat, plain
from services.ingest.sources.table_words import PEOPLE_COLUMNS
from services.ingest.sources.tables import ENCODINGS, encoding_called
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import VendorModel, ZonedOrUtc

Status = Literal["active", "leave", "exited"]
# "Inactive" is a leave to some systems and an exit to others, and "T" may be true or terminated: what would end
# relationships is not guessed.
STATUSES: Mapping[str, Status] = {
    **dict.fromkeys(("active", "employed", "current", "enabled", "true", "a", "hired", "rehired"), "active"),
    **dict.fromkeys(("aktiv", "beschäftigt", "actif", "activo", "activa", "attivo", "attiva", "actief"), "active"),
    **dict.fromkeys(("beurlaubt", "elternzeit", "mutterschutz", "karenz", "karenziert"), "leave"),
    **dict.fromkeys(("ausgetreten", "ausgeschieden"), "exited"),
    **dict.fromkeys(("leave", "on leave", "leave of absence", "loa", "absent", "parental leave"), "leave"),
    **dict.fromkeys(("maternity leave", "paternity leave", "medical leave", "sabbatical"), "leave"),
    **dict.fromkeys(("terminated", "exited", "left", "resigned", "retired", "dismissed", "deceased"), "exited"),
    **dict.fromkeys(("former", "ex-employee", "separated", "false"), "exited"),
}
# Of a column that asks whether somebody is active: how databases and forms write yes. The letters that they write for
# no stand for other things elsewhere, so that only settings can make an exit of them.
YES = frozenset({"true", "t", "yes", "y", "1", "1.0", "on", "x", "ja", "j", "wahr", "oui", "vrai", "sí", "si", "vero"})
ACTIVE = re.compile(
    r"(?<!in)(?<!no)(?<!not)(?<!non)(?<!longer)(?<!nicht)(?<!mehr)(active|activ[oa]|actif|aktiv|attiv[oa]|ativ[oa])"
    r"|(?<!un)employed|enabled|angestellt|beschäftigt"
)
# Of a column that asks whether somebody is gone, true and false mean the opposite, or nothing that we know. The same
# goes for a column of a name that only the settings know: it may ask for anything, in any language.
GONE = re.compile(r"inactive|terminat|exit|left|leave|absent|former|resign|retire|disabled|deleted|suspend|blocked")
# Whoever is on leave may have an account that is switched off.
ACCOUNT = re.compile(r"enabled|account|login|konto")
TRUTH = frozenset({"true", "false"})
ISO = "%Y-%m-%d"
Name = Annotated[str, Field(min_length=1, max_length=100)]


def _readable(form: str) -> str:
    """A form that cannot read what it has written names no day."""
    for day in (date(2026, 2, 3), date(1999, 12, 31)):
        if datetime.strptime(day.strftime(form), form).date() != day:  # noqa: DTZ007 (a day has no zone)
            raise ValueError("must be a form of days as in %d.%m.%Y")
    return form


def _known_encoding(name: str | None) -> str | None:
    found = encoding_called(name) if name else None
    if name and not found:
        raise ValueError(f"is no encoding that tables are read in, such as {', '.join(ENCODINGS)}")
    return found


class HrSettings(ToolSettings):
    """`columns` names ours (see PEOPLE_COLUMNS) where the usual names do not fit. `statuses` adds to ours. Days are
    ISO 8601, or in `day_format`; without one, in the form that the days of a table show without doubt. `encoding` is
    that of tables that are not UTF-8, where they do not show it. `identities`: the column that holds who somebody is in
    another tool. `time_zone` and `consent` are those of rows without."""

    columns: Mapping[str, Name | tuple[Name, ...]] = Field(default_factory=dict)
    statuses: Mapping[Name, Status] = Field(default_factory=dict)
    identities: Mapping[Code, Name] = Field(default_factory=dict)
    encoding: Annotated[str | None, AfterValidator(_known_encoding)] = None
    day_format: Annotated[str, AfterValidator(_readable)] = ISO
    time_zone: TimeZone = "UTC"
    consent: bool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        if unknown := sorted(self.columns.keys() - PEOPLE_COLUMNS.keys()):
            raise ValueError(f"columns.{unknown[0]} is none of ours: {', '.join(PEOPLE_COLUMNS)}")
        return self

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """What each of our columns is called, plain, in order of preference."""
        given = {column: self.columns.get(column, usual) for column, usual in PEOPLE_COLUMNS.items()}
        return {
            column: tuple(map(plain, (names,) if isinstance(names, str) else names)) for column, names in given.items()
        }

    @cached_property
    def columns_read(self) -> frozenset[str]:
        """All columns that are read, by their plain names. Whatever else stands in a record is nobody's business."""
        known = (name for names in self.names.values() for name in names)
        return frozenset((*known, *map(plain, self.identities.values())))

    # All rows of a table have the same members, and statuses are few: neither is found anew for each person.
    @cached_property
    def there(self) -> Callable[[tuple[str, ...]], Mapping[str, tuple[str, ...]]]:
        """Of a record with these members, plain, those that each of our columns may be, in order of preference."""

        @lru_cache(maxsize=64)
        def there(members: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
            return {column: tuple(name for name in names if name in members) for column, names in self.names.items()}

        return there

    @cached_property
    def status(self) -> Callable[[str, str], Status | None]:
        """What a text says in the column of this name."""
        given = {visible(name).casefold(): status for name, status in self.statuses.items()}

        @lru_cache(maxsize=1024)
        def status(text: str, column: str) -> Status | None:
            written = visible(text).casefold()
            folded = " ".join(written.replace("_", " ").split())
            spaced = " ".join(folded.replace("-", " ").split())
            if found := given.get(written) or given.get(folded):
                return found
            if folded in YES and ACTIVE.search(plain(column)):
                return "active"
            if folded in TRUTH and not _asks_who_is_active(plain(column)):
                return None
            return STATUSES.get(folded) or STATUSES.get(spaced)

        return status


def _asks_who_is_active(column: str) -> bool:
    """By its plain name. The usual names of a status do where nothing else is said of them."""
    is_usual = not column or column in map(plain, PEOPLE_COLUMNS["status"])
    return (is_usual or bool(ACTIVE.search(column))) and not (GONE.search(column) or ACCOUNT.search(column))


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
TICKS = re.compile(r"/Date\((-?\d{1,14})(?:[+-]\d{4})?\)/", re.ASCII)
# As Excel counts days where a cell has not the format of one. Of the years from 2015 to 2035: what else is written in
# five digits, such as a day of one digit before its month and year, is no number of these.
SERIAL = re.compile(r"(4(?:200[5-9]|20[1-9]\d|2[1-9]\d\d|[3-8]\d{3}|9[0-5]\d\d))(?:[.,]\d{1,12})?", re.ASCII)
DAY_0 = date(1899, 12, 30)
CENTURY = 100
TWO_DAYS = "this one may be two, by which comes first, day or month: settings.day_format can say it"
# What may follow a day in the form of the settings.
CLOCK = re.compile(r"[T ]\d\d:\d\d[\d:.]*$", re.ASCII)
MOMENT: TypeAdapter[datetime] = TypeAdapter(ZonedOrUtc)


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
        return found

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
        return self._read(column, _flag, None)

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
        """The first of the columns that could say it that is filled in, else the first that is there."""
        there = self.all_of(column)
        filled = (one for one in there if not self._says_nothing(column, one[1]))
        return next(filled, there[0] if there else (column, None))

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
            if found := DAY.fullmatch(text[:LONGEST_DAY]):
                return _lived(date.fromisoformat(found[1]))
            if found := TICKS.fullmatch(text[:LONGEST_DAY]):
                return _lived((EPOCH + timedelta(milliseconds=int(found[1]))).date())
            if found := SERIAL.fullmatch(text[:LONGEST_DAY]):
                return DAY_0 + timedelta(days=int(found[1]))
            form, written = self._settings.day_format, text[:LONGEST_DAY]
            if form == ISO and DIGITS.fullmatch(written):
                return _lived(date.fromisoformat(written))
            # Systems that export days may write their midnights.
            timed = written if "%H" in form or "%I" in form else CLOCK.sub("", written)
            return _lived(datetime.strptime(timed, form).date())  # noqa: DTZ007 (a day has no zone)
        except ValueError as wrong:
            example = date(2026, 3, 31)
            forms = dict.fromkeys(example.strftime(form) for form in (ISO, self._settings.day_format))
            twofold = f"; {TWO_DAYS}" if may_be_two_days(text[:LONGEST_DAY]) else ""
            raise ValueError(f"must be a day as in {' or '.join(forms)}{twofold}") from wrong


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


def _flag(value: object) -> bool:
    text = _text(value).lower()
    if text not in YES | FALSE:
        raise ValueError("must be true or false")
    return text in YES
