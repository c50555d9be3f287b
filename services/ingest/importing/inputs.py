"""A file that is to be imported, opened and recognised: its lines, and what each of them asks for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import click

from schemas.primitives import to_rfc3339
from services.ingest.importing.entry import STDIN, ImportEntry, LinesFile, event_entry, event_lines
from services.ingest.importing.excel import ExcelFile
from services.ingest.importing.first_look import Look, TableOptions, look, sampled
from services.ingest.importing.known import Known
from services.ingest.importing.options import PROPOSED, Ask, Options, Question
from services.ingest.importing.row import RowReading
from services.ingest.importing.sampled_cells import DECIMAL_COMMA
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.table import HeaderWish, row_entry
from services.ingest.importing.translation import read_translation
from services.ingest.sources.tables import UTF_8, Line, in_utf_8


@dataclass(frozen=True)
class Input:
    """`look` is None of a file of events. `position` of at most `size`, None if nobody knows."""

    file: Path
    lines: Iterator[Line]
    entry: Callable[[Line], ImportEntry]
    position: Callable[[], int]
    size: int | None
    look: Look | None = None

    def entries(self) -> Iterator[ImportEntry]:
        return map(self.entry, self.lines)

    @property
    def rank(self) -> int:
        """People are known before pairs, and pairs before what they do."""
        if self.look is None:
            return 2
        kind = self.look.header.kind
        return 0 if "participant" in kind.needed else 2 if kind.speaks_of_relationships else 1


def opened(file: Path, options: Options, known: Known, ask: Ask, stack: ExitStack) -> Input:
    """Reads its begin, asks what is not certain, and says what was recognised. Raises ImportStoppedError."""
    if options.is_workbook(file):
        workbook = stack.enter_context(ExcelFile(file, options.sheet))
        for_sheet = f"{file.name}, sheet {workbook.sheet!r}"
        if workbook.others and not options.sheet:
            choices = (workbook.sheet, *workbook.others)
            answer = ask(Question("--sheet", f"{file.name} has several sheets: which holds the table?", choices))
            return opened(file, replace(options, sheet=answer), known, ask, stack)
        found = Input(file, iter(workbook), event_entry, workbook.position, workbook.size)
        return _table(found, options, known, ask, for_sheet)
    lines = stack.enter_context(LinesFile(file, options.encoding))
    found = Input(file, event_lines(iter(lines)), event_entry, lines.position, lines.size)
    if not options.is_table(file):
        return found
    return _table(replace(found, lines=iter(lines)), options, known, ask, file.name)


def _table(found: Input, options: Options, known: Known, ask: Ask, called: str) -> Input:
    sample = sampled(found.lines)
    given = _answered(sample, _given(options, found.file), ask, found.file)
    recognised = look(sample, given)
    assert isinstance(recognised, Look), "every question is answered"
    click.echo(f"{called}: {recognised.in_words()}", err=True)
    lines = (in_utf_8(line, recognised.encoding) for line in chain(sample, found.lines))
    header = recognised.header
    reading = RowReading(given.defaults, recognised.forms, _saved(found.file), recognised.contradicted, known.person_at)
    entry = row_entry(header, reading)
    return replace(found, lines=header.rows(lines), entry=lambda line: known.learn(entry(line)), look=recognised)


def _given(options: Options, file: Path) -> TableOptions:
    translation = read_translation(options.columns_for(file))
    return TableOptions(
        HeaderWish(options.kind, options.skip_column, translation),
        # Wide encodings are turned into UTF-8 where the file is read.
        UTF_8 if options.is_workbook(file) or (options.encoding and _is_wide(options.encoding)) else options.encoding,
        options.day_format,
        options.decimal_comma,
        options.defaults,
        options.is_workbook(file),
    )


def _is_wide(encoding: str) -> bool:
    return "\n".encode(encoding) != b"\n"


def _saved(file: Path) -> str:
    """When the table was written; of standard input, now."""
    seconds = None if file == STDIN else file.stat().st_mtime
    now = datetime.now(UTC)
    return to_rfc3339(now if seconds is None else min(now, datetime.fromtimestamp(seconds, UTC)))


def _answered(sample: list[Line], given: TableOptions, ask: Ask, file: Path) -> TableOptions:
    while isinstance(question := look(sample, given), Question):
        asked = replace(question, words=f"{file.name}: {question.words}")
        given = _with_columns(given, asked, file, ask) if asked.proposal else _with(given, asked.option, ask(asked))
    return given


def _with(given: TableOptions, option: str, answer: str) -> TableOptions:
    match option:
        case "--encoding":
            return replace(given, encoding=answer)
        case "--day-format":
            return replace(given, day_format=answer)
        case "--program":
            return replace(given, defaults=replace(given.defaults, program=answer))
        case "--source":
            return replace(given, defaults=replace(given.defaults, source=answer))
        case "--time-zone":
            return replace(given, defaults=replace(given.defaults, time_zone=answer))
        case _:
            return replace(given, has_decimal_comma=answer == DECIMAL_COMMA)


def _with_columns(given: TableOptions, question: Question, file: Path, ask: Ask) -> TableOptions:
    """The proposal is written beside the table, where nobody has written one yet, and used when it is found right."""
    beside = Path(f"import{PROPOSED}") if file == STDIN else file.with_name(f"{file.name}{PROPOSED}")
    if not beside.exists():
        beside.write_text(question.proposal, encoding="utf-8")
    text = beside.read_text(encoding="utf-8")
    words = f"{question.words}\n{text}Look over {beside}, change what is wrong"
    if ask(Question("--columns", words, default=str(beside))) != str(beside):
        raise ImportStoppedError(f"change {beside} first, then give --columns {beside}")
    return replace(given, wish=replace(given.wish, translation=read_translation([beside])))
