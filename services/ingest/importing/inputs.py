"""Opens the input files, detects the format of each, and converts its lines to messages. Several files are sorted:
people first, then relationships, then everything by its time, so that no relationship is evaluated while half of it is
missing."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, groupby
from pathlib import Path

import click

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.allow_list import clean_text
from services.ingest.domain.tools.cells import as_whole_number
from services.ingest.importing.detection import DECIMAL_COMMA, DetectedTable, TableOptions, detect, read_sample
from services.ingest.importing.entry import STDIN, ImportEntry, LineReader, event_entry
from services.ingest.importing.excel import ExcelFile
from services.ingest.importing.options import PROPOSAL_SUFFIX, Ask, ImportOptions, OptionQuestion
from services.ingest.importing.projection import ImportProjection
from services.ingest.importing.row import RowContext
from services.ingest.importing.sender import EVENTS_ENDPOINT, PARTICIPANTS_ENDPOINT, ImportStoppedError
from services.ingest.importing.table import Header, HeaderOptions, row_converter
from services.ingest.importing.translation import read_translation
from services.ingest.sources.tables import UTF_8, BrokenRowError, Line, in_utf_8


@dataclass(frozen=True)
class ImportInput:
    """One open input file. `label` names it in messages. `table` is None for a file of events. `position` is at most
    `size`; `size` is None if unknown."""

    file: Path
    label: str
    lines: Iterator[Line]
    entry: Callable[[Line], ImportEntry]
    position: Callable[[], int]
    size: int | None
    table: DetectedTable | None = None

    def entries(self) -> Iterator[ImportEntry]:
        return map(self.entry, self.lines)

    @property
    def rank(self) -> int:
        """Order of reading: people before relationships, and relationships before their events."""
        if self.table is None:
            return 2
        kind = self.table.header.kind
        return 0 if "participant" in kind.required else 2 if kind.refers_to_relationships else 1


def open_input(
    file: Path, options: ImportOptions, projection: ImportProjection, ask: Ask, stack: ExitStack
) -> ImportInput:
    """Read the beginning of the file, ask about what is ambiguous, and print what was detected. Raises
    ImportStoppedError."""
    if options.is_workbook(file):
        workbook = stack.enter_context(ExcelFile(file, options.sheet))
        for_sheet = f"{file.name}, sheet {workbook.sheet!r}"
        if workbook.others and not options.sheet:
            choices = (workbook.sheet, *workbook.others)
            answer = ask(OptionQuestion("--sheet", f"{file.name} has several sheets: which holds the table?", choices))
            return open_input(file, replace(options, sheet=answer), projection, ask, stack)
        if workbook.hidden_rows:
            click.echo(f"{for_sheet}: {workbook.hidden_rows} rows are hidden, and read all the same", err=True)
        found = ImportInput(file, for_sheet, iter(workbook), event_entry, workbook.position, workbook.size)
        return _open_table(found, options, projection, ask, stack)
    lines = stack.enter_context(LineReader(file, options.encoding))
    found = ImportInput(file, file.name, iter(lines), event_entry, lines.position, lines.size)
    if options.is_table(file):
        return _open_table(found, options, projection, ask, stack)
    return replace(found, lines=_event_lines(found))


def _event_lines(found: ImportInput) -> Iterator[Line]:
    """Raises ImportStoppedError when the file is one JSON array: each of its lines would be refused."""
    filled = (line for line in found.lines if line.text.strip())
    for number, line in enumerate(filled):
        if number == 0 and line.text.lstrip().startswith(b"["):
            raise ImportStoppedError(f"{found.label} is a JSON array: write one event per line")
        yield line


def _open_table(
    found: ImportInput, options: ImportOptions, projection: ImportProjection, ask: Ask, stack: ExitStack
) -> ImportInput:
    sample = read_sample(found.lines)
    options_of_table = _table_options(options, found.file)
    while isinstance(detected := detect(sample, options_of_table), OptionQuestion):
        question = replace(detected, text=f"{found.file.name}: {detected.text}")
        answered = _with_mapping if question.proposal else _with_answer
        options_of_table = answered(options_of_table, question, found.file, ask)
    click.echo(f"{found.label}: {detected.describe()}", err=True)
    header = detected.header
    found = replace(found, lines=header.rows(in_utf_8(one, detected.encoding) for one in chain(sample, found.lines)))
    conflicting = frozenset[str]()
    if "participant" in header.kind.required:
        staged = _StagedParticipants(stack.enter_context(closing(sqlite3.connect(""))), found.lines, header)
        conflicting = staged.conflicting()
        found = replace(found, lines=iter(staged), position=staged.position, size=staged.size)
    # When the table was last written; for standard input, now.
    now = datetime.now(UTC)
    saved_at = now if found.file == STDIN else min(now, datetime.fromtimestamp(found.file.stat().st_mtime, UTC))
    context = RowContext(
        options_of_table.defaults, detected.formats, to_rfc3339(saved_at), conflicting, projection.resolve_address
    )
    entry = row_converter(header, context)
    return replace(found, entry=lambda line: projection.apply(entry(line)), table=detected)


class _StagedParticipants:
    """Iterates over all rows of a directory table, staged in a temporary database: memory use does not grow with the
    table, and contradicting rows are found before the first row is sent."""

    def __init__(self, database: sqlite3.Connection, rows: Iterable[Line], header: Header) -> None:
        self._database, self._header, self._yielded = database, header, 0
        database.execute("CREATE TABLE row (line INTEGER, text BLOB, lines INTEGER, person TEXT)")
        staged = ((row.number, row.text, row.lines, self._person(row)) for row in rows)
        self.size = database.executemany("INSERT INTO row VALUES (?, ?, ?, ?)", staged).rowcount

    def conflicting(self) -> frozenset[str]:
        """Return the participants whose rows differ, for example in status only: otherwise the last row would win.
        Addresses are compared case-insensitively."""
        found = set[str]()
        several = "SELECT person FROM row WHERE person != '' GROUP BY person HAVING count(DISTINCT text) > 1"
        rows = f"SELECT person, line, text FROM row WHERE person IN ({several}) ORDER BY person"  # noqa: S608 (ours)
        for person, rows_of_person in groupby(self._database.execute(rows), lambda row: row[0]):
            cells = (self._header.cells(Line(line, text)) | {"participant": person} for _, line, text in rows_of_person)
            if len({tuple(clean_text(cell).casefold() for cell in each.values()) for each in cells}) > 1:
                found.add(person)
        return frozenset(found)

    def _person(self, row: Line) -> str:
        """Return an empty string for a row that will be refused."""
        try:
            return as_whole_number(clean_text(self._header.cells(row)["participant"]))
        except BrokenRowError:
            return ""

    def position(self) -> int:
        return self._yielded

    def __iter__(self) -> Iterator[Line]:
        for row in self._database.execute("SELECT line, text, lines FROM row ORDER BY rowid"):
            self._yielded += 1
            yield Line(*row)


def _table_options(options: ImportOptions, file: Path) -> TableOptions:
    translation = read_translation(options.columns_for(file))
    is_wide = options.encoding is not None and "\n".encode(options.encoding) != b"\n"
    return TableOptions(
        HeaderOptions(options.kind, options.skip_column, translation),
        # LineReader converts wide encodings to UTF-8.
        UTF_8 if options.is_workbook(file) or is_wide else options.encoding,
        options.day_format,
        options.decimal_comma,
        options.defaults,
        options.is_workbook(file),
    )


def _with_answer(options_of_table: TableOptions, question: OptionQuestion, _file: Path, ask: Ask) -> TableOptions:
    option, answer = question.option, ask(question)
    match option:
        case "--encoding":
            return replace(options_of_table, encoding=answer)
        case "--day-format":
            return replace(options_of_table, day_format=answer)
        case "--program" | "--source" | "--time-zone":
            default = option.removeprefix("--").replace("-", "_")
            return replace(options_of_table, defaults=replace(options_of_table.defaults, **{default: answer}))
        case _:
            return replace(options_of_table, has_decimal_comma=answer == DECIMAL_COMMA)


def _with_mapping(options_of_table: TableOptions, question: OptionQuestion, file: Path, ask: Ask) -> TableOptions:
    """Write the proposal beside the table, unless the file exists, and use it once it is confirmed."""
    mapping_file = (
        Path(f"import{PROPOSAL_SUFFIX}") if file == STDIN else file.with_name(f"{file.name}{PROPOSAL_SUFFIX}")
    )
    if not mapping_file.exists():
        mapping_file.write_text(question.proposal, encoding="utf-8")
    text = mapping_file.read_text(encoding="utf-8")
    prompt = f"{question.text}\n{text}Review {mapping_file} and correct what is wrong"
    if ask(OptionQuestion("--columns", prompt, default=str(mapping_file))) != str(mapping_file):
        raise ImportStoppedError(f"change {mapping_file} first, then give --columns {mapping_file}")
    return replace(
        options_of_table,
        header_options=replace(options_of_table.header_options, translation=read_translation([mapping_file])),
    )


STARTED = b'"mentoring.relationship.started.v1"'
PEOPLE, PAIRS, REST = range(3)
_TABLE = """
CREATE TABLE message (stage INTEGER, time TEXT, later INTEGER, input INTEGER, line INTEGER, part INTEGER,
                      row BLOB, message BLOB)
