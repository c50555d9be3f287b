"""A table: cells separated by commas, semicolons or tabs, a header, and rows that may span several lines."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from services.ingest.domain.tools.cells import unwrap_formula
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.importing.entry import ImportEntry, rejection_answer
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import TableKind
from services.ingest.importing.row import RowContext, TableRow
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.translation import Translation, guess_kind, normalized_name
from services.ingest.sources.tables import (
    MAX_BYTES,
    MAX_HEADER_ROWS,
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
"""Bound on one cell: a list of a hundred people takes less."""
# The columns that precede each row in the table of refused rows.
REPORT = ("refused_row", "refused_column", "refused_value", "refused_reason")
REPORTED = frozenset(REPORT)


@dataclass(frozen=True)
class Header:
    """`file_columns` are the column names of the file, `columns` the project's names for them; an empty name marks a
    column that is not read. Rows begin after line `last`."""

    kind: TableKind
    columns: tuple[str, ...]
    delimiter: str
    file_columns: tuple[str, ...] = ()
    translation: Translation = field(default_factory=Translation)
    last: int = 0
    text: bytes = b""

    def rows(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield the rows below the header that contain data."""
        below = (line for line in lines if line.number > self.last)
        rows = (row for row in Rows(below, self.fits) if row.text.strip() != self.text)
        return (row for row in rows if not is_skipped_row(row.text, self.delimiter) or self.may_be_data(row))

    def may_be_data(self, row: Line) -> bool:
        """Whether a row that looks like totals has every required cell, as `Sum;4711;1` below
        `name;participant;consent`."""
        if not is_total(row.text) or not self.fits(row):
            return False
        cells = dict(zip(self.columns, self.raw_cells(row), strict=True))
        return all(cells.get(name, "").strip() for name in self.kind.required)

    def cells(self, row: Line) -> dict[str, str]:
        """Return the cells of the columns that are read, by the project's column names. Raises BrokenRowError."""
        if is_total(row.text) and is_skipped_row(row.text, self.delimiter):
            raise BrokenRowError(TOTAL_OR_PERSON)
        found = self.raw_cells(row)
        if len(found) != len(self.columns):
            raise BrokenRowError(f"has {len(found)} cells, the header has {len(self.columns)}")
        long = next((name for name, cell in zip(self.columns, found, strict=True) if len(cell) > LONGEST_CELL), None)
        if long is not None:
            raise BrokenRowError(
                f"has more than {LONGEST_CELL:,} characters in the column {long or 'that is not read'}"
            )
        cells = {name: unwrap_formula(cell) for name, cell in zip(self.columns, found, strict=True) if name}
        return {name: self.translation.value(name, cell) for name, cell in cells.items()}

    def raw_cells(self, row: Line) -> list[str]:
        """Return all cells unchanged, without empty ones beyond the header. Raises BrokenRowError."""
        return fit_to_header(_split_cells(row.text, self.delimiter), self.file_columns or self.columns)

    def fits(self, row: Line) -> bool:
        try:
            return len(self.raw_cells(row)) == len(self.columns)
        except BrokenRowError:
            return False


@dataclass(frozen=True)
class HeaderOptions:
    """What the options say about a header. `kind` None: the kind whose columns the header has."""

    kind: str | None = None
    skipped_columns: tuple[str, ...] = ()
    translation: Translation = field(default_factory=Translation)


class UnknownColumnsError(ImportStoppedError):
    """A header was found, but its column names are not the project's."""

    def __init__(self, words: str, found: HeaderRow) -> None:
        super().__init__(words)
        self.found = found


def read_header(lines: Iterable[Line], options: HeaderOptions) -> Header:
    """Find the header among the first rows. Raises ImportStoppedError when none belongs to a known kind of table."""

    def fit_of(file_columns: Sequence[str]) -> HeaderFit:
        columns = set(map(options.translation.column, file_columns))
        kinds = [KINDS[options.kind]] if options.kind else list(KINDS.values())
        is_complete = any(kind.required <= columns for kind in kinds) or guess_kind(file_columns) in kinds
        return HeaderFit(is_complete, len(columns & _ALL_COLUMNS))

    try:
        found = find_header(lines, _split_cells, fit_of)
    except BrokenRowError as broken:
        raise ImportStoppedError(str(broken)) from broken
    if found is None:
        raise ImportStoppedError("the file is empty: a table begins with its header")
    skipped_columns = frozenset(map(normalized_name, options.skipped_columns)) | REPORTED
    names = [(normalized_name(one), options.translation.column(one)) for one in found.names]
    columns = tuple("" if skipped_columns & {theirs, ours} else ours for theirs, ours in names)
    try:
        kind = KINDS[options.kind] if options.kind else _matching_kind(columns)
        _check_columns(columns, kind)
    except ImportStoppedError as stopped:
        raise UnknownColumnsError(f"line {found.line}: {stopped}", found) from stopped
    return Header(kind, columns, found.delimiter, found.names, options.translation, found.last, found.text)


_ALL_COLUMNS = frozenset[str]().union(*(kind.columns for kind in KINDS.values()))


def _split_cells(text: bytes, delimiter: str) -> list[str]:
    if len(text) > MAX_BYTES:
        raise BrokenRowError(f"has more than {MAX_BYTES} bytes")
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


def _matching_kind(columns: tuple[str, ...]) -> TableKind:
    """Return the kind whose required columns are all present."""
    found = [kind for kind in KINDS.values() if kind.required <= set(columns)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ImportStoppedError(f"the header may be of {' or '.join(k.name for k in found)}: name it with --kind")
    kinds = "; ".join(f"{kind.name} needs {', '.join(sorted(kind.required))}" for kind in KINDS.values())
    words = f"the header {', '.join(columns)[:200]!r} matches no known table, nor does any other of the first"
    raise ImportStoppedError(f"{words} {MAX_HEADER_ROWS} rows: {kinds}")


def _check_columns(columns: tuple[str, ...], kind: TableKind) -> None:
    faults = [f"the column {name!r} is missing" for name in sorted(kind.required - set(columns))]
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


def row_converter(header: Header, context: RowContext) -> Callable[[Line], ImportEntry]:
    kind = header.kind

    def entry(line: Line) -> ImportEntry:
        base = ImportEntry(line, column=kind.column, original=ORIGINAL, endpoint=kind.endpoint)
        try:
            row = TableRow(header.cells(line), context)
        except BrokenRowError as broken:
            return replace(base, refusal=rejection_answer(rejected("malformed", "", str(broken))))
        messages = kind.messages_of(row)
        if row.problems:
            return replace(base, refusal=rejection_answer(Rejected("invalid", tuple(row.problems))))
        return replace(
            base,
            messages=tuple(json.dumps(message).encode() for message in messages),
            times=tuple(str(message["time"]) for message in messages if "time" in message),
            relationship=row.text("relationship") if kind.refers_to_relationships else "",
        )

    return entry
