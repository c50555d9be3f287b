"""A table: comma, semicolon or tab between cells, a header, and rows that may go over several lines."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from services.ingest.domain.tools.cells import unwrapped
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.importing.entry import ImportEntry, refusal
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import TableKind
from services.ingest.importing.row import RowReading, TableRow
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.translation import Translation, guessed_kind, name_of
from services.ingest.sources.tables import (
    MOST_BYTES,
    MOST_HEADER_ROWS,
    TOTAL_OR_PERSON,
    BrokenRowError,
    HeaderFit,
    HeaderRow,
    Line,
    Rows,
    find_header,
    fit_to_header,
    is_open,
    is_skipped_row,
    is_total,
)

LONGEST_CELL = 4_000
"""A hundred people take less."""
# What stands before each row in the table of those that were refused.
REPORT = ("refused_row", "refused_column", "refused_value", "refused_reason")
REPORTED = frozenset(REPORT)


@dataclass(frozen=True)
class Header:
    """`written` are the columns as the file calls them, `columns` as we do; empty is not read. Rows begin after line
    `last`."""

    kind: TableKind
    columns: tuple[str, ...]
    delimiter: str
    written: tuple[str, ...] = ()
    translation: Translation = field(default_factory=Translation)
    last: int = 0
    text: bytes = b""

    def rows(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Those below it that say anything."""
        below = (line for line in lines if line.number > self.last)
        rows = (row for row in Rows(below, self.fits) if row.text.strip() != self.text)
        return (row for row in rows if not is_skipped_row(row.text, self.delimiter) or self.may_be_meant(row))

    def may_be_meant(self, row: Line) -> bool:
        """A row of totals in which nothing is missing: `Sum;4711;1` below `name;participant;consent`."""
        if not is_total(row.text) or not self.fits(row):
            return False
        cells = dict(zip(self.columns, self.written_cells(row), strict=True))
        return all(cells.get(name, "").strip() for name in self.kind.needed)

    def cells(self, row: Line) -> dict[str, str]:
        """Of the columns that are read, in our words. Raises BrokenRowError."""
        if is_total(row.text) and is_skipped_row(row.text, self.delimiter):
            raise BrokenRowError(TOTAL_OR_PERSON)
        found = self.written_cells(row)
        if len(found) != len(self.columns):
            raise BrokenRowError(f"has {len(found)} cells, the header has {len(self.columns)}")
        long = next((name for name, cell in zip(self.columns, found, strict=True) if len(cell) > LONGEST_CELL), None)
        if long is not None:
            raise BrokenRowError(
                f"has more than {LONGEST_CELL:,} characters in the column {long or 'that is not read'}"
            )
        cells = {name: unwrapped(cell) for name, cell in zip(self.columns, found, strict=True) if name}
        return {name: self.translation.value(name, cell) for name, cell in cells.items()}

    def written_cells(self, row: Line) -> list[str]:
        """All cells as they are, without empty ones beyond the header. Raises BrokenRowError."""
        return fit_to_header(_taken_apart(row.text, self.delimiter), self.written or self.columns)

    def fits(self, row: Line) -> bool:
        try:
            return len(self.written_cells(row)) == len(self.columns)
        except BrokenRowError:
            return False


@dataclass(frozen=True)
class HeaderWish:
    """What is to be made of a header. `kind` None: the kind whose columns it has."""

    kind: str | None = None
    skipped: tuple[str, ...] = ()
    translation: Translation = field(default_factory=Translation)


class UnknownColumnsError(ImportStoppedError):
    """The header is there, and not in our words."""

    def __init__(self, words: str, found: HeaderRow) -> None:
        super().__init__(words)
        self.found = found


