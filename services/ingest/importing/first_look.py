"""The first look at a table, before anything of it is sent: how it is written, and what only a person can know."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from services.ingest.domain.tools.allow_list import composed
from services.ingest.domain.tools.cells import NO_VALUE, is_no_day
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import TableKind
from services.ingest.importing.moments import Forms, UncertainError
from services.ingest.importing.options import Question
from services.ingest.importing.row import NO, YES, Defaults, in_line
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.table import Header, HeaderWish, UnknownColumnsError, read_header
from services.ingest.importing.translation import guessed, guessed_kind, guessed_value, proposal
from services.ingest.sources.day_formats import ISO, OFFSET, RivalFormats, SampledCell, day_format_of, in_iso
from services.ingest.sources.tables import ENCODINGS, UTF_8, BrokenRowError, Line, encodings_of, in_utf_8

MOST_LOOKED_AT = 20_000
MOST_BYTES_LOOKED_AT = 8 * 2**20
MOST_VALUES = 50
SampledRows = Sequence[tuple[int, dict[str, str]]]
"""Of each row its line and its cells, in our words."""
DECIMAL_COMMA, NO_DECIMAL_COMMA = "--decimal-comma", "--no-decimal-comma"


@dataclass(frozen=True)
class TableOptions:
    """What options say of a table; None or empty: it is to be recognised."""

    wish: HeaderWish = field(default_factory=HeaderWish)
    encoding: str | None = None
    day_format: str | None = None
    has_decimal_comma: bool | None = None
    defaults: Defaults = field(default_factory=Defaults)
    is_workbook: bool = False


@dataclass(frozen=True)
class Look:
    """What was recognised."""

    header: Header
    encoding: str
    forms: Forms
    is_workbook: bool = False

    @property
    def delimiter_of_reports(self) -> str:
        """That by which an Excel of the table's language knows a table."""
        is_continental = self.forms.has_decimal_comma or self.forms.day_format.startswith("dd.")
        return ";" if self.is_workbook and is_continental else self.header.delimiter

    def in_words(self) -> str:
        days = "" if self.forms.day_format == ISO else f", days as {self.forms.day_format}"
        decimals = ", decimal commas" if self.forms.has_decimal_comma else ""
        below = f", header in line {self.header.last}" if self.header.last > 1 else ""
        if self.is_workbook:
            return f"{self.header.kind.name}{days}{decimals}{below}"
        between = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}.get(
            self.header.delimiter, self.header.delimiter
        )
        return f"{self.header.kind.name}, {between} between cells, {self.encoding}{days}{decimals}{below}"


def sampled(lines: Iterator[Line]) -> list[Line]:
    """The first lines, which stay in memory."""
    found, size = [], 0
    for line in islice(lines, MOST_LOOKED_AT):
        found.append(line)
        size += len(line.text)
        if size > MOST_BYTES_LOOKED_AT:
            break
    return found


def look(sample: Sequence[Line], given: TableOptions) -> Look | Question:
    """One question at a time, until all is known. Raises ImportStoppedError when it is no table that we know."""
    encoding = given.encoding or _encoding(sample)
    if isinstance(encoding, Question):
        return encoding
    lines = [in_utf_8(line, encoding) for line in sample]
    header = _header(lines, given.wish)
    if isinstance(header, Question):
        return header
    cells = list(_cells(lines, header))
    if question := _untranslated(header, cells, given.wish):
        return question
    days = given.day_format or day_format_of(_of_form(header.kind, cells, "time", "day"))
    comma = given.has_decimal_comma
    if comma is None:
        found = _decimal_comma(_of_form(header.kind, cells, "number", "percent"))
        if isinstance(found, Question):
            return found
        comma = found
    if isinstance(days, RivalFormats):
        one = days.cell
        words = f"which day is {one.text!r} (line {one.line}, column {one.column})? {days.counts}"
        return Question("--day-format", words, days.formats)
    forms = Forms(days, comma)
    _check_scale(header, cells, forms)
    _check_shares(header, cells, forms)
    seen = Look(header, encoding, forms, given.is_workbook)
    return _missing(header, cells, given.defaults, days) or seen


