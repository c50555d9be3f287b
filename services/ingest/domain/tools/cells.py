"""Conventions in cells of tables and members of feeds: missing values, formulas, damaged names."""

import re
import unicodedata
from html import unescape

from services.ingest.domain.tools.allow_list import FORMAT_CATEGORY

# How tables and databases write a missing value.
NOTHING = frozenset({"null", "none", "nil", "n/a", "na", "nan", "nat", "-", "--", "#n/a"})
# Placeholders for a missing value, case-sensitive: names such as "Null" or "Nan" exist.
NO_VALUE = frozenset({"NULL", "null", "(null)", "<null>", "None", "NaN", "nan", "NaT", "N/A", "n/a", "-", "--"})
# Excel's error values, in English and in German.
NO_RESULT = re.compile(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|NV|BEZUG!|WERT!|ZAHL!)")
ZEROS = re.compile(r"0{1,8}([-./]0{1,4}){0,2}([T ][0-9:.]{0,20}[Zz]?)?", re.ASCII)
_TEXT_FORMULA = re.compile(r'="([^"]*)"')
# Typed into Excel so that a number or a day stays text; programs that read its cells may output it as well.
_TYPED_AS_TEXT = re.compile(r"'(?=[0-9])")
# Minimum and maximum days in Excel (whose day 0 belongs to no month), databases, .NET and SAP.
NO_DAYS = re.compile(
    r"(1900[-./]0?1[-./]00?|00?[-./ ](0?1|jan)[-./ ](19)?00|0?1[-./]00?[-./](19)?00"
    r"|9999[-./]12[-./]31|(31[-./]12|12[-./]31)[-./]9999|1899[-./]12[-./]3[01]|(3[01][-./]12|12[-./]3[01])[-./]1899"
    r"|(0001|1900)[-./]0?1[-./]0?1|0?1[-./]0?1[-./](0001|1900))([t ][0-9:.]{4,16}( ?(z|[+-][0-9:]{2,5}))?)?"
)
_JOINERS = "\u200c\u200d"


def is_missing_day(text: str) -> bool:
    """Whether the text is a system's placeholder for a missing day: `0000-00-00`, `00.00.0000 00:00:00`, `1900-01-00`,
    `9999-12-31`, `NULL`."""
    plain = text.lower()
    return plain in NOTHING or bool(ZEROS.fullmatch(text) or NO_DAYS.fullmatch(plain))


# Without the quotes and brackets that surround an address in formulas and links.
ADDRESS = re.compile(r"[^@\s\"()<>\[\]]+@[^@\s\"()<>\[\]]+")
# A replacement character, or the beginning of a formula: neither occurs in names.
LOST = "\ufffd"
FORMULA = "="
# `MÃ¼ller`: UTF-8 that was decoded as cp1252 and saved. A no-break space may follow a capital Ã.
_READ_WRONGLY = re.compile(
    "Ã[\x80-\x9f\xa1-\xbf\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u201c\u201d"
    "\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]"
)
READ_WRONGLY = "Ã¼"


def find_damage(name: str) -> tuple[str, str] | None:
    """Return what is wrong with a name, and the shortest text with the same fault."""
    if LOST in name:
        return "holds a letter that was lost when the table was saved: save it anew, as UTF-8", LOST
    if name.startswith(FORMULA):
        return "is a formula: save the table with what its formulas give", FORMULA
    if _READ_WRONGLY.search(name):
        return "was read in another encoding than it was written in, and saved so: save the table anew", READ_WRONGLY
    return None


def unwrap_formula(cell: str) -> str:
    """Unwrap `="00123"` or `'00123`, by which a table tells Excel that a number is text."""
    found = _TEXT_FORMULA.fullmatch(cell)
    return found[1] if found else _TYPED_AS_TEXT.sub("", cell, 1) if _TYPED_AS_TEXT.match(cell) else cell


_WHOLE_NUMBER = re.compile(r"([0-9]{1,15})\.0", re.ASCII)


def as_whole_number(written: str) -> str:
    """Return `4711` for `4711.0`, as programs write a whole number in a column with empty cells."""
    found = _WHOLE_NUMBER.fullmatch(written)
    return found[1] if found else written


# `4.711E+03`, or without the sign: a table's display of a number that is too long for its column.
SHORTENED = re.compile(r"[0-9][.,][0-9]{1,15}[eE]\+?[0-9]{1,3}", re.ASCII)
LOST_DIGITS = "is a number of which a table has left digits out: give the column the format of text, and its ids anew"

_OF_HTML = re.compile(r"&(?:#[0-9]{2,6}|#[xX][0-9a-fA-F]{2,5}|[A-Za-z]{2,8});")


def plain_name(text: str) -> str:
    """Return a person's name on one line, without controls, direction marks and HTML escapes (`M&uuml;ller`). Joiners
    stay: names contain them."""
    line = " ".join(_OF_HTML.sub(lambda found: unescape(found[0]), text).split())
    if line.isprintable():
        return line
    return "".join(one for one in line if one in _JOINERS or unicodedata.category(one) not in {"Cc", FORMAT_CATEGORY})
