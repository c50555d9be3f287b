"""CSV as HR systems export it. A fault in one row is that row's: the others are read as if it were not there."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.hr.columns import KNOWN, plain

MARK = b"\xef\xbb\xbf"
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = (",", ";", "\t")
# A line of Excel's before the header, for Excel: which delimiter follows.
SEPARATOR = re.compile(rb'"?sep=([!-/:-@\[-`{-~\t])"?', re.IGNORECASE)
# Further than this no cell goes: the quote at its begin is a slip, and what follows is read as rows of their own.
MOST_LINES = 20
MOST_COLUMNS = 500


@dataclass(frozen=True)
class Row:
    """`cells` by the names of the header. `fault` is what is wrong with the row as a whole: then nobody knows which
    cell is which, and there are none. `undecoded` is what is wrong with single cells, by column."""

    line: int
    cells: dict[str, str]
    fault: str = ""
    undecoded: tuple[tuple[str, str], ...] = ()


def read_rows(body: bytes) -> list[Row] | Rejected:
    """Rejected("malformed") if the file as a whole is at fault: its encoding or its header."""
    if body.startswith(WIDE_MARKS) or b"\0" in body[:200]:
        return rejected("malformed", "line 1", "is UTF-16 or another wide encoding: save the file as UTF-8")
    lines = body.removeprefix(MARK).splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return rejected("malformed", "", "the file is empty: it begins with a header")
    hint = SEPARATOR.fullmatch(lines[first].strip())
    delimiters = (hint[1].decode(),) if hint else DELIMITERS
    if hint:
        first = next((number for number in range(first + 1, len(lines)) if lines[number].strip()), first)
    header = _header(lines[first], first + 1, delimiters)
    if isinstance(header, Rejected):
        return header
    return list(header.rows(lines, first + 1))


@dataclass(frozen=True)
class _Header:
    delimiter: str
    names: tuple[str, ...]

    def rows(self, lines: list[bytes], start: int) -> Iterator[Row]:
        """Lines are counted from 1, blank ones included."""
        index = start
        while index < len(lines):
            taken = _complete(lines, index)
            if b"".join(taken).strip():
                yield self._row(index + 1, b"\n".join(taken))
            index += len(taken)

    def _row(self, line: int, text: bytes) -> Row:
        decoded = text.decode(errors="surrogateescape")
        try:
            cells = next(csv.reader([decoded], delimiter=self.delimiter, strict=True), [])
        except csv.Error as broken:
            return Row(line, {}, f"is no row of a CSV file: {broken}")
        while len(cells) > len(self.names) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(self.names):
            return Row(line, {}, f"has {len(cells)} cells, the header has {len(self.names)}")
        named = {name: _escaped(cell) for name, cell in zip(self.names, cells, strict=True)}
        return Row(line, named, undecoded=tuple(self._undecoded(cells)))

    def _undecoded(self, cells: list[str]) -> Iterator[tuple[str, str]]:
        for name, cell in zip(self.names, cells, strict=True):
            place = next((place for place, letter in enumerate(cell) if "\udc80" <= letter <= "\udcff"), None)
            if place is not None:
                byte = ord(cell[place]) - 0xDC00
                yield name, f"is not UTF-8: byte {byte:#x} at character {place + 1}; save the file as UTF-8"


def _header(line: bytes, number: int, delimiters: tuple[str, ...]) -> _Header | Rejected:
    place = f"line {number}"
    try:
        text = line.decode()
        found = [(delimiter, next(csv.reader([text], delimiter=delimiter, strict=True))) for delimiter in delimiters]
    except UnicodeDecodeError as broken:
        return rejected("malformed", place, f"the header is not UTF-8: byte {line[broken.start]:#x}")
    except csv.Error as broken:
        return rejected("malformed", place, f"the header is no row of a CSV file: {broken}")
    delimiter, names = max(found, key=lambda pair: len(pair[1]))
    stripped = [name.strip() for name in names]
    if twice := next((name for name in stripped if name and stripped.count(name) > 1), None):
        # Of another column the name may be anything; its number tells it as well.
        known = repr(twice) if plain(twice) in KNOWN else f"number {stripped.index(twice) + 1}"
        return rejected("malformed", place, f"the column {known} is there twice")
    if len(stripped) > MOST_COLUMNS:
        return rejected("malformed", place, f"the header has more than {MOST_COLUMNS} columns")
    return _Header(delimiter, tuple(stripped))


def _complete(lines: list[bytes], index: int) -> list[bytes]:
    """The row that begins here: the line alone, if it has every quote closed or none of the next lines closes it."""
    if lines[index].count(b'"') % 2 == 0:
        return [lines[index]]
    for end in range(index + 1, min(index + MOST_LINES, len(lines))):
        if lines[end].count(b'"') % 2:
            return lines[index : end + 1]
    return [lines[index]]


def _escaped(cell: str) -> str:
    r"""Undecodable bytes stay readable (`M\xfcller`), so that nothing of the row is lost."""
    return cell.encode(errors="surrogateescape").decode(errors="backslashreplace")
