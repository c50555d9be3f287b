"""A table: comma, semicolon or tab between cells, a header, and rows that may go over several lines."""

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from services.ingest.domain.tools.cells import unwrapped
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.importing.entry import MOST_BYTES, ImportEntry, Line, refusal
from services.ingest.importing.kinds.kind import TableKind
from services.ingest.importing.kinds.registry import KINDS, recognised
from services.ingest.importing.row import RowReading, TableRow
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.translation import Translation, name_of

DELIMITERS = (",", ";", "\t", "|")
# A line of Excel's before the header, for Excel: which delimiter follows.
HINT = re.compile(rb'"?sep=([!-/:-@\[-`{-~\t])"?', re.IGNORECASE)
# Further than this no cell goes: the quote at its begin is a slip, and what follows is read as rows of their own.
MOST_LINES = 20
# What Excel shows of a formula that went wrong: such a row is no note, and is refused with its column.
ERROR = re.compile(rb'"?#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!)')
LONGEST_CELL = 4_000
"""A hundred people take less."""
# What stands before each row in the table of those that were refused.
REPORT = ("refused_row", "refused_column", "refused_value", "refused_reason")
REPORTED = frozenset(REPORT)


class BrokenRowError(ValueError):
    """The row cannot be taken apart."""


@dataclass(frozen=True)
class Header:
    """`written` are the columns as the file calls them, `columns` as we do; empty is not read."""

    kind: TableKind
    columns: tuple[str, ...]
    delimiter: str
    written: tuple[str, ...] = ()
    translation: Translation = field(default_factory=Translation)

    def cells(self, row: Line) -> dict[str, str]:
        """Of the columns that are read, in our words. Raises BrokenRowError."""
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
        found = _taken_apart(row.text, self.delimiter)
        beyond = found[len(self.columns) :]
        return found if any(beyond) else found[: len(self.columns)]

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

    def __init__(self, words: str, columns: tuple[str, ...], delimiter: str) -> None:
        super().__init__(words)
        self.columns, self.delimiter = columns, delimiter


def read_header(lines: Iterator[Line], wish: HeaderWish) -> Header:
    """Of the first line that is not blank. Raises ImportStoppedError when it is no header of a table that we know."""
    line = next((line for line in lines if line.text.strip()), None)
    if line is None:
        raise ImportStoppedError("the file is empty: a table begins with its header")
    hint = HINT.fullmatch(line.text.strip())
    if hint:
        line = next((line for line in lines if line.text.strip()), line)
    line = _whole_header(line, lines)
    delimiter, written = _columns(line, (hint[1].decode(),) if hint else DELIMITERS, wish.translation)
    skipped = frozenset(map(name_of, wish.skipped)) | REPORTED
    names = [(name_of(one), wish.translation.column(one)) for one in written]
    columns = tuple("" if skipped & {theirs, ours} else ours for theirs, ours in names)
    try:
        kind = KINDS[wish.kind] if wish.kind else _recognised(columns)
        _check(columns, kind)
    except ImportStoppedError as stopped:
        raise UnknownColumnsError(str(stopped), written, delimiter) from stopped
    return Header(kind, columns, delimiter, written, wish.translation)


def _whole_header(first: Line, lines: Iterator[Line]) -> Line:
    """Cells of a header may hold line breaks. Where no further line closes the quote, the first is the header, and at
    fault."""
    taken, size = [first], len(first.text)
    while _is_open(b"".join(one.text for one in taken)) and len(taken) < MOST_LINES and size <= MOST_BYTES:
        line = next(lines, None)
        if line is None:
            return first
        taken.append(line)
        size += len(line.text)
    text = b"\n".join(one.text for one in taken)
    return first if _is_open(text) else Line(first.number, text)


class TableRows:
    """Iterates over the rows below a header; blank lines are none."""

    def __init__(self, lines: Iterator[Line], header: Header) -> None:
        self._lines, self._header = lines, header
        self._put_back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        while line := self._next():
            if _is_open(line.text):
                yield self._joined(line)
            elif line.text.strip():
                yield line

    def _next(self) -> Line | None:
        return self._put_back.popleft() if self._put_back else next(self._lines, None)

    def _joined(self, first: Line) -> Line:
        """The row that begins here: the line alone, if none of those that follow completes it."""
        taken = [first]
        size = len(first.text)
        while len(taken) < MOST_LINES and size <= MOST_BYTES and (line := self._next()):
            taken.append(line)
            size += len(line.text)
            if _is_open(line.text):
                row = Line(first.number, b"\n".join(one.text for one in taken))
                if self._header.fits(row):
                    return row
                break
        self._put_back.extendleft(reversed(taken[1:]))
        return first