"""
_SORTED = """
SELECT input, line, row, message, time
FROM message ORDER BY stage, time, later, input, line, part
"""


@contextmanager
def sort_messages(
    inputs: Sequence[ImportInput], on_refused: Callable[[ImportEntry], None], stage_of_pairs: int
) -> Iterator["SortedMessages"]:
    """Read all inputs; a line that cannot be sent goes to `on_refused`. `stage_of_pairs` is PAIRS, or on the log's
    clock REST: there a relationship starts in its own time, else its first days would be late."""
    # SQLite stores a nameless database in a temporary file and deletes it on close: files of any length can be sorted.
    with closing(sqlite3.connect("")) as database:
        database.execute(_TABLE)
        for number, found in sorted(enumerate(inputs), key=lambda one: one[1].rank):
            for entry in found.entries():
                if entry.refusal:
                    on_refused(replace(entry, input=number))
                else:
                    database.executemany(
                        "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        _message_rows(entry, number, stage_of_pairs),
                    )
        yield SortedMessages(database, inputs)


class SortedMessages:
    """Iterates over the sorted messages, one entry each."""

    def __init__(self, database: sqlite3.Connection, inputs: Sequence[ImportInput]) -> None:
        self._database, self._inputs = database, inputs

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM message").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[ImportEntry]:
        for number, line, row, message, time in self._database.execute(_SORTED):
            table = self._inputs[number].table
            kind = table.header.kind if table else None
            yield ImportEntry(
                Line(line, row),
                (message,),
                times=(time,) if time else (),
                column=kind.column if kind else lambda _: "",
                original="row" if kind else "event",
                endpoint=kind.endpoint if kind else EVENTS_ENDPOINT,
                input=number,
            )


def _message_rows(entry: ImportEntry, number: int, stage_of_pairs: int) -> Iterator[tuple[object, ...]]:
    times = entry.times or ("",) * len(entry.messages)
    for part, (message, time) in enumerate(zip(entry.messages, times, strict=True)):
        begins = STARTED in message
        stage = PEOPLE if entry.endpoint is PARTICIPANTS_ENDPOINT else stage_of_pairs if begins else REST
        # Normalized, so that it sorts as text; the gateway refuses an invalid time at any position.
        with suppress(ValueError, OverflowError):
            time = to_rfc3339(datetime.fromisoformat(time).astimezone(UTC)) if time else ""  # noqa: PLW2901 (in UTC)
        yield (stage, time, not begins, number, entry.line.number, part, entry.line.text, message)