def read_header(lines: Iterable[Line], wish: HeaderWish) -> Header:
    """Of the first rows the one that is the header. Raises ImportStoppedError when none is that of a table that we
    know."""

    def fit_of(written: Sequence[str]) -> HeaderFit:
        columns = set(map(wish.translation.column, written))
        kinds = [KINDS[wish.kind]] if wish.kind else list(KINDS.values())
        is_complete = any(kind.needed <= columns for kind in kinds) or guessed_kind(written) in kinds
        return HeaderFit(is_complete, len(columns & _EVERY_COLUMN))

    try:
        found = find_header(lines, _taken_apart, fit_of)
    except BrokenRowError as broken:
        raise ImportStoppedError(str(broken)) from broken
    if found is None:
        raise ImportStoppedError("the file is empty: a table begins with its header")
    skipped = frozenset(map(name_of, wish.skipped)) | REPORTED
    names = [(name_of(one), wish.translation.column(one)) for one in found.names]
    columns = tuple("" if skipped & {theirs, ours} else ours for theirs, ours in names)
    try:
        kind = KINDS[wish.kind] if wish.kind else _recognised(columns)
        _check(columns, kind)
    except ImportStoppedError as stopped:
        raise UnknownColumnsError(f"line {found.line}: {stopped}", found) from stopped
    return Header(kind, columns, found.delimiter, found.names, wish.translation, found.last, found.text)


_EVERY_COLUMN = frozenset[str]().union(*(kind.columns for kind in KINDS.values()))


def _taken_apart(text: bytes, delimiter: str) -> list[str]:
    if len(text) > MOST_BYTES:
        raise BrokenRowError(f"has more than {MOST_BYTES} bytes")
    if is_open(text):
        raise BrokenRowError("has a quote that is never closed")
    try:
        found = list(csv.reader([text.decode()], delimiter=delimiter, strict=True))
    except UnicodeDecodeError as broken:
        where = len(text[: broken.start].decode()) + 1
        raise BrokenRowError(f"is not UTF-8: byte {text[broken.start]:#x} at character {where}") from broken
    except csv.Error as broken:
        returns = "has a carriage return within a line: save the file with LF or CRLF at the ends of lines"
        raise BrokenRowError(returns if b"\r" in text else f"is no row of a table: {broken}") from broken
    return found[0] if found else []


def _recognised(columns: tuple[str, ...]) -> TableKind:
    """That of which every required column is there."""
    found = [kind for kind in KINDS.values() if kind.needed <= set(columns)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ImportStoppedError(f"the header may be of {' or '.join(k.name for k in found)}: name it with --kind")
    known = "; ".join(f"{kind.name} needs {', '.join(sorted(kind.needed))}" for kind in KINDS.values())
    words = f"the header {', '.join(columns)[:200]!r} is of no table that is known, nor is another of the first"
    raise ImportStoppedError(f"{words} {MOST_HEADER_ROWS} rows: {known}")


def _check(columns: tuple[str, ...], kind: TableKind) -> None:
    faults = [f"the column {name!r} is missing" for name in sorted(kind.needed - set(columns))]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    faults += [f"the column {name!r} is there twice" for name in twice]
    for name in columns:
        if name and name not in kind.columns:
            close = get_close_matches(name[:100], kind.columns, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"leave it out with --skip-column {name[:100]!r}"
            faults.append(f"the column {name[:100]!r} is not known; {hint}")
    if faults:
        raise ImportStoppedError(f"the header of {kind.name}: {'; '.join(faults)}")


ORIGINAL = "row"


def row_entry(header: Header, reading: RowReading) -> Callable[[Line], ImportEntry]:
    kind = header.kind

    def entry(line: Line) -> ImportEntry:
        asked = ImportEntry(line, column=kind.column, original=ORIGINAL, endpoint=kind.endpoint)
        try:
            row = TableRow(header.cells(line), reading)
        except BrokenRowError as broken:
            return replace(asked, refusal=refusal(rejected("malformed", "", str(broken))))
        messages = kind.read(row)
        if row.problems:
            return replace(asked, refusal=refusal(Rejected("invalid", tuple(row.problems))))
        return replace(
            asked,
            messages=tuple(json.dumps(message).encode() for message in messages),
            times=tuple(str(message["time"]) for message in messages if "time" in message),
            relationship=row.text("relationship") if kind.speaks_of_relationships else "",
        )

    return entry
