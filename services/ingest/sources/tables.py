"""Detect the layout of a text table, for feeds and for `import`: encoding, header row and delimiter, and rows to skip.
Ambiguity is left to the caller."""

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

DELIMITERS = (",", ";", "\t", "|")
# Excel's own line before the header; it names the delimiter.
SEP_LINE = re.compile(rb'"?sep=([!-/:-@\[-`{-~\t])"?', re.IGNORECASE)
# No cell spans more lines: an opening quote without its end within them is a typo, and the following lines are rows of
# their own.
MAX_LINES = 20
MAX_BYTES = 512 * 1024
"""Limit of one row. A request to the gateway has at most 1 MiB; half of it keeps requests short."""
MAX_HEADER_ROWS = 30
"""Exports put titles, filters and dates above the header, but not more rows than this."""
UTF_8 = "utf-8"
ENCODINGS = ("cp1252", "cp1250", "cp1254", "cp1257", "mac_roman", "mac_latin2", "cp850", "cp852")
"""The encodings Excel writes, by language and machine, if not UTF-8. The Turkish, Baltic and Central European ones also
prevent misreading their names in a Western one: `Jānis` as `Jânis`."""
DECLARED = frozenset({*ENCODINGS, "iso8859-1", "iso8859-2", "iso8859-15", "cp437", "utf-8", "ascii"})
NON_CSV_SIGNATURES = {
    b"PK\x03\x04": "a workbook or an archive, whatever its name says: call it .xlsx, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "a workbook of an Excel before 2007: save it as .xlsx, or as CSV",
    b"%PDF": "a PDF: save the table as .xlsx, or as CSV",
}
MAX_READ_FOR_ENCODING = 2_000
"""Non-ASCII lines to inspect; a dozen would usually give the same result."""


@dataclass(frozen=True)
class Line:
    """`number` counts from 1; `text` excludes the line ending. A row with line breaks in its cells is one Line that
    spans `lines` lines of a file; in a workbook `lines` is 1."""

    number: int
    text: bytes
    lines: int = 1


class BrokenRowError(ValueError):
    """The row cannot be split into cells."""


def candidate_encodings(texts: Iterable[bytes]) -> tuple[str, ...]:
    """Return the candidate encodings. Any valid non-ASCII UTF-8 line means UTF-8. Otherwise return the encodings in
    which every line reads as plausible words: a single one if all candidates decode the same text, none if no encoding
    fits."""
    others = []
    for text in texts:
        try:
            if not text.decode(UTF_8).isascii():
                return (UTF_8,)
        except UnicodeDecodeError:
            others.append(text)
    if not others:
        return (UTF_8,)
    decoded = {name: _decode_if_plausible(others[:MAX_READ_FOR_ENCODING], name) for name in ENCODINGS}
    likely = {
        name: words
        for name, words in decoded.items()
        if words is not None and decoded.get(_WESTERN_COUNTERPART.get(name, ""), words) is not None
    }
    return tuple(likely) if len(set(map(tuple, likely.values()))) > 1 else tuple(likely)[:1]


def table_encoding(name: str) -> str | None:
    """Return the codec of an encoding under any of its names, such as windows-1252; None if it is not used for tables.
    Latin-1 is read as cp1252, as browsers do: a superset."""
    try:
        found = codecs.lookup(name).name.replace("mac-", "mac_")
    except (LookupError, ValueError):
        return None
    return None if found not in DECLARED else {"iso8859-1": "cp1252", "ascii": UTF_8}.get(found, found)


def in_utf_8(line: Line, *encodings: str) -> Line:
    """Re-encode the line as UTF-8, or return it unchanged where the encodings disagree. Undecodable bytes are kept and
    cause the row's rejection."""
    if line.text.isascii() or UTF_8 in encodings:
        return line
    decoded = {line.text.decode(one, "surrogateescape") for one in encodings}
    return Line(line.number, decoded.pop().encode(UTF_8, "surrogateescape")) if len(decoded) == 1 else line


