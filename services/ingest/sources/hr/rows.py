"""Read the rows of a table of people, as HR systems and Excel write them. A fault in one row does not affect the other
rows."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.ingest.domain.tools.cells import unwrap_formula
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.hr.settings import KNOWN_COLUMNS, HrSettings, normalise
from services.ingest.sources.tables import (
    BLANK,
    MAX_HEADER_ROWS,
    MAX_LINES,
    NON_CSV_SIGNATURES,
    TOTAL_OR_PERSON,
    UTF_8,
    BrokenRowError,
    HeaderFit,
    Line,
    Rows,
    candidate_encodings,
    find_header,
    fit_to_header,
    in_utf_8,
    is_skipped_row,
    is_total,
)

BOM = b"\xef\xbb\xbf"
WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
UTF_32 = b"\xff\xfe\0\0"
MAX_COLUMNS = 500
# For a column that settings name; in any other column it does not matter.
TWICE = "is the name of two columns: rename or remove one of them"
REQUIRED = ("id", "status")
NO_COLUMN = "no column is the {}: settings.columns can name it"
NOT_UTF_8 = "save the file as UTF-8, or name its encoding"


@dataclass(frozen=True)
class HrRow:
    """`cells` by header name. `fault` concerns the row as a whole: its cells cannot be assigned to columns, and `cells`
    is empty. `undecoded` are faults of single cells, by column."""

    line: int
    cells: dict[str, str]
    fault: str = ""
    undecoded: tuple[tuple[str, str], ...] = ()


def read_rows(body: bytes, settings: HrSettings, charset: str = UTF_8) -> list[HrRow] | Rejected:
    """Rejected("malformed") if the file as a whole is at fault: its encoding or its header."""
    if kind := next((words for mark, words in NON_CSV_SIGNATURES.items() if body.startswith(mark)), None):
        return rejected("malformed", "", f"is {kind}")
    if body.startswith(WIDE_BOMS) and not body.startswith(UTF_32):
        # Excel's "Unicode text".
        body = body.decode("utf-16", "replace").encode()
    texts = body.removeprefix(BOM).splitlines()
    if b"\0" in next((text for text in texts if text.strip()), b""):
        return rejected("malformed", "line 1", "is UTF-16 or another wide encoding: save the file as UTF-8")
    encodings = candidate_encodings(texts)
    if encodings != (UTF_8,) and (named := settings.encoding or charset) != UTF_8:
        encodings = (named,)
    header = _header(_lines(texts, encodings), settings)
    return header if isinstance(header, Rejected) else list(header.rows(_lines(texts, encodings)))


def _lines(texts: Sequence[bytes], encodings: Sequence[str]) -> Iterator[Line]:
    """A generator, because a file may contain millions of empty lines. Long gaps are skipped: no row spans one."""
    gap = 0
    for number, text in enumerate(texts, 1):
        gap = 0 if text.strip(BLANK) else gap + 1
        if gap <= MAX_LINES:
            yield in_utf_8(Line(number, text), *encodings)


@dataclass(frozen=True)
class _Header:
    """`twice`: names of several columns, which are ambiguous. `alike`: the positions of columns that are read as one
    (`Status`, `status`): all but one must be empty, or all must agree."""

    delimiter: str
    names: tuple[str, ...]
    last: int
    text: bytes
    twice: frozenset[str]
    alike: tuple[tuple[int, ...], ...]
    settings: HrSettings

    def rows(self, lines: Iterable[Line]) -> Iterator[HrRow]:
        below = (line for line in lines if line.number > self.last)
        for row in Rows(below, self._fits):
            if row.text.strip() == self.text:
                continue
            if not is_skipped_row(row.text, self.delimiter):
                yield self._row(row)
                continue
            # `Sum;4711;1` below `name;id;active`: a total, or a person of that name.
            cells = self._row(row).cells.items() if is_total(row.text) else ()
            ids = (cell for name, cell in cells if normalise(name) in self.settings.names["id"])
            statuses = ((cell, name) for name, cell in cells if normalise(name) in self.settings.names["status"])
            is_known = any(self.settings.status(cell, name) for cell, name in statuses)
            if is_known and any(cell.strip() and not is_total(cell.encode()) for cell in ids):
                yield HrRow(row.number, {}, TOTAL_OR_PERSON)

    def _fits(self, row: Line) -> bool:
        try:
            return len(self._cells(row)) == len(self.names)
        except BrokenRowError:
            # A typo within one row; two typos would enclose the cells of several rows.
            return row.text.count(self.delimiter.encode()) < len(self.names)

    def _cells(self, row: Line) -> list[str]:
        return fit_to_header(_cells_of(row.text, self.delimiter, "surrogateescape"), self.names)

    def _row(self, row: Line) -> HrRow:
        try:
            cells = self._cells(row)
        except BrokenRowError as broken:
            return HrRow(row.number, {}, str(broken))
        if len(cells) != len(self.names):
            return HrRow(row.number, {}, f"has {len(cells)} cells, the header has {len(self.names)}")
        # Undecodable bytes stay readable (`M\xfcller`), so that nothing of the row is lost.
        texts = (
            unwrap_formula(cell).encode(errors="surrogateescape").decode(errors="backslashreplace") for cell in cells
        )
        named = dict(zip(self.names, texts, strict=True))
        return HrRow(row.number, named, undecoded=tuple(self._undecodable_cells(cells)))

    def _undecodable_cells(self, cells: list[str]) -> Iterator[tuple[str, str]]:
        yield from ((name, TWICE) for name in self.twice)
        for positions in self.alike:
            if normalise(self.names[positions[0]]) in self.settings.names["addresses"]:
                continue
            if len({cells[position].strip() for position in positions} - {""}) > 1:
                yield self.names[positions[0]], TWICE
        for name, cell in zip(self.names, cells, strict=True):
            position = next((position for position, letter in enumerate(cell) if "\udc80" <= letter <= "\udcff"), None)
            if position is not None:
                byte = ord(cell[position]) - 0xDC00
                yield name, f"is not UTF-8: byte {byte:#x} at character {position + 1}; {NOT_UTF_8}"


def _cells_of(text: bytes, delimiter: str, errors: str = "strict") -> list[str]:
    try:
        return next(csv.reader([text.decode(errors=errors)], delimiter=delimiter, strict=True), [])
    except UnicodeDecodeError as broken:
        raise BrokenRowError(f"is not UTF-8: byte {text[broken.start]:#x}; {NOT_UTF_8}") from broken
    except csv.Error as broken:
        raise BrokenRowError(f"is no row of a CSV file: {broken}") from broken


def _header(lines: Iterable[Line], settings: HrSettings) -> _Header | Rejected:
    def fit_of(written: Sequence[str]) -> HeaderFit:
        names = set(map(normalise, written))
        is_complete = all(names.intersection(settings.names[column]) for column in REQUIRED)
        return HeaderFit(is_complete, len(names & (KNOWN_COLUMNS | settings.columns_read)))

    try:
        found = find_header(lines, _cells_of, fit_of)
    except BrokenRowError as broken:
        position, _, words = str(broken).partition(" the header ")
        return rejected("malformed", position.rstrip(":"), f"the header {words}")
    if found is None:
        return rejected("malformed", "", "the file is empty: it begins with a header")
    position = f"line {found.line}"
    if len(found.names) > MAX_COLUMNS:
        return rejected("malformed", position, f"the header has more than {MAX_COLUMNS} columns")
    names = tuple(" ".join(name.split()) for name in found.names)
    twice = frozenset(name for name, many in Counter(names).items() if name and many > 1)
    if repeated := next((name for name in names if name in twice and normalise(name) in KNOWN_COLUMNS), None):
        return rejected("malformed", position, f"the column {repeated!r} is there twice")
    there = set(map(normalise, names))
    for column in REQUIRED:
        if not there.intersection(settings.names[column]):
            sought = ", ".join(settings.names[column])
            looked = f"the header was looked for in the first {MAX_HEADER_ROWS} rows, by {sought}"
            return rejected("malformed", position, f"{NO_COLUMN.format(column)}; {looked}")
    by_plain = defaultdict[str, list[int]](list)
    for at, name in enumerate(map(normalise, names)):
        by_plain[name].append(at)
    alike = tuple(tuple(positions) for name, positions in by_plain.items() if name and len(positions) > 1)
    return _Header(found.delimiter, names, found.last, found.text, twice, alike, settings)
