"""Detects how a table is written from a sample of it, before anything is sent, and asks what only a person can know."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from services.ingest.domain.tools.allow_list import clean_text
from services.ingest.domain.tools.cells import NO_VALUE, is_missing_day
from services.ingest.importing.cell_formats import GROUPED, CellFormats, InvalidCellError
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import TableKind
from services.ingest.importing.options import OptionQuestion
from services.ingest.importing.row import NO, YES, RowDefaults, normalize_blanks
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.table import Header, HeaderOptions, UnknownColumnsError, read_header
from services.ingest.importing.translation import guess_columns, guess_kind, guess_value, proposal
from services.ingest.sources.day_formats import ISO, OFFSET, RivalFormats, SampledCell, day_format_of, in_iso
from services.ingest.sources.tables import ENCODINGS, UTF_8, BrokenRowError, Line, candidate_encodings, in_utf_8

MAX_SAMPLED_LINES = 20_000
MAX_SAMPLED_BYTES = 8 * 2**20
MAX_VALUES = 50
SampledRows = Sequence[tuple[int, dict[str, str]]]
"""For each row its line number and its cells by the project's column names."""
DECIMAL_COMMA, NO_DECIMAL_COMMA = "--decimal-comma", "--no-decimal-comma"


@dataclass(frozen=True)
class TableOptions:
    """What the options say of a table; None or empty: to be detected."""

    header_options: HeaderOptions = field(default_factory=HeaderOptions)
    encoding: str | None = None
    day_format: str | None = None
    has_decimal_comma: bool | None = None
    defaults: RowDefaults = field(default_factory=RowDefaults)
    is_workbook: bool = False


@dataclass(frozen=True)
class DetectedTable:
    """How a table is written."""

    header: Header
    encoding: str
    formats: CellFormats
    is_workbook: bool = False

    @property
    def delimiter_of_reports(self) -> str:
        """The delimiter that Excel expects in the locale of the table."""
        is_continental = self.formats.has_decimal_comma or self.formats.day_format.startswith("dd.")
        return ";" if self.is_workbook and is_continental else self.header.delimiter

    def describe(self) -> str:
        days = "" if self.formats.day_format == ISO else f", days as {self.formats.day_format}"
        decimals = ", decimal commas" if self.formats.has_decimal_comma else ""
        below = f", header in line {self.header.last}" if self.header.last > 1 else ""
        if self.is_workbook:
            return f"{self.header.kind.name}{days}{decimals}{below}"
        delimiters = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}.get(
            self.header.delimiter, self.header.delimiter
        )
        return f"{self.header.kind.name}, {delimiters} between cells, {self.encoding}{days}{decimals}{below}"


def read_sample(lines: Iterator[Line]) -> list[Line]:
    """Return the first lines, which are kept in memory."""
    found, size = [], 0
    for line in islice(lines, MAX_SAMPLED_LINES):
        found.append(line)
        size += len(line.text)
        if size > MAX_SAMPLED_BYTES:
            break
    return found


def detect(sample: Sequence[Line], options: TableOptions) -> DetectedTable | OptionQuestion:
    """Return one question at a time, until everything is known. Raises ImportStoppedError when the input is no known
    kind of table."""
    encoding = options.encoding or _encoding(sample)
    if isinstance(encoding, OptionQuestion):
        return encoding
    lines = [in_utf_8(line, encoding) for line in sample]
    header = _header(lines, options.header_options)
    if isinstance(header, OptionQuestion):
        return header
    cells = list(_cells(lines, header))
    if question := _untranslated_values(header, cells, options.header_options):
        return question
    days = options.day_format or day_format_of(_cells_of_type(header.kind, cells, "time", "day"))
    comma = options.has_decimal_comma
    if comma is None:
        found = _decimal_comma(_cells_of_type(header.kind, cells, "number", "percent"), header.delimiter)
        if isinstance(found, OptionQuestion):
            return found
        comma = found
    if isinstance(days, RivalFormats):
        one = days.cell
        text = f"which day is {one.text!r} (line {one.line}, column {one.column})? {days.counts}"
        return OptionQuestion("--day-format", text, days.formats)
    formats = CellFormats(days, comma)
    _check_scale(header, cells, formats)
    _check_percentages(header, cells, formats)
    detected = DetectedTable(header, encoding, formats, options.is_workbook)
    return _missing_option(header, cells, options.defaults, days) or detected


