"""Settings of an HR feed: column names, date format, and the meaning of status texts, with defaults for common HR
systems."""

import re
from collections.abc import Callable, Container, Iterator, Mapping
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.primitives import Code, TimeZone
from services.ingest.domain.tools.allow_list import visible
from services.ingest.sources.table_words import PEOPLE_COLUMNS
from services.ingest.sources.tables import ENCODINGS, table_encoding
from services.ingest.sources.tool import ToolSettings

# The columns of a name.
NAMES = ("name", "first_name", "last_name")
# The columns of days.
DAYS = ("leave_from", "leave_until", "back_on", "rehired_on", "terminated_on", "last_day")
# Wrappers of a value with its label (Personio), or alone (BambooHR's `fields`); Workday refers to things by
# `Descriptor`.
VALUE_WRAPPERS = ("value", "Descriptor")
# Wrappers of the person's own members, in JSON:API and BambooHR.
OWN_WRAPPERS = frozenset({"attributes", "fields"})
# Members of a person are not nested deeper.
MAX_LEVELS = 4

# A date format in a column's name.
_FORM_OF_DAYS = re.compile(r"[(\[]\s*[dmytja]{1,4}([-./ ][dmytja]{1,4}){1,2}\s*[)\]]", re.IGNORECASE)

# Prefixes of XML converted to JSON, and of HiBob's paths.
_BEFORE_A_NAME = re.compile(r"^(?:wd|ns[0-9]+):|^/(?:root/)?")
# `Personal-Nr.` ends in a dot that separates no members.
_DOT_OF_AN_END = re.compile(r"\.(?!\w)")


# Cached: the same few names occur in every row.
@lru_cache(maxsize=4096)
def normalise(name: str) -> str:
    """Normalise a column name: lower case, without blanks and punctuation except dots between nested members. `Employee
    #` is a number."""
    words = _BEFORE_A_NAME.sub("", _FORM_OF_DAYS.sub("", visible(name)).casefold()).replace("#", "number")
    dotted = _DOT_OF_AN_END.sub("", words.replace("/", "."))
    return "".join(letter for letter in dotted if letter.isalnum() or letter == ".")


# All known column names, normalised.
KNOWN_COLUMNS = frozenset(normalise(name) for names in PEOPLE_COLUMNS.values() for name in names)


def flatten(employee: Mapping[str, object]) -> Mapping[str, tuple[str, object]]:
    """Map normalised names to the written name and the value; `name.formatted` is a nested member. If two names are
    equal (`Email`, `E-Mail`), an empty value is ignored, and two addresses become a list: somebody may have several."""
    found: dict[str, tuple[str, object]] = {}
    for name, value in _leaves("", employee, MAX_LEVELS):
        called, before = found.get(normalise(name), (name, None))
        if before is not None and before != value and (first := _addresses(before)) and (more := _addresses(value)):
            found[normalise(name)] = (called, [*first, *more])
        elif value not in (None, "") or normalise(name) not in found:
            found[normalise(name)] = (name, value)
    return found


def _addresses(value: object) -> list[object]:
    """Return the value as a list of texts with an @; empty for anything else."""
    texts = value if isinstance(value, list) else [value]
    return texts if all(isinstance(one, str) and "@" in one for one in texts) else []


def contradiction(employee: Mapping[str, object], columns: Container[str]) -> str:
    """Return the first of these columns that occurs twice (`Status`, `status`) with different values; differences in
    case (`Active`, `ACTIVE`) and between number and text are ignored. "" if there is none."""
    found: dict[str, str] = {}
    for name, value in _leaves("", employee, MAX_LEVELS):
        if value not in (None, "") and (column := normalise(name)) in columns:
            text = visible(str(value)).casefold()
            if found.setdefault(column, text) != text:
                return name
    return ""


def _leaves(prefix: str, members: Mapping[str, object], levels: int) -> Iterator[tuple[str, object]]:
    for name, value in members.items():
        if isinstance(value, dict) and (labelled := next((one for one in VALUE_WRAPPERS if one in value), "")):
            yield f"{prefix}{name}", value[labelled]
        elif isinstance(value, dict) and levels > 1:
            yield from _leaves("" if name in OWN_WRAPPERS else f"{prefix}{name}.", value, levels - 1)
        else:
            yield f"{prefix}{name}", value


Status = Literal["active", "leave", "exited"]
# "Inactive" is a leave in some systems and an exit in others, and "T" may be true or terminated: what would end
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
# How databases and forms write yes, in a column that asks whether somebody is active. Their letters for no have other
# meanings elsewhere, so only settings can make an exit of them.
YES = frozenset({"true", "t", "yes", "y", "1", "1.0", "on", "x", "ja", "j", "wahr", "oui", "vrai", "sí", "si", "vero"})
ACTIVE = re.compile(
    r"(?<!in)(?<!no)(?<!not)(?<!non)(?<!longer)(?<!nicht)(?<!mehr)(active|activ[oa]|actif|aktiv|attiv[oa]|ativ[oa])"
    r"|(?<!un)employed|enabled|angestellt|beschäftigt"
)
# In a column that asks whether somebody is gone, true and false mean the opposite, or nothing certain. The same applies
# to a column name that only the settings know: it may ask for anything, in any language.
GONE = re.compile(r"inactive|terminat|exit|left|leave|absent|former|resign|retire|disabled|deleted|suspend|blocked")
# A person on leave may have a disabled account.
ACCOUNT = re.compile(r"enabled|account|login|konto")
LONGEST_CACHED = 4_000
"""Limit of cached texts, in characters."""
TRUTH = frozenset({"true", "false"})
ISO = "%Y-%m-%d"
Name = Annotated[str, Field(min_length=1, max_length=100)]


