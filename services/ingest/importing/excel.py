"""An Excel workbook as the lines of a table: each row of a sheet is one line of CSV, in UTF-8 with commas, whatever the
workbook's language. Little of it is ever in memory, and what unpacks to more than a table needs is not opened."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import repeat, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from services.ingest.importing.sender import ImportStoppedError
from services.ingest.sources.tables import Line

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

SUFFIXES = frozenset({".xlsx", ".xlsm"})
MOST_UNPACKED = 256 * 2**20
"""Bytes of all parts; a million rows of ten cells take less."""
MOST_PARTS = 2_000
MOST_ROWS = 1_048_576
"""As many as Excel itself has."""
MOST_COLUMNS = 200
ABOUT_THE_TABLE = "about this table"
"""The sheet of a template that explains its columns."""
MISSING = "reading and writing .xlsx needs openpyxl: pip install 'rapport[excel]'"
LONGEST_FORMULA = 1_024
OPEN_FORMULA = re.compile(
    rb"<c [^>]{1,200}>\s*<f[^>]{0,200}>[^<]{1,%d}</f>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>" % LONGEST_FORMULA
)
HIDDEN_ROW = re.compile(rb"""<(?:[a-z]{1,9}:)?row [^>]{0,400}\bhidden=["'](?:1|true)["']""")
_CHUNK = 2**16
# Of numbers that are shown as those of people are: 00042, E0042, 12-345; what only follows a number is its unit.
_SHOWN_AS_ID = re.compile(r'(?=.*00|.*[^0#].*[0#])(?:[0#]|"[A-Za-z0-9._-]*"|\\[A-Za-z0-9._-]|-){2,40}')
_PART_OF_ID = re.compile(r'[0#]|"([^"]*)"|\\(.)|-')
_QUOTED = re.compile(r'"[^"]*"|\\.')
_DIGITS_KEPT = 1e15
"""Excel keeps no more digits of a number: of a longer one nobody knows the last."""


class ExcelFile:
    """A context manager; iterates over the rows of one sheet, blank ones too. `sheet` None: the only one that is
    visible."""

    def __init__(self, file: Path, sheet: str | None) -> None:
        self._file, self._wanted = file, sheet
        self._open = ExitStack()
        self._book: Workbook
        self.sheet = ""
        self.others: tuple[str, ...] = ()
        self.hidden_rows = 0
        """By a filter, or by hand: they are read as all others are."""
        self.size: int | None = None
        self._row = self._width = 0
        self._formulas: Workbook | None = None

    def __enter__(self) -> Self:
        """Raises ImportStoppedError when it is no workbook, too large, or has no such sheet."""
        has_open_formulas = self._check_parts()
        self._book = self._loaded(data_only=True)
        if has_open_formulas:
            self._formulas = self._loaded(data_only=False)
        names = [one.title for one in self._book.worksheets if one.sheet_state == "visible"]
        candidates = [name for name in names if name != ABOUT_THE_TABLE] or names
        self.sheet = self._wanted or (candidates[0] if candidates else "")
        if self.sheet not in names:
            raise ImportStoppedError(f"{self._file} has no visible sheet {self.sheet!r}: {', '.join(names)[:200]}")
        self.others = tuple(name for name in candidates if name != self.sheet)
        sheet: Any = self._book[self.sheet]
        # Where openpyxl itself reads the sheet from.
        self.hidden_rows = _hidden_rows(self._file, sheet._worksheet_path)  # noqa: SLF001 (nothing public tells it)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def position(self) -> int:
        return self._row

    def __iter__(self) -> Iterator[Line]:
        """Raises ImportStoppedError when the sheet breaks off."""
        sheet = self._book[self.sheet]
        try:
            # The limits of a row are given: the sheet may name any as its own.
            rows = sheet.iter_rows(min_row=1, max_row=MOST_ROWS, min_col=1, max_col=MOST_COLUMNS + 1)
            formulas = self._formula_rows()
            before: object = None
            for number, row in enumerate(rows, 1):
                self._row = number
                open_formulas = next(formulas, ())
                # Of rows that are not there openpyxl gives the same empty one each time.
                line = b"" if row is before else self._line([_written(cell) for cell in row], open_formulas)
                before = row
                yield Line(number, line)
        except ImportStoppedError:
            raise
        except Exception as broken:  # as above
            raise ImportStoppedError(f"{self._file} cannot be read on after row {self._row}: {broken}") from broken

    def _loaded(self, *, data_only: bool) -> "Workbook":
        try:
            book = openpyxl_or_stop().load_workbook(self._file, read_only=True, data_only=data_only, keep_links=False)
        except Exception as broken:  # whatever openpyxl meets in a file from outside
            raise ImportStoppedError(f"{self._file} is no workbook that can be read: {broken}") from broken
        self._open.callback(book.close)
        found: Workbook = book
        return found

    def _formula_rows(self) -> Iterator[Sequence[str]]:
        """Of each row the formulas in the place of their results: a workbook that no Excel has saved has none, and what
        a formula would give is no empty cell."""
        if self._formulas is None:
            yield from repeat(())
            return
        rows = self._formulas[self.sheet].iter_rows(min_row=1, max_row=MOST_ROWS, min_col=1, max_col=MOST_COLUMNS + 1)
        for row in rows:
            yield [str(cell.value) if cell.data_type == "f" else "" for cell in row]

    def _line(self, written: Sequence[str], formulas: Sequence[str]) -> bytes:
        """As wide as the widest row so far, which the header is at the latest: rows end in empty cells."""
        cells = [cell or formula for cell, formula in zip_longest(written, formulas, fillvalue="")]
        filled = max((index for index, cell in enumerate(cells, 1) if cell), default=0)
        if filled > MOST_COLUMNS:
            raise ImportStoppedError(f"the sheet has more than {MOST_COLUMNS} columns: no table has as many")
        self._width = max(self._width, filled)
        text = io.StringIO()
        # Cells that hold line breaks are quoted only where a row ends in one.
        csv.writer(text, lineterminator="\n").writerow(cells[: self._width])
        return text.getvalue().removesuffix("\n").encode(errors="replace") if filled else b""

    def _check_parts(self) -> bool:
        """Before anything is unpacked for good: what a part claims to be long is as far as it is ever read. Whether
        there are formulas without a result."""
        try:
            with zipfile.ZipFile(self._file) as parts:
                listed = parts.infolist()
                if len(listed) > MOST_PARTS or sum(part.file_size for part in listed) > MOST_UNPACKED:
                    raise ImportStoppedError(
                        f"{self._file} unpacks to more than {MOST_UNPACKED // 2**20} MiB or {MOST_PARTS:,} parts: "
                        "save the table alone, or as CSV"
                    )
                return any([_check_plain(parts, part) for part in listed])  # noqa: C419 (every part is checked)
        # Of zipfile: NotImplementedError for a compression it does not know, RuntimeError for a password.
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as broken:
            raise ImportStoppedError(
                f"{self._file} is no workbook that can be read (is it protected by a password?): {broken}"
            ) from broken


def openpyxl_or_stop() -> Any:  # noqa: ANN401 (a module)
    try:
        import openpyxl  # noqa: PLC0415 (an extra of its own)
    except ModuleNotFoundError as missing:
        raise ImportStoppedError(MISSING) from missing
    return openpyxl


def _check_plain(parts: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """No workbook declares entities, which may grow without end. Raises ImportStoppedError. Whether it holds formulas
    without a result; an empty text is one, and says so."""
    found = False
    if not part.filename.endswith((".xml", ".rels")):
        return found
    with parts.open(part) as opened:
        before = b""
        while chunk := opened.read(_CHUNK):
            # Also as UTF-16 writes it.
            if any(mark in (before + chunk).replace(b"\0", b"").upper() for mark in (b"<!DOCTYPE", b"<!ENTITY")):
                raise ImportStoppedError(f"{part.filename!r} in the workbook declares a document type: it is not read")
            found = found or any(b't="str"' not in cell for cell in OPEN_FORMULA.findall(before + chunk))
            before = chunk[-LONGEST_FORMULA:]
    return found


def _hidden_rows(file: Path, part: str) -> int:
    """Counted in the sheet itself: openpyxl does not tell of them where it keeps none of the sheet in memory."""
    found, rest = 0, b""
    with zipfile.ZipFile(file) as parts, parts.open(part) as opened:
        while chunk := opened.read(_CHUNK):
            complete, mark, rest = (rest + chunk).rpartition(b"<")
            found += len(HIDDEN_ROW.findall(complete))
            rest = (mark + rest)[:LONGEST_FORMULA]
    return found + len(HIDDEN_ROW.findall(rest))


def _written(cell: Any) -> str:  # noqa: ANN401 (of several classes of openpyxl)
    """As a table of text would have it. Times are those that the sheet shows; a day is a day where no hour is shown."""
    value, shown = cell.value, str(getattr(cell, "number_format", "") or "")
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            hours = "h" in shown.lower() or value.time() != time.min
            return value.isoformat(" ", "seconds") if hours else value.date().isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case int() | float():
            return _number(value, shown)
        case _:
            return str(value)


def _number(value: float, shown: str) -> str:
    """Never in the form of groups of thousands: 1.125 is 1.1250."""
    if isinstance(value, int) and value >= 0 and _SHOWN_AS_ID.fullmatch(shown):
        return _as_id(value, shown)
    if isinstance(value, float) and abs(value) >= _DIGITS_KEPT:
        return f"{value:E}"
    # In quotes it only stands behind a number that is a percentage already.
    is_share = "%" in shown and "%" in _QUOTED.sub("", shown)
    exact = Decimal(repr(round(value * 100 if is_share else value, 10))).normalize()
    text = f"{exact:f}"
    grouped = f"{text}0" if len(text.partition(".")[2]) == 3 else text  # noqa: PLR2004 (digits of a group)
    return f"{grouped}%" if is_share else grouped


def _as_id(value: int, shown: str) -> str:
    """Its digits in the places of the format, from the right; those that are left over stand in the first place."""
    digits, found, places = list(str(value)), "", list(_PART_OF_ID.finditer(shown))
    last = next((at for at, place in enumerate(places) if place[0] in "0#"), None)
    for at, place in reversed(list(enumerate(places))):
        if place[0] not in "0#":
            found = (place[1] or place[2] or place[0].strip('"')) + found
        elif at == last:
            found = ("".join(digits) or ("0" if place[0] == "0" else "")) + found
        else:
            found = (digits.pop() if digits else "0" if place[0] == "0" else "") + found
    return found