def _encoding(sample: Sequence[Line]) -> str | OptionQuestion:
    """Raises ImportStoppedError for UTF-16 without a byte order mark."""
    if sample and b"\0" in sample[0].text:
        wide = "utf-16-be" if sample[0].text.startswith(b"\0") else "utf-16-le"
        raise ImportStoppedError(f"line 1 is likely UTF-16 without the mark that says so: give --encoding {wide}")
    found = candidate_encodings(line.text for line in sample)
    if len(found) == 1:
        return found[0]
    line, at = next((line, at) for line in sample if (at := _undecodable_at(line.text)) is not None)
    around = line.text[max(0, at - 12) : at + 12]
    shown = ", ".join(f"{name}: {around.decode(name, 'replace')!r}" for name in ENCODINGS)
    return OptionQuestion(
        "--encoding", f"line {line.number} is not UTF-8; which of these reads right? {shown}", ENCODINGS
    )


def _undecodable_at(text: bytes) -> int | None:
    try:
        text.decode(UTF_8)
    except UnicodeDecodeError as broken:
        return broken.start
    return None


def _header(lines: Sequence[Line], header_options: HeaderOptions) -> Header | OptionQuestion:
    try:
        return read_header(lines, header_options)
    except UnknownColumnsError as unknown:
        file_columns = unknown.found.names
        kind = KINDS[header_options.kind] if header_options.kind else guess_kind(file_columns)
        found = guess_columns(file_columns, kind) if kind else {}
        if kind is None or not kind.required <= set(found.values()) or header_options.translation.columns:
            raise
        ours = tuple(found.get(name, "") for name in file_columns)
        header = Header(
            kind, ours, unknown.found.delimiter, file_columns, last=unknown.found.last, text=unknown.found.text
        )
        columns = {name: found.get(name, "") for name in file_columns if name}
        values = _guessed_values(header, list(_cells(lines, header)))
        return OptionQuestion(
            "--columns",
            f"its columns have other names than Rapport's ({unknown}); as a table of {kind.name} they may be",
            proposal=proposal(columns, values),
        )


def _cells(lines: Sequence[Line], header: Header) -> Iterator[tuple[int, dict[str, str]]]:
    for row in header.rows(lines):
        try:
            yield row.number, header.cells(row)
        except BrokenRowError:
            continue  # refused later, with its row


def _untranslated_values(header: Header, cells: SampledRows, header_options: HeaderOptions) -> OptionQuestion | None:
    """Ask about values that are most likely the project's in other words."""
    values = {} if header_options.translation.values else _guessed_values(header, cells)
    if not any(any(mapping.values()) for mapping in values.values()):
        return None
    columns = {theirs: ours for theirs, ours in zip(header.file_columns, header.columns, strict=True) if theirs}
    text = ", ".join(f"{theirs!r} in {column}" for column, mapping in values.items() for theirs in mapping)
    return OptionQuestion(
        "--columns", f"some values are not Rapport's ({text[:200]})", proposal=proposal(columns, values)
    )


def _guessed_values(header: Header, cells: SampledRows) -> dict[str, dict[str, str]]:
    """Return, for each column with a closed set of values, the other values found in it, each with the project's most
    likely value."""
    found: dict[str, dict[str, str]] = {}
    for column in header.kind.columns.values():
        if column.values and column.name in header.columns:
            mapping = {"", *column.values, *(YES | NO if column.value_type == "yes or no" else ())}
            texts = (row.get(column.name, "").strip() for _, row in cells)
            others = dict.fromkeys(text for text in texts if text.lower() not in mapping)
            guesses = {text[:200]: guess_value(column, text) for text in islice(others, MAX_VALUES)}
            if any(guesses.values()):
                found[column.name] = {theirs: ours for theirs, ours in guesses.items() if ours}
    return found


_WITH_OFFSET = re.compile(rf"({OFFSET})$")