def _decode_if_plausible(texts: Sequence[bytes], encoding: str) -> list[str] | None:
    """Decode the texts; None if a letter is implausible at its position in a word, or in the encoding's languages."""
    allowed = _LETTERS_OF.get(encoding, _LETTERS)
    found = []
    for text in texts:
        words = text.decode(encoding, "replace")
        # In each of these encodings, 0xFF is a sign or a letter that names do not contain.
        if b"\xff" in text or _OTHER_SCRIPT.search(words):
            return None
        if not all(_fits(words, letter.start(), allowed) for letter in _NOT_ASCII.finditer(words)):
            return None
        found.append(words)
    letters = set(filter(str.isalpha, _NOT_ASCII.findall("".join(found))))
    is_baltic = letters <= _BALTIC or letters & _IN_EVERY_BALTIC_TABLE
    return found if encoding != "cp1257" or is_baltic else None


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# `Žďár` has three consecutive non-ASCII letters; Cyrillic and Greek words have only such letters.
_OTHER_SCRIPT = re.compile(r"[^\W\d_\x00-\x7f]{6}")
# Letters of the languages that these encodings serve. Names in these languages use no others.
_LETTERS = frozenset(map(chr, range(0xC0, 0x180))) - frozenset("\xd7\xf7\xff\u0178\u0138\u0149\u017f\u0131")
_CENTRAL = "áčďéěíňóřšťúůýžäĺľôŕąćęłńśźżöőüűß"
_LETTERS_OF = {
    "cp1254": _LETTERS | {"\u0131"},
    "mac_latin2": frozenset(_CENTRAL + _CENTRAL.upper()),
    "cp852": frozenset(_CENTRAL + _CENTRAL.upper() + "ăâîşţđĂÂÎŞŢĐ"),
}
# Machines with these encodings are rare: they count only if the Western counterpart fits too.
_WESTERN_COUNTERPART = {"mac_latin2": "mac_roman", "cp852": "cp850"}
_IN_EVERY_BALTIC_TABLE = frozenset("šžŠŽ")
_BALTIC = frozenset("ąčęėįšųūžāēģīķļņōŗäöüõ" + "ąčęėįšųūžāēģīķļņōŗäöüõ".upper())
# Within a word, an apostrophe or a blank; at its edges, quotes, dashes and signs.
_WITHIN = frozenset("\u2019\xa0")
_AROUND = _WITHIN | frozenset("\u2018\u201c\u201d\u201e\u201a\u2039\u203a\xab\xbb\u2013\u2014\u2026\u20ac§°¿¡®")


def _fits(words: str, index: int, allowed: frozenset[str]) -> bool:
    letter, before, after = words[index], words[index - 1 : index], words[index + 1 : index + 2]
    if letter not in allowed:
        return letter in (_WITHIN if before.isalpha() and after.isalpha() else _AROUND)
    if letter.isupper():
        return not before.islower()
    # In an all-capitals word only this letter is lower case, because it has no capital.
    return letter == "ß" or not (before.isupper() and after.isupper())


def is_open(text: bytes) -> bool:
    """Whether a quote is still open: a complete row has an even number of quotes."""
    return text.count(b'"') % 2 == 1


class Rows:
    """Iterate over the rows of lines and skip blank lines. A row with an open quote continues on the next lines if the
    result satisfies `fits`."""

    def __init__(self, lines: Iterable[Line], fits: Callable[[Line], bool]) -> None:
        self._lines, self._fits = iter(lines), fits
        self._pushed_back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        while line := self._next():
            if is_open(line.text):
                yield self._with_continuation(line)
            elif line.text.strip():
                yield line

    def _next(self) -> Line | None:
        return self._pushed_back.popleft() if self._pushed_back else next(self._lines, None)

    def _with_continuation(self, first: Line) -> Line:
        """Return the row that begins here: the line alone if no following line completes it."""
        joined_lines = [first]
        size = len(first.text)
        while len(joined_lines) < MAX_LINES and size <= MAX_BYTES and (line := self._next()):
            joined_lines.append(line)
            size += len(line.text)
            if is_open(line.text):
                row = Line(first.number, b"\n".join(one.text for one in joined_lines), len(joined_lines))
                if self._fits(row):
                    return row
                break
        self._pushed_back.extendleft(reversed(joined_lines[1:]))
        return first


@dataclass(frozen=True)
class HeaderRow:
    """The column names as written, and the raw row. Data rows begin after line `last`; a table may repeat its header on
    each page."""

    line: int
    last: int
    delimiter: str
    names: tuple[str, ...]
    text: bytes = b""


@dataclass(frozen=True)
class HeaderFit:
    """Whether a row has all required columns, and how many recognised ones."""

    is_complete: bool
    recognised: int


# A title may contain one word that is also a column name.
MIN_RECOGNISED = 2