def _encoding(sample: Sequence[Line]) -> str | Question:
    """Raises ImportStoppedError for a wide one that its mark does not name."""
    if sample and b"\0" in sample[0].text:
        wide = "utf-16-be" if sample[0].text.startswith(b"\0") else "utf-16-le"
        raise ImportStoppedError(f"line 1 is likely UTF-16 without the mark that says so: give --encoding {wide}")
    found = encodings_of(line.text for line in sample)
    if len(found) == 1:
        return found[0]
    line, at = next((line, at) for line in sample if (at := _broken_at(line.text)) is not None)
    around = line.text[max(0, at - 12) : at + 12]
    shown = ", ".join(f"{name}: {around.decode(name, 'replace')!r}" for name in ENCODINGS)
    return Question("--encoding", f"line {line.number} is not UTF-8; which of these reads right? {shown}", ENCODINGS)


def _broken_at(text: bytes) -> int | None:
    try:
        text.decode(UTF_8)
    except UnicodeDecodeError as broken:
        return broken.start
    return None


def _header(lines: Sequence[Line], wish: HeaderWish) -> Header | Question:
    try:
        return read_header(lines, wish)
    except UnknownColumnsError as unknown:
        written = unknown.found.names
        kind = KINDS[wish.kind] if wish.kind else guessed_kind(written)
        found = guessed(written, kind) if kind else {}
        if kind is None or not kind.needed <= set(found.values()) or wish.translation.columns:
            raise
        ours = tuple(found.get(name, "") for name in written)
        header = Header(kind, ours, unknown.found.delimiter, written, last=unknown.found.last, text=unknown.found.text)
        columns = {name: found.get(name, "") for name in written if name}
        values = _guessed_values(header, list(_cells(lines, header)))
        return Question(
            "--columns",
            f"its columns are not called as ours ({unknown}); this is what they may be, as a table of {kind.name}",
            proposal=proposal(columns, values),
        )


def _cells(lines: Sequence[Line], header: Header) -> Iterator[tuple[int, dict[str, str]]]:
    for row in header.rows(lines):
        try:
            yield row.number, header.cells(row)
        except BrokenRowError:
            continue  # refused when it is its turn


def _untranslated(header: Header, cells: SampledRows, wish: HeaderWish) -> Question | None:
    """Values that are most likely ours in other words."""
    values = {} if wish.translation.values else _guessed_values(header, cells)
    if not any(any(known.values()) for known in values.values()):
        return None
    columns = {theirs: ours for theirs, ours in zip(header.written, header.columns, strict=True) if theirs}
    words = ", ".join(f"{theirs!r} in {column}" for column, known in values.items() for theirs in known)
    return Question(
        "--columns", f"some values are not in our words ({words[:200]})", proposal=proposal(columns, values)
    )


def _guessed_values(header: Header, cells: SampledRows) -> dict[str, dict[str, str]]:
    """Of each column that takes certain values only: what else stands there, with what it may be."""
    found: dict[str, dict[str, str]] = {}
    for column in header.kind.columns.values():
        if column.values and column.name in header.columns:
            known = {"", *column.values, *(YES | NO if column.form == "yes or no" else ())}
            texts = (row.get(column.name, "").strip() for _, row in cells)
            others = dict.fromkeys(text for text in texts if text.lower() not in known)
            guesses = {text[:200]: guessed_value(column, text) for text in islice(others, MOST_VALUES)}
            if any(guesses.values()):
                found[column.name] = {theirs: ours for theirs, ours in guesses.items() if ours}
    return found


_WITH_OFFSET = re.compile(rf"({OFFSET})$")