def _missing_option(
    header: Header, cells: SampledRows, defaults: RowDefaults, day_format: str
) -> OptionQuestion | None:
    """Ask for what neither the rows nor the command specify."""
    absent = {name for name in header.kind.columns if name not in header.columns} if cells else set()
    if "program" in absent and not defaults.program:
        return OptionQuestion("--program", "to which programme do the rows belong?", example="PROGRAMME")
    if "source" in absent and not defaults.source:
        return OptionQuestion(
            "--source", "which CloudEvents source (of the token) do the rows come from?", example="URI"
        )
    if "time_zone" in absent and not defaults.time_zone:
        times = [in_iso(one.text, day_format) for one in _cells_of_type(header.kind, cells, "time")]
        without_offset = [text for text in times if not _WITH_OFFSET.search(text[10:])]
        if len(without_offset) * 2 > len(times) or header.kind.name == "directory":
            text = "in which time zone are the times written?"
            return OptionQuestion("--time-zone", text, example="Europe/Berlin")
    return None


def _cells_of_type(kind: TableKind, cells: SampledRows, *formats: str) -> list[SampledCell]:
    """Return the non-empty cells of these column types, normalized as rows are parsed."""
    columns = [column for column in kind.columns.values() if column.value_type in formats]
    found = (
        SampledCell(line, column.name, normalize_blanks(clean_text(row.get(column.name, ""))))
        for line, row in cells
        for column in columns
    )
    date_columns = {column.name for column in columns if column.value_type in {"time", "day"}}
    return [
        one
        for one in found
        if one.text and one.text not in NO_VALUE and not (one.column in date_columns and is_missing_day(one.text))
    ]


_COMMA = re.compile(r"[+-]?[0-9.]+,[0-9]+ ?%?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")


def _decimal_comma(cells: Sequence[SampledCell], delimiter: str) -> bool | OptionQuestion:
    """Excel separates cells by semicolons where the comma is the decimal sign; then `1.500` alone may be 1500."""
    commas = [one for one in cells if _COMMA.fullmatch(one.text)]
    unclear = [one for one in commas if _THOUSANDS.fullmatch(one.text)]
    if len(commas) > len(unclear):
        return True
    points = [one for one in cells if "." in one.text]
    if delimiter == ";" and not commas and all(GROUPED.fullmatch(one.text) for one in points):
        unclear = points
    if not unclear:
        return False
    one = unclear[0]
    return OptionQuestion(
        "",
        f"is {one.text!r} (line {one.line}, column {one.column}) a number with a decimal comma?",
        (DECIMAL_COMMA, NO_DECIMAL_COMMA),
    )


SCALE = (1, 5)
"""Of ratings, where no column gives the scale."""
FEW = 20
"""One rating in so many off the scale is a typing error: it is refused with its row."""


def _check_scale(header: Header, cells: SampledRows, formats: CellFormats) -> None:
    """Raise ImportStoppedError where too many ratings lie off the default scale: then the other ratings are on another
    scale as well, and would count as better or worse than they are."""
    unscaled = [(line, row) for line, row in cells if not row.get("scale_max", "").strip()]
    ratings = list(_numbers(_cells_of_type(header.kind, unscaled, "number"), "rating", formats))
    lowest, highest = SCALE
    off = [(number, line) for number, line in ratings if not lowest <= number <= highest]
    if len(off) > 1 and len(off) * FEW > len(ratings):
        number, line = off[0]
        text = f"on which scale are the ratings? {number:g} (line {line}) is not on that from {lowest} to {highest}"
        raise ImportStoppedError(f"{text}: add the columns scale_min and scale_max")


def _check_percentages(header: Header, cells: SampledRows, formats: CellFormats) -> None:
    """Raise ImportStoppedError where percentages may be fractions, as Excel stores them: 0.4 for 40 %."""
    found = list(_numbers(_cells_of_type(header.kind, cells, "percent"), "percent", formats))
    broken = [(number, line) for number, line in found if number % 1]
    if broken and all(0 <= number <= 1 for number, _ in found):
        number, line = broken[0]
        raise ImportStoppedError(
            f"is {number:g} (line {line}, column percent) less than one percent? Write {number:g}% or {number * 100:g}"
        )


def _numbers(cells: Iterable[SampledCell], column: str, formats: CellFormats) -> Iterator[tuple[float, int]]:
    """Yield each number with its line; a cell that is no number is refused later, with its row."""
    for one in cells:
        if one.column == column:
            with suppress(InvalidCellError):
                yield formats.number(one.text), one.line
