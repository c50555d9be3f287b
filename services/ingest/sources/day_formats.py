"""Detect the date format of a table from its own days; ambiguous days decide nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from unicodedata import normalize

UTC_WORD = r"[Zz]|UTC|GMT"
OFFSET = rf"{UTC_WORD}|[+-][0-9]{{2}}(?::?[0-9]{{2}})?"
ISO = "yyyy-mm-dd"
# Every common order; each part may lack its leading zero.
DAY_FORMATS = (
    *("dd.mm.yyyy", "dd.mm.yy", "dd/mm/yyyy", "dd/mm/yy", "mm/dd/yyyy", "mm/dd/yy"),
    *("dd-mm-yyyy", "mm-dd-yyyy", "yy/mm/dd", "yyyy/mm/dd", "yyyy.mm.dd", ISO),
)
# `26/02/03` may be in 2026 or in 2003. A day may begin with its year only if the year is one of these and the last
# number is not: `28/11/26` ends with its year, the usual order where the century is left out.
YEARS_IN_USE = frozenset(range(15, 30))
CENTURY = 2_000
"""For two-digit years: no tracked mentoring began before 2000."""
NOON = 12
LONGEST_WRITTEN = 64
"""Characters of a day with its time of day."""
_PARTS = {"dd": "(?P<d>[0-9]{1,2})", "mm": "(?P<m>[0-9]{1,2})", "yyyy": "(?P<y>[0-9]{4})", "yy": "(?P<y>[0-9]{2})"}
_CLOCK = (
    r"(?:(?:,? |T)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?P<second>:[0-9]{2})?(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
    rf"(?: Uhr)?(?: ?(?P<offset>{OFFSET}))?)?"
)

# English, German, French, Spanish, Italian, Dutch, Portuguese and (in plain letters) Turkish; shortened as Excel does
# (`Mrz`) or to any unambiguous prefix of at least three letters.
_MONTHS = (
    *(
        "january januar jänner janvier enero gennaio januari janeiro ocak",
        "february februar feber février febrero febbraio şubat",
    ),
    *(
        "march märz mrz mars marzo maart março mart",
        "april avril abril aprile nisan",
        "may mai mayo maggio mei maio mayis",
    ),
    *(
        "june juni juin junio giugno junho haziran",
        "july juli juillet julio luglio julho temmuz",
        "august août agosto augustus ağustos",
    ),
    *(
        "september septembre septiembre settembre setembro eylül",
        "october oktober octobre octubre ottobre outubro ekim",
    ),
    *("november novembre noviembre novembro kasim", "december dezember décembre diciembre dicembre dezembro aralik"),
)
_NAME = r"(?P<m>[A-Za-zäÄéÉûÛçÇ\u0131İşŞğĞüÜ]{3,10})\.?"
_YEAR = r"(?P<y>[0-9]{4}|[0-9]{2})"
_BETWEEN = r"(?:[-./ ]{1,2}| de )"
_DAY_MONTH = re.compile(rf"(?P<d>[0-9]{{1,2}})(?:er)?{_BETWEEN}{_NAME}{_BETWEEN}{_YEAR}{_CLOCK}")
_MONTH_DAY = re.compile(rf"{_NAME}[-./ ](?P<d>[0-9]{{1,2}}),? {_YEAR}{_CLOCK}")

# `2026年10月31日` in Japanese and Chinese, `2026. 10. 31.` in Korean and Hungarian: their years are first.
_YEAR_FIRST = re.compile(r"(?P<y>[0-9]{4})(?:年|\. ?)(?P<m>[0-9]{1,2})(?:月|\. ?)(?P<d>[0-9]{1,2})[日.]" + _CLOCK)

_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class SampledCell:
    """A cell and its position."""

    line: int
    column: str
    text: str


@dataclass(frozen=True)
class RivalFormats:
    """`formats` read different days from `cell`; `counts` lists how many cells each format reads."""

    formats: tuple[str, ...]
    cell: SampledCell
    counts: str


@cache
def pattern_of(day_format: str) -> re.Pattern[str]:
    """Matches a day, alone or before a time of day."""
    separator = next(letter for letter in day_format if not letter.isalpha())
    return re.compile(re.escape(separator).join(_PARTS[part] for part in day_format.split(separator)) + _CLOCK)


def in_iso(text: str, day_format: str) -> str:
    """Return `31.3.2026 4:30 PM` as ISO 8601; any other text unchanged."""
    found = pattern_of(day_format).fullmatch(text) or _with_month(text)
    if found is None:
        return text
    year = int(found["y"]) if len(found["y"]) > len("yy") else CENTURY + int(found["y"])
    month = _month(found["m"]) or int(found["m"])
    return f"{year:04}-{month:02}-{int(found['d']):02}" + _clock(found)


def _with_month(text: str) -> re.Match[str] | None:
    """Match a day with a month's name (`20-Nov-2026`, `20. Dez. 26`, `November 20, 2026`), or with signs that say which
    part is the year: it is unambiguous whatever the format of the other days."""
    found = _DAY_MONTH.fullmatch(text) or _MONTH_DAY.fullmatch(text)
    return found if found and _month(found["m"]) else _YEAR_FIRST.fullmatch(text)


def _month(name: str) -> int | None:
    """Return None for an unknown or ambiguous name, and for a number."""
    wanted = _without_accents(name)
    found = {number for month, number in MONTH_NAMES.items() if month.startswith(wanted)}
    return found.pop() if len(found) == 1 else None


def _without_accents(name: str) -> str:
    """Also matches `fevrier`, `aout`, and `KASIM`, whose I has no dot in Turkish."""
    letters = normalize("NFD", name.casefold()).replace("\u0131", "i")
    return "".join(letter for letter in letters if letter.isalpha())


MONTH_NAMES = {_without_accents(name): number for number, names in enumerate(_MONTHS, 1) for name in names.split()}


def _clock(found: re.Match[str]) -> str:
    """Return the time on a 24-hour clock. An hour that a 12-hour clock does not have stays out of range and is rejected
    later."""
    if found["hour"] is None:
        return ""
    hour = int(found["hour"])
    if found["half"]:
        hour = hour % NOON + (NOON if found["half"] in "Pp" else 0) if 1 <= hour <= NOON else hour + 24
    return f" {hour:02}:{found['minute']}{found['second'] or ''}{found['offset'] or ''}"


def day_format_of(cells: Sequence[SampledCell]) -> str | RivalFormats:
    """Return the format that reads the most non-ISO days, or RivalFormats if two formats read different days from the
    same cell."""
    others = [
        one
        for one in cells
        if not pattern_of(ISO).fullmatch(one.text.replace("T", " "))
        and not _ISO_DAY.match(one.text)
        and not _with_month(one.text)
    ]
    readable = {name: [one for one in others if _reads(one.text, name)] for name in DAY_FORMATS if name != ISO}
    best = max(map(len, readable.values()), default=0)
    if best == 0:
        return ISO
    fitting = [name for name, found in readable.items() if len(found) == best]
    ours = set(map(id, readable[fitting[0]]))
    # Formats with the same parts in another order that alone read some cell.
    rivals = [
        name
        for name, found in readable.items()
        if sorted(name) == sorted(fitting[0]) and name != fitting[0] and any(id(one) not in ours for one in found)
    ]
    if len(fitting) == 1 and not rivals:
        return fitting[0]
    choices = tuple(dict.fromkeys([*fitting, *rivals]))
    counts = ", ".join(f"{len(readable[name])} cells read as {name}" for name in choices)
    return RivalFormats(choices, readable[choices[-1]][0], counts)


def may_be_two_days(text: str) -> bool:
    """Whether several formats read different days: `03/04/2026` is in March or in April."""
    return len({in_iso(text, one)[:10] for one in DAY_FORMATS if one != ISO and _reads(text, one)}) > 1


def only_day(text: str, day_format: str | None) -> str:
    """Return the day as ISO 8601: by `day_format`, otherwise if all formats that read it agree. Return "" if none reads
    it or they disagree."""
    if day_format and day_format != ISO and _reads(text, day_format):
        return in_iso(text, day_format)[:10]
    days = {in_iso(text, one)[:10] for one in DAY_FORMATS if one != ISO and _reads(text, one)}
    return days.pop() if len(days) == 1 else ""


def _reads(text: str, day_format: str) -> bool:
    return len(text) <= LONGEST_WRITTEN and _reads_short(text, day_format)


# Days repeat across rows, and the bounded length keeps the cache small.
@lru_cache(maxsize=65_536)
def _reads_short(text: str, day_format: str) -> bool:
    iso = in_iso(text, day_format)
    if iso == text or (day_format == "yy/mm/dd" and not _may_begin_with_year(text)):
        return False
    try:
        return bool(date.fromisoformat(iso[:10]))
    except ValueError:
        return False


def _may_begin_with_year(text: str) -> bool:
    found = pattern_of("yy/mm/dd").fullmatch(text)
    return found is not None and int(found["y"]) in YEARS_IN_USE and int(found["d"]) not in YEARS_IN_USE