def _is_open(text: bytes) -> bool:
    """Quotes stand in pairs in a row that is complete."""
    return text.count(b'"') % 2 == 1


def _taken_apart(text: bytes, delimiter: str) -> list[str]:
    if len(text) > MOST_BYTES:
        raise BrokenRowError(f"has more than {MOST_BYTES} bytes")
    if _is_open(text):
        raise BrokenRowError("has a quote that is never closed")
    try:
        found = list(csv.reader([text.decode()], delimiter=delimiter, strict=True))
    except UnicodeDecodeError as broken:
        where = len(text[: broken.start].decode()) + 1
        raise BrokenRowError(f"is not UTF-8: byte {text[broken.start]:#x} at character {where}") from broken
    except csv.Error as broken:
        raise BrokenRowError(_in_words(text, str(broken))) from broken
    return found[0] if found else []


def _in_words(text: bytes, words: str) -> str:
    if b"\r" in text:
        return "has a carriage return within a line: save the file with LF or CRLF at the ends of lines"
    return f"is no row of a table: {words}"


def _columns(line: Line, delimiters: tuple[str, ...], translation: Translation) -> tuple[str, tuple[str, ...]]:
    """By the delimiter that shows the most columns that we know, else the most columns. Raises ImportStoppedError."""
    found: dict[str, tuple[str, ...]] = {}
    problem = None
    for delimiter in delimiters:
        try:
            found[delimiter] = tuple(_taken_apart(line.text, delimiter))
        except BrokenRowError as broken:
            problem = problem or broken
    if not found:
        raise ImportStoppedError(f"line {line.number}: the header {problem}") from problem
    every = frozenset[str]().union(*(kind.columns for kind in KINDS.values()))
    known = {cut: len(every & set(map(translation.column, names))) for cut, names in found.items()}
    return max(found.items(), key=lambda item: (known[item[0]], len(item[1])))


def _recognised(columns: tuple[str, ...]) -> TableKind:
    found = recognised(columns)
    if len(found) == 1:
        return found[0]
    needs: Callable[[TableKind], str] = lambda kind: f"{kind.name} needs {', '.join(sorted(kind.needed))}"  # noqa: E731
    if found:
        raise ImportStoppedError(f"the header may be of {' or '.join(k.name for k in found)}: name it with --kind")
    raise ImportStoppedError(
        f"the header {', '.join(columns)[:200]!r} is of no table that is known: {'; '.join(map(needs, KINDS.values()))}"
    )


def _check(columns: tuple[str, ...], kind: TableKind) -> None:
    missing = sorted(kind.needed - set(columns))
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    unknown = [name for name in columns if name and name not in kind.columns]
    faults = [f"the column {name!r} is missing" for name in missing]
    faults += [f"the column {name!r} is there twice" for name in twice]
    faults += [_unknown(name, kind) for name in unknown]
    if faults:
        raise ImportStoppedError(f"the header of {kind.name}: {'; '.join(faults)}")


def _unknown(name: str, kind: TableKind) -> str:
    close = get_close_matches(name[:100], kind.columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"leave it out with --skip-column {name[:100]!r}"
    return f"the column {name[:100]!r} is not known; {hint}"


ORIGINAL = "row"
# What a row of empty cells is made of.
EMPTY = b'",; \t'


def says_nothing(line: Line) -> bool:
    """A row of empty cells, or a note such as the example of a template: its first cell begins with #."""
    text = line.text.strip(EMPTY)
    return not text or (text.startswith(b"#") and not ERROR.match(text))


def row_entry(header: Header, reading: RowReading) -> Callable[[Line], ImportEntry]:
    def entry(line: Line) -> ImportEntry:
        try:
            row = TableRow(header.cells(line), reading)
        except BrokenRowError as broken:
            answer = refusal(rejected("malformed", "", str(broken)))
            return ImportEntry(line, refusal=answer, original=ORIGINAL, endpoint=header.kind.endpoint)
        messages = header.kind.read(row)
        if row.problems:
            answer = refusal(Rejected("invalid", tuple(row.problems)))
            return ImportEntry(
                line,
                refusal=answer,
                column=header.kind.column,
                original=ORIGINAL,
                endpoint=header.kind.endpoint,
            )
        return ImportEntry(
            line,
            tuple(json.dumps(message).encode() for message in messages),
            times=tuple(str(message["time"]) for message in messages if "time" in message),
            column=header.kind.column,
            original=ORIGINAL,
            endpoint=header.kind.endpoint,
            relationship=row.text("relationship") if header.kind.speaks_of_relationships else "",
        )

    return entry
