"""The files that are to be imported: each opened and recognised, with what each of its lines asks for; several of them
in order: people first, then pairs, then everything as it happened, so that nobody judges a pair of which only half is
there."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, groupby
from pathlib import Path

import click

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.allow_list import composed
from services.ingest.domain.tools.cells import as_whole_number
from services.ingest.importing.entry import STDIN, ImportEntry, LinesFile, event_entry
from services.ingest.importing.excel import ExcelFile
from services.ingest.importing.first_look import DECIMAL_COMMA, Look, TableOptions, look, sampled
from services.ingest.importing.known import Known
from services.ingest.importing.options import PROPOSED, Ask, Options, Question
from services.ingest.importing.row import RowReading
from services.ingest.importing.sender import EVENTS_ENDPOINT, PARTICIPANTS_ENDPOINT, ImportStoppedError
from services.ingest.importing.table import Header, HeaderWish, row_entry
from services.ingest.importing.translation import read_translation
from services.ingest.sources.tables import UTF_8, BrokenRowError, Line, in_utf_8


@dataclass(frozen=True)
class Input:
    """`called` in what is said of it. `look` is None of a file of events. `position` of at most `size`, None if nobody
    knows."""

    file: Path
    called: str
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
        if workbook.hidden_rows:
            click.echo(f"{for_sheet}: {workbook.hidden_rows} rows are hidden, and read all the same", err=True)
        found = Input(file, for_sheet, iter(workbook), event_entry, workbook.position, workbook.size)
        return _table(found, options, known, ask, stack)
    lines = stack.enter_context(LinesFile(file, options.encoding))
    found = Input(file, file.name, iter(lines), event_entry, lines.position, lines.size)
    if options.is_table(file):
        return _table(found, options, known, ask, stack)
    return replace(found, lines=(line for line in found.lines if line.text.strip()))


def _table(found: Input, options: Options, known: Known, ask: Ask, stack: ExitStack) -> Input:
    sample = sampled(found.lines)
    given = _given(options, found.file)
    while isinstance(recognised := look(sample, given), Question):
        asked = replace(recognised, words=f"{found.file.name}: {recognised.words}")
        answered = _with_columns if asked.proposal else _with
        given = answered(given, asked, found.file, ask)
    click.echo(f"{found.called}: {recognised.in_words()}", err=True)
    header = recognised.header
    found = replace(found, lines=header.rows(in_utf_8(one, recognised.encoding) for one in chain(sample, found.lines)))
    contradicted = frozenset[str]()
    if "participant" in header.kind.needed:
        apart = _PeopleApart(stack.enter_context(closing(sqlite3.connect(""))), found.lines, header)
        contradicted = apart.contradicted()
        found = replace(found, lines=iter(apart), position=apart.position, size=apart.size)
    # When the table was written; of standard input, now.
    now = datetime.now(UTC)
    saved = now if found.file == STDIN else min(now, datetime.fromtimestamp(found.file.stat().st_mtime, UTC))
    reading = RowReading(given.defaults, recognised.forms, to_rfc3339(saved), contradicted, known.person_at)
    entry = row_entry(header, reading)
    return replace(found, entry=lambda line: known.learn(entry(line)), look=recognised)


class _PeopleApart:
    """Iterates over all rows of a table of people, which lie in a database meanwhile: a table of any length takes no
    more memory than one of a few rows, and which people it contradicts itself of is known before the first is sent."""

    def __init__(self, database: sqlite3.Connection, rows: Iterable[Line], header: Header) -> None:
        self._database, self._header, self._read = database, header, 0
        database.execute("CREATE TABLE row (line INTEGER, text BLOB, lines INTEGER, person TEXT)")
        told = ((row.number, row.text, row.lines, self._person(row)) for row in rows)
        self.size = database.executemany("INSERT INTO row VALUES (?, ?, ?, ?)", told).rowcount

    def contradicted(self) -> frozenset[str]:
        """Of whom several rows say different things, be it only that they have left: whichever comes last would
        count. An address in other letters is the same."""
        found = set[str]()
        several = "SELECT person FROM row WHERE person != '' GROUP BY person HAVING count(DISTINCT text) > 1"
        rows = f"SELECT person, line, text FROM row WHERE person IN ({several}) ORDER BY person"  # noqa: S608 (ours)
        for person, told in groupby(self._database.execute(rows), lambda row: row[0]):
            cells = (self._header.cells(Line(line, text)) | {"participant": person} for _, line, text in told)
            if len({tuple(composed(cell).casefold() for cell in each.values()) for each in cells}) > 1:
                found.add(person)
        return frozenset(found)

    def _person(self, row: Line) -> str:
        """Nobody of a row that is refused when it is its turn."""
        try:
            return as_whole_number(composed(self._header.cells(row)["participant"]))
        except BrokenRowError:
            return ""

    def position(self) -> int:
        return self._read

    def __iter__(self) -> Iterator[Line]:
        for row in self._database.execute("SELECT line, text, lines FROM row ORDER BY rowid"):
            self._read += 1
            yield Line(*row)


def _given(options: Options, file: Path) -> TableOptions:
    translation = read_translation(options.columns_for(file))
    is_wide = options.encoding is not None and "\n".encode(options.encoding) != b"\n"
    return TableOptions(
        HeaderWish(options.kind, options.skip_column, translation),
        # Wide encodings are turned into UTF-8 where the file is read.
        UTF_8 if options.is_workbook(file) or is_wide else options.encoding,
        options.day_format,
        options.decimal_comma,
        options.defaults,
        options.is_workbook(file),
    )


def _with(given: TableOptions, question: Question, _file: Path, ask: Ask) -> TableOptions:
    option, answer = question.option, ask(question)
    match option:
        case "--encoding":
            return replace(given, encoding=answer)
        case "--day-format":
            return replace(given, day_format=answer)
        case "--program" | "--source" | "--time-zone":
            default = option.removeprefix("--").replace("-", "_")
            return replace(given, defaults=replace(given.defaults, **{default: answer}))
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


STARTED = b'"mentoring.relationship.started.v1"'
PEOPLE, PAIRS, REST = range(3)
_TABLE = """
CREATE TABLE message (stage INTEGER, time TEXT, later INTEGER, input INTEGER, line INTEGER, part INTEGER,
                      row BLOB, message BLOB)