def find_header(
    lines: Iterable[Line],
    split_row: Callable[[bytes, str], Sequence[str]],
    fit_of: Callable[[Sequence[str]], HeaderFit],
) -> HeaderRow | None:
    """Return the first row with all required columns, else the one with the most recognised columns, else the first:
    the caller then reports what is missing. Return None if all lines are blank. Raises BrokenRowError, with the line
    number, if the chosen row cannot be split."""
    every = Rows(lines, lambda row: not is_open(row.text))
    rows = list(islice((row for row in every if row.text.strip(EMPTY)), MAX_HEADER_ROWS))
    sep_line = SEP_LINE.fullmatch(rows[0].text.strip()) if rows else None
    delimiters = (sep_line[1].decode(),) if sep_line else DELIMITERS
    cuts: list[tuple[HeaderFit, HeaderRow] | BrokenRowError] = []
    for row in rows[1:] or rows if sep_line else rows:
        try:
            cut = _best_cut(row, delimiters, split_row, fit_of)
        except BrokenRowError as broken:
            cuts.append(broken)
            continue
        if cut[0].is_complete:
            return cut[1]
        cuts.append(cut)
    splittable = [one for one in cuts if not isinstance(one, BrokenRowError)]
    best = max(splittable, key=lambda one: one[0].recognised, default=None)
    if best and best[0].recognised >= MIN_RECOGNISED:
        return best[1]
    if cuts and isinstance(cuts[0], BrokenRowError):
        raise cuts[0]
    return splittable[0][1] if splittable else None


def _best_cut(
    row: Line,
    delimiters: Sequence[str],
    split_row: Callable[[bytes, str], Sequence[str]],
    fit_of: Callable[[Sequence[str]], HeaderFit],
) -> tuple[HeaderFit, HeaderRow]:
    """Choose the delimiter with the most recognised columns, then with the most columns: names may contain commas, as
    in `Name, Given Name;ID;Status`."""
    found: dict[str, Sequence[str]] = {}
    problem: BrokenRowError | None = None
    for delimiter in delimiters:
        try:
            found[delimiter] = split_row(row.text, delimiter)
        except BrokenRowError as broken:
            # Quoted names cannot be split at other delimiters.
            problem = problem or broken
    if problem and not found:
        raise BrokenRowError(f"line {row.number}: the header {problem}") from problem
    fits = {delimiter: fit_of(names) for delimiter, names in found.items()}
    cut = max(found, key=lambda one: (fits[one].recognised, len(found[one])))
    last = row.number + row.lines - 1
    return fits[cut], HeaderRow(row.number, last, cut, tuple(found[cut]), row.text.strip())


def fit_to_header(cells: list[str], names: Sequence[str]) -> list[str]:
    """Drop empty cells beyond the header, and fill in missing cells of unnamed columns: Excel omits trailing empty
    cells in some rows and writes them in others. `Lovelace, Ada` without quotes is two cells and shifts the rest: then
    the extra cell stays, and the row is rejected."""
    if len(cells) == len(names):
        return cells
    is_shifted = any(cell[:1] == " " != name[:1] and cell.strip() for cell, name in zip(cells, names, strict=False))
    while not is_shifted and len(cells) > len(names) and not cells[-1].strip():
        cells.pop()
    named = max((index for index, name in enumerate(names, 1) if name.strip()), default=0)
    missing = len(names) - len(cells)
    return cells + [""] * missing if missing > 0 and len(cells) >= named else cells


# The characters of an empty row, without and with quotes.
BLANK = b",; \t|"
EMPTY = b'",; \t|'
# Excel's display of a failed formula: such a row is no note, and its column is rejected.
_ERROR = re.compile(rb"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!)")
# `#4711` is an id.
_NUMBERED = re.compile(rb"#[0-9]")
_TOTAL = re.compile(
    rb"(grand |sub)?totals?|(zwischen|gesamt)?summe|sum|(ins)?gesamt(zahl)?|anzahl|count|totale|suma", re.IGNORECASE
)
_COUNT = re.compile(r"[+-]?[0-9][0-9.,' \xa0%]*")

TOTAL_OR_PERSON = "may be a row of totals, or a person of that name: leave totals out of the table"


def is_skipped_row(text: bytes, delimiter: str) -> bool:
    """Whether a row carries no data: empty cells; a note such as a template's example, whose first cell begins with #
    without a following digit; or a row of totals, with only numbers beside that word."""
    words = text.strip(EMPTY)
    if not words:
        return True
    if words.startswith(b"#"):
        return not (_ERROR.match(words) or _NUMBERED.match(words))
    if not (total := _TOTAL.match(words)):
        return False
    beside = words[total.end() :].decode(UTF_8, "replace").replace('"', delimiter)
    cells = map(str.strip, re.split(f"[:{re.escape(delimiter)}]", beside))
    return all(_COUNT.fullmatch(cell) for cell in cells if cell)


def is_total(text: bytes) -> bool:
    """Whether a row or a cell begins with a word for totals."""
    return _TOTAL.match(text.strip(EMPTY)) is not None
