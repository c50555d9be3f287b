"""Reads an Excel workbook as the lines of a table: each row of a sheet becomes one line of CSV, in UTF-8 with commas,
whatever the workbook's locale. Rows are streamed, and a workbook that unpacks to more than a table needs is refused."""

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
MAX_UNPACKED = 256 * 2**20
"""Bytes of all parts; a million rows of ten cells take less."""
MAX_PARTS = 2_000
MAX_ROWS = 1_048_576
"""Excel's own limit."""
MAX_COLUMNS = 200
EXPLANATION_SHEET = "about this table"
"""The sheet of a template that explains its columns."""
MISSING = "reading and writing .xlsx needs openpyxl: pip install 'rapport[excel]'"
LONGEST_FORMULA = 1_024
OPEN_FORMULA = re.compile(
    rb"<c [^>]{1,200}>\s*<f[^>]{0,200}>[^<]{1,%d}</f>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>" % LONGEST_FORMULA
)
HIDDEN_ROW = re.compile(rb"""<(?:[a-z]{1,9}:)?row [^>]{0,400}\bhidden=["'](?:1|true)["']""")
_CHUNK = 2**16
# Number formats of participant ids: 00042, E0042, 12-345. Text that only follows the number is its unit.
_ID_FORMAT = re.compile(r'(?=.*00|.*[^0#].*[0#])(?:[0#]|"[A-Za-z0-9._-]*"|\\[A-Za-z0-9._-]|-){2,40}')
_ID_FORMAT_PART = re.compile(r'[0#]|"([^"]*)"|\\(.)|-')
_QUOTED = re.compile(r'"[^"]*"|\\.')
_EXACT_BELOW = 1e15
"""Excel keeps no more digits of a number: the last digits of a longer one are lost."""


class ExcelFile:
    """A context manager that iterates over the rows of one sheet, including blank ones. `sheet` None selects the only
    visible sheet."""

    def __init__(self, file: Path, sheet: str | None) -> None:
        self._file, self._requested_sheet = file, sheet
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
        """Raises ImportStoppedError when the file is no workbook, is too large, or lacks the sheet."""
        has_open_formulas = self._check_parts()
        self._book = self._load_workbook(data_only=True)
        if has_open_formulas:
            self._formulas = self._load_workbook(data_only=False)
        names = [one.title for one in self._book.worksheets if one.sheet_state == "visible"]
        candidates = [name for name in names if name != EXPLANATION_SHEET] or names
        self.sheet = self._requested_sheet or (candidates[0] if candidates else "")
        if self.sheet not in names:
            raise ImportStoppedError(f"{self._file} has no visible sheet {self.sheet!r}: {', '.join(names)[:200]}")
        self.others = tuple(name for name in candidates if name != self.sheet)
        sheet: Any = self._book[self.sheet]
        # The part that openpyxl reads the sheet from.
        self.hidden_rows = _hidden_rows(self._file, sheet._worksheet_path)  # noqa: SLF001 (nothing public tells it)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def position(self) -> int:
        return self._row

    def __iter__(self) -> Iterator[Line]:
        """Raises ImportStoppedError when the sheet is truncated."""
        sheet = self._book[self.sheet]
        try:
            # Bound rows and columns here: the sheet may declare any size.
            rows = sheet.iter_rows(min_row=1, max_row=MAX_ROWS, min_col=1, max_col=MAX_COLUMNS + 1)
            formulas = self._formula_rows()
            previous: object = None
            for number, row in enumerate(rows, 1):
                self._row = number
                open_formulas = next(formulas, ())
                # For absent rows openpyxl yields the same empty object each time.
                line = b"" if row is previous else self._line([_cell_text(cell) for cell in row], open_formulas)
                previous = row
                yield Line(number, line)
        except ImportStoppedError:
            raise
        except Exception as broken:  # as above
            raise ImportStoppedError(f"{self._file} cannot be read on after row {self._row}: {broken}") from broken

    def _load_workbook(self, *, data_only: bool) -> "Workbook":
        try:
            book = import_openpyxl().load_workbook(self._file, read_only=True, data_only=data_only, keep_links=False)
        except Exception as broken:  # whatever openpyxl meets in a file from outside
            raise ImportStoppedError(f"{self._file} is no workbook that can be read: {broken}") from broken
        self._open.callback(book.close)
        found: Workbook = book
        return found

    def _formula_rows(self) -> Iterator[Sequence[str]]:
        """Yield, for each row, the formulas of its cells: a workbook never saved by Excel holds no results, and a cell
        with an uncalculated formula must not count as empty."""
        if self._formulas is None:
            yield from repeat(())
            return
        rows = self._formulas[self.sheet].iter_rows(min_row=1, max_row=MAX_ROWS, min_col=1, max_col=MAX_COLUMNS + 1)
        for row in rows:
            yield [str(cell.value) if cell.data_type == "f" else "" for cell in row]

    def _line(self, texts: Sequence[str], formulas: Sequence[str]) -> bytes:
        """Pad the row to the widest row so far, which is the header at the latest: sheets omit trailing empty cells."""
        cells = [cell or formula for cell, formula in zip_longest(texts, formulas, fillvalue="")]
        filled = max((index for index, cell in enumerate(cells, 1) if cell), default=0)
        if filled > MAX_COLUMNS:
            raise ImportStoppedError(f"the sheet has more than {MAX_COLUMNS} columns: no table has as many")
        self._width = max(self._width, filled)
        text = io.StringIO()
        # A cell with a line break is quoted only if the line terminator contains it.
        csv.writer(text, lineterminator="\n").writerow(cells[: self._width])
        return text.getvalue().removesuffix("\n").encode(errors="replace") if filled else b""

    def _check_parts(self) -> bool:
        """Check the parts before unpacking any for good: a part is never read beyond the size that it declares. Returns
        whether there are formulas without a result."""
        try:
            with zipfile.ZipFile(self._file) as parts:
                listed = parts.infolist()
                if len(listed) > MAX_PARTS or sum(part.file_size for part in listed) > MAX_UNPACKED:
                    raise ImportStoppedError(
                        f"{self._file} unpacks to more than {MAX_UNPACKED // 2**20} MiB or {MAX_PARTS:,} parts: "
                        "save the table alone, or as CSV"
                    )
                return any([_check_plain(parts, part) for part in listed])  # noqa: C419 (every part is checked)
        # zipfile raises NotImplementedError for an unknown compression, RuntimeError for a password.
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as broken:
            raise ImportStoppedError(
                f"{self._file} is no workbook that can be read (is it protected by a password?): {broken}"
            ) from broken


