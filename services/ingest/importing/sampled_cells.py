"""How the days and numbers of a table are written, as its first rows show: what may be read in two ways is asked, and
no row is read until it is answered."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from services.ingest.domain.tools.allow_list import composed
from services.ingest.domain.tools.cells import NO_VALUE, is_no_day
from services.ingest.importing.kinds.kind import TableKind
from services.ingest.importing.moments import Forms, UncertainError
from services.ingest.importing.options import Question
from services.ingest.importing.row import in_line
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.table import Header
from services.ingest.sources.day_formats import SampledCell, day_format_of

DECIMAL_COMMA, NO_DECIMAL_COMMA = "--decimal-comma", "--no-decimal-comma"
SampledRows = Sequence[tuple[int, dict[str, str]]]
"""Of each row its line and its cells, in our words."""


def of_form(kind: TableKind, cells: SampledRows, *forms: str) -> list[SampledCell]:
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


def day_format_asked(seen: Sequence[SampledCell]) -> str | Question:
    found = day_format_of(seen)
    if isinstance(found, str):
        return found
    one = found.cell
    words = f"which day is {one.text!r} (line {one.line}, column {one.column})? {found.counts}"
    return Question("--day-format", words, found.formats)


_COMMA = re.compile(r"[+-]?[0-9.]+,[0-9]+ ?%?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")


def decimal_comma(seen: Sequence[SampledCell]) -> bool | Question:
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


def check_scale(header: Header, cells: SampledRows, forms: Forms) -> None:
    """Raises ImportStoppedError where ratings lie off the scale that is meant where none is told: the others are then
    of another one as well, and would count for better or worse than they are."""
    untold = [(line, row) for line, row in cells if not row.get("scale_max", "").strip()]
    ratings = list(_numbers(of_form(header.kind, untold, "number"), "rating", forms))
    lowest, highest = SCALE
    off = [(number, line) for number, line in ratings if not lowest <= number <= highest]
    if len(off) > 1 and len(off) * FEW > len(ratings):
        number, line = off[0]
        words = f"on which scale are the ratings? {number:g} (line {line}) is not on that from {lowest} to {highest}"
        raise ImportStoppedError(f"{words}: add the columns scale_min and scale_max")


def check_shares(header: Header, cells: SampledRows, forms: Forms) -> None:
    """Raises ImportStoppedError where percentages may be shares, as Excel keeps them: 0.4 for 40 %."""
    found = list(_numbers(of_form(header.kind, cells, "percent"), "percent", forms))
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