def _missing(header: Header, cells: SampledRows, defaults: Defaults, day_format: str) -> Question | None:
    """What no row says of itself, and the command does not either."""
    absent = {name for name in header.kind.columns if name not in header.columns} if cells else set()
    if "program" in absent and not defaults.program:
        return Question("--program", "to which programme do the rows belong?", example="PROGRAMME")
    if "source" in absent and not defaults.source:
        return Question("--source", "as which source (of the token) do the rows speak?", example="URI")
    if "time_zone" in absent and not defaults.time_zone:
        times = [in_iso(one.text, day_format) for one in _of_form(header.kind, cells, "time")]
        hung = [text for text in times if not _WITH_OFFSET.search(text[10:])]
        if len(hung) * 2 > len(times) or header.kind.name == "directory":
            words = "where did the clocks hang by which times are written?"
            return Question("--time-zone", words, example="Europe/Berlin")
    return None


def _of_form(kind: TableKind, cells: SampledRows, *forms: str) -> list[SampledCell]:
    """Where something is said, as rows are read."""
    columns = [column for column in kind.columns.values() if column.form in forms]
    found = (
        SampledCell(line, column.name, in_line(composed(row.get(column.name, ""))))
        for line, row in cells
        for column in columns
    )
    of_days = {column.name for column in columns if column.form in {"time", "day"}}
    return [
        one
        for one in found
        if one.text and one.text not in NO_VALUE and not (one.column in of_days and is_no_day(one.text))
    ]


_COMMA = re.compile(r"[+-]?[0-9.]+,[0-9]+ ?%?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")


def _decimal_comma(seen: Sequence[SampledCell]) -> bool | Question:
    found = Counter(bool(_THOUSANDS.fullmatch(one.text)) for one in seen if _COMMA.fullmatch(one.text))
    if found[False]:
        return True
    if not found[True]:
        return False
    one = next(one for one in seen if _THOUSANDS.fullmatch(one.text))
    return Question(
        "",
        f"is {one.text!r} (line {one.line}, column {one.column}) a number with a decimal comma?",
        (DECIMAL_COMMA, NO_DECIMAL_COMMA),
    )


SCALE = (1, 5)
"""Of ratings of which no column says it."""
FEW = 20
"""A single rating off the scale is a slip, and so is one of so many: it is refused with its row."""


def _check_scale(header: Header, cells: SampledRows, forms: Forms) -> None:
    """Raises ImportStoppedError where ratings lie off the scale that is meant where none is told: the others are then
    of another one as well, and would count for better or worse than they are."""
    untold = [(line, row) for line, row in cells if not row.get("scale_max", "").strip()]
    ratings = list(_numbers(_of_form(header.kind, untold, "number"), "rating", forms))
    lowest, highest = SCALE
    off = [(number, line) for number, line in ratings if not lowest <= number <= highest]
    if len(off) > 1 and len(off) * FEW > len(ratings):
        number, line = off[0]
        words = f"on which scale are the ratings? {number:g} (line {line}) is not on that from {lowest} to {highest}"
        raise ImportStoppedError(f"{words}: add the columns scale_min and scale_max")


def _check_shares(header: Header, cells: SampledRows, forms: Forms) -> None:
    """Raises ImportStoppedError where percentages may be shares, as Excel keeps them: 0.4 for 40 %."""
    found = list(_numbers(_of_form(header.kind, cells, "percent"), "percent", forms))
    broken = [(number, line) for number, line in found if number % 1]
    if broken and all(0 <= number <= 1 for number, _ in found):
        number, line = broken[0]
        raise ImportStoppedError(
            f"is {number:g} (line {line}, column percent) less than one percent? Write {number:g}% or {number * 100:g}"
        )


def _numbers(seen: Iterable[SampledCell], column: str, forms: Forms) -> Iterator[tuple[float, int]]:
    """With their lines; what is none is refused when it is its turn."""
    for one in seen:
        if one.column == column:
            with suppress(UncertainError):
                yield forms.number(one.text), one.line