def import_openpyxl() -> Any:  # noqa: ANN401 (a module)
    try:
        import openpyxl  # noqa: PLC0415 (an extra of its own)
    except ModuleNotFoundError as missing:
        raise ImportStoppedError(MISSING) from missing
    return openpyxl


def _check_plain(parts: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Return whether the part holds formulas without a result (an empty text is a result, and marked as such). Raises
    ImportStoppedError for a part that declares entities, which may expand without bound; no regular workbook does."""
    found = False
    if not part.filename.endswith((".xml", ".rels")):
        return found
    with parts.open(part) as opened:
        previous = b""
        while chunk := opened.read(_CHUNK):
            # Also matches UTF-16.
            if any(mark in (previous + chunk).replace(b"\0", b"").upper() for mark in (b"<!DOCTYPE", b"<!ENTITY")):
                raise ImportStoppedError(f"{part.filename!r} in the workbook declares a document type: it is not read")
            found = found or any(b't="str"' not in cell for cell in OPEN_FORMULA.findall(previous + chunk))
            previous = chunk[-LONGEST_FORMULA:]
    return found


def _hidden_rows(file: Path, part: str) -> int:
    """Count hidden rows in the sheet's XML: openpyxl does not report them in read-only mode."""
    found, rest = 0, b""
    with zipfile.ZipFile(file) as parts, parts.open(part) as opened:
        while chunk := opened.read(_CHUNK):
            complete, mark, rest = (rest + chunk).rpartition(b"<")
            found += len(HIDDEN_ROW.findall(complete))
            rest = (mark + rest)[:LONGEST_FORMULA]
    return found + len(HIDDEN_ROW.findall(rest))


def _cell_text(cell: Any) -> str:  # noqa: ANN401 (of several classes of openpyxl)
    """Return the text that a text table would have. Times are as the sheet shows them; a date without a shown time is a
    day."""
    value, number_format = cell.value, str(getattr(cell, "number_format", "") or "")
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            hours = "h" in number_format.lower() or value.time() != time.min
            return value.isoformat(" ", "seconds") if hours else value.date().isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case int() | float():
            return _number(value, number_format)
        case _:
            return str(value)


def _number(value: float, number_format: str) -> str:
    """Never returns a form that could be grouped thousands: 1.125 becomes 1.1250."""
    if isinstance(value, int) and value >= 0 and _ID_FORMAT.fullmatch(number_format):
        return _formatted_id(value, number_format)
    if isinstance(value, float) and abs(value) >= _EXACT_BELOW:
        return f"{value:E}"
    # A quoted % only follows a number that is a percentage already.
    is_share = "%" in number_format and "%" in _QUOTED.sub("", number_format)
    exact = Decimal(repr(round(value * 100 if is_share else value, 10))).normalize()
    text = f"{exact:f}"
    grouped = f"{text}0" if len(text.partition(".")[2]) == 3 else text  # noqa: PLR2004 (digits of a group)
    return f"{grouped}%" if is_share else grouped


def _formatted_id(value: int, number_format: str) -> str:
    """Fill the digits into the slots of the format from the right; excess digits go into the first slot."""
    digits, found, slots = list(str(value)), "", list(_ID_FORMAT_PART.finditer(number_format))
    last = next((at for at, slot in enumerate(slots) if slot[0] in "0#"), None)
    for at, slot in reversed(list(enumerate(slots))):
        if slot[0] not in "0#":
            found = (slot[1] or slot[2] or slot[0].strip('"')) + found
        elif at == last:
            found = ("".join(digits) or ("0" if slot[0] == "0" else "")) + found
        else:
            found = (digits.pop() if digits else "0" if slot[0] == "0" else "") + found
    return found