"""
_IN_ORDER = """
SELECT input, line, row, message, time
FROM message ORDER BY stage, time, later, input, line, part
"""


@contextmanager
def in_order(
    inputs: Sequence[Input], refused: Callable[[ImportEntry], None], stage_of_pairs: int
) -> Iterator["SortedMessages"]:
    """Reads all of them; what cannot be sent is told to `refused`. `stage_of_pairs` is PAIRS, or on the log's clock
    REST: there pairs begin in their own time, lest their first days come late."""
    # A database without a name lies in a temporary file, which goes with it: files of any length can be sorted.
    with closing(sqlite3.connect("")) as database:
        database.execute(_TABLE)
        for number, found in sorted(enumerate(inputs), key=lambda one: one[1].rank):
            for entry in found.entries():
                if entry.refusal:
                    refused(replace(entry, input=number))
                else:
                    database.executemany(
                        "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _rows(entry, number, stage_of_pairs)
                    )
        yield SortedMessages(database, inputs)


class SortedMessages:
    """Iterates over what is to be sent, one message each."""

    def __init__(self, database: sqlite3.Connection, inputs: Sequence[Input]) -> None:
        self._database, self._inputs = database, inputs

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM message").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[ImportEntry]:
        for number, line, row, message, time in self._database.execute(_IN_ORDER):
            look = self._inputs[number].look
            kind = look.header.kind if look else None
            yield ImportEntry(
                Line(line, row),
                (message,),
                times=(time,) if time else (),
                column=kind.column if kind else lambda _: "",
                original="row" if kind else "event",
                endpoint=kind.endpoint if kind else EVENTS_ENDPOINT,
                input=number,
            )


def _rows(entry: ImportEntry, number: int, stage_of_pairs: int) -> Iterator[tuple[object, ...]]:
    times = entry.times or ("",) * len(entry.messages)
    for part, (message, time) in enumerate(zip(entry.messages, times, strict=True)):
        begins = STARTED in message
        stage = PEOPLE if entry.endpoint is PARTICIPANTS_ENDPOINT else stage_of_pairs if begins else REST
        # As it is compared; what is no time is refused by the gateway, wherever it stands.
        with suppress(ValueError, OverflowError):
            time = to_rfc3339(datetime.fromisoformat(time).astimezone(UTC)) if time else ""  # noqa: PLW2901 (in UTC)
        yield (stage, time, not begins, number, entry.line.number, part, entry.line.text, message)