def _readable(form: str) -> str:
    """Reject a format that does not parse its own output."""
    for day in (date(2026, 2, 3), date(1999, 12, 31)):
        if datetime.strptime(day.strftime(form), form).date() != day:  # noqa: DTZ007 (a day has no zone)
            raise ValueError("must be a form of days as in %d.%m.%Y")
    return form


def _validate_encoding(name: str | None) -> str | None:
    found = table_encoding(name) if name else None
    if name and not found:
        raise ValueError(f"is no encoding that tables are read in, such as {', '.join(ENCODINGS)}")
    return found


class HrSettings(ToolSettings):
    """`columns` names our columns (see PEOPLE_COLUMNS) where the usual names do not fit. `statuses` adds to ours. Days
    are ISO 8601, or in `day_format`; without one, in the format that the table's days show without doubt. `encoding` is
    for tables that are not UTF-8, if it cannot be detected. `identities` maps a tool to the column with the person's id
    in that tool. `dotted_ids` says that ids of a table such as 12.345 are no numbers with thousands separators.
    `time_zone` and `consent` are defaults for rows without them."""

    columns: Mapping[str, Name | tuple[Name, ...]] = Field(default_factory=dict)
    statuses: Mapping[Name, Status] = Field(default_factory=dict)
    identities: Mapping[Code, Name] = Field(default_factory=dict)
    encoding: Annotated[str | None, AfterValidator(_validate_encoding)] = None
    day_format: Annotated[str, AfterValidator(_readable)] = ISO
    dotted_ids: bool = False
    time_zone: TimeZone = "UTC"
    consent: bool = False

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        if unknown := sorted(self.columns.keys() - PEOPLE_COLUMNS.keys()):
            raise ValueError(f"columns.{unknown[0]} is none of ours: {', '.join(PEOPLE_COLUMNS)}")
        return self

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """The names of each of our columns, normalised, in order of preference."""
        given = {column: self.columns.get(column, usual) for column, usual in PEOPLE_COLUMNS.items()}
        return {
            column: tuple(map(normalise, (names,) if isinstance(names, str) else names))
            for column, names in given.items()
        }

    @cached_property
    def columns_of_one_value(self) -> frozenset[str]:
        """Columns with at most one value: all but addresses."""
        return self.columns_read - frozenset(self.names["addresses"])

    @cached_property
    def columns_read(self) -> frozenset[str]:
        """All columns that are read, by normalised name; everything else in a record is ignored."""
        names = (name for names in self.names.values() for name in names)
        return frozenset((*names, *map(normalise, self.identities.values())))

    # Cached: all rows of a table have the same members, and statuses are few. Very long texts bypass the cache to bound
    # its size.
    @cached_property
    def present_columns(self) -> Callable[[tuple[str, ...]], Mapping[str, tuple[str, ...]]]:
        """For a record with these members (normalised), the present synonyms of each column, in order of preference."""

        def present_columns(members: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
            present = set(members)
            return {column: tuple(name for name in names if name in present) for column, names in self.names.items()}

        cached = lru_cache(maxsize=64)(present_columns)
        return lambda members: (cached if sum(map(len, members)) <= LONGEST_CACHED else present_columns)(members)

    def is_active(self, column: str, value: object) -> bool:
        """Whether the value of a status column means that the person is active."""
        return isinstance(value, str | bool | int) and self.status(str(value), column) == "active"

    @cached_property
    def status(self) -> Callable[[str, str], Status | None]:
        """The status that a text means in the column of this name."""
        given = {visible(name).casefold(): status for name, status in self.statuses.items()}

        def status(text: str, column: str) -> Status | None:
            written = visible(text).casefold()
            folded = " ".join(written.replace("_", " ").split())
            spaced = " ".join(folded.replace("-", " ").split())
            if found := given.get(written) or given.get(folded):
                return found
            if folded in YES and ACTIVE.search(normalise(column)):
                return "active"
            named = normalise(column)
            # The usual status columns ask who is active, unless their name says otherwise.
            is_of_active = not named or named in map(normalise, PEOPLE_COLUMNS["status"]) or ACTIVE.search(named)
            if folded in TRUTH and (not is_of_active or GONE.search(named) or ACCOUNT.search(named)):
                return None
            return STATUSES.get(folded) or STATUSES.get(spaced)

        cached = lru_cache(maxsize=1024)(status)
        return lambda text, column: (cached if len(text) + len(column) <= LONGEST_CACHED else status)(text, column)
