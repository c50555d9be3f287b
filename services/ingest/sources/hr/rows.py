"""Records of people taken from CSV and JSON as HR systems export them. A fault in one row is that row's: the others are
read as if it were not there."""

import codecs
import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents import CHARSETS, Parsed, is_too_dense, read_json, read_media_type
from services.ingest.domain.tools.allow_list import is_word, visible
from services.ingest.domain.tools.cells import unwrapped
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.hr.columns import COLUMNS, KNOWN, flat, plain
from services.ingest.sources.hr.model import Employee, HrRecord, HrSettings
from services.ingest.sources.tool import RawPayloads, Received, ToolSettings
from services.ingest.sources.vendor_model import read

MARK = b"\xef\xbb\xbf"
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
UTF_32 = b"\xff\xfe\0\0"
DELIMITERS = (",", ";", "\t", "|")
# A line of Excel's before the header, for Excel: which delimiter follows.
SEPARATOR = re.compile(rb'"?sep=([!-/:-@\[-`{-~\t])"?', re.IGNORECASE)
# Further than this no cell goes: the quote at its begin is a slip, and what follows is read as rows of their own.
MOST_LINES = 20
MOST_COLUMNS = 500
# Of a column that settings name; of one that nobody reads it does not matter.
TWICE = "stands twice in the header: nobody knows which of the two counts"


@dataclass(frozen=True)
class HrRow:
    """`cells` by the names of the header. `fault` is what is wrong with the row as a whole: then nobody knows which
    cell is which, and there are none. `undecoded` is what is wrong with single cells, by column."""

    line: int
    cells: dict[str, str]
    fault: str = ""
    undecoded: tuple[tuple[str, str], ...] = ()


def read_rows(body: bytes) -> list[HrRow] | Rejected:
    """Rejected("malformed") if the file as a whole is at fault: its encoding or its header."""
    if body.startswith(WIDE_MARKS) and not body.startswith(UTF_32):
        # What Excel calls Unicode text.
        body = body.decode("utf-16", "replace").encode()
    lines = body.removeprefix(MARK).splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return rejected("malformed", "", "the file is empty: it begins with a header")
    if b"\0" in lines[first]:
        return rejected("malformed", "line 1", "is UTF-16 or another wide encoding: save the file as UTF-8")
    hint = SEPARATOR.fullmatch(lines[first].strip())
    delimiters = (hint[1].decode(),) if hint else DELIMITERS
    if hint:
        first = next((number for number in range(first + 1, len(lines)) if lines[number].strip()), first)
    # Cells of a header may hold line breaks, too.
    taken = _complete(lines, first)
    header = _header(b"\n".join(taken), first + 1, delimiters)
    if isinstance(header, Rejected):
        return header
    return list(header.rows(lines, first + len(taken)))


@dataclass(frozen=True)
class _Header:
    """`twice`: the names of several columns, of which nobody knows which is meant."""

    delimiter: str
    names: tuple[str, ...]
    twice: frozenset[str] = frozenset()

    def rows(self, lines: list[bytes], start: int) -> Iterator[HrRow]:
        """Lines are counted from 1, blank ones included."""
        index = start
        while index < len(lines):
            taken = _complete(lines, index)
            # Tables end in rows of empty cells, by the thousand.
            if b"".join(taken).strip(self.delimiter.encode() + b'" \t'):
                yield self._row(index + 1, b"\n".join(taken))
            index += len(taken)

    def _row(self, line: int, text: bytes) -> HrRow:
        decoded = text.decode(errors="surrogateescape")
        try:
            cells = next(csv.reader([decoded], delimiter=self.delimiter, strict=True), [])
        except csv.Error as broken:
            return HrRow(line, {}, f"is no row of a CSV file: {broken}")
        while len(cells) > len(self.names) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(self.names):
            return HrRow(line, {}, f"has {len(cells)} cells, the header has {len(self.names)}")
        named = {name: _escaped(cell) for name, cell in zip(self.names, cells, strict=True)}
        return HrRow(line, named, undecoded=tuple(self._undecoded(cells)))

    def _undecoded(self, cells: list[str]) -> Iterator[tuple[str, str]]:
        yield from ((name, TWICE) for name in self.twice)
        for name, cell in zip(self.names, cells, strict=True):
            place = next((place for place, letter in enumerate(cell) if "\udc80" <= letter <= "\udcff"), None)
            if place is not None:
                byte = ord(cell[place]) - 0xDC00
                yield name, f"is not UTF-8: byte {byte:#x} at character {place + 1}; save the file as UTF-8"


def _header(line: bytes, number: int, delimiters: tuple[str, ...]) -> _Header | Rejected:
    place = f"line {number}"
    found: dict[str, list[str]] = {}
    problem = ""
    for delimiter in delimiters:
        try:
            found[delimiter] = next(csv.reader([line.decode()], delimiter=delimiter, strict=True))
        except UnicodeDecodeError as broken:
            return rejected("malformed", place, f"the header is not UTF-8: byte {line[broken.start]:#x}")
        except csv.Error as broken:
            # Names in quotes are none between other delimiters.
            problem = problem or str(broken)
    if not found:
        return rejected("malformed", place, f"the header is no row of a CSV file: {problem}")
    # Names of columns may hold commas: `Name, Given Name;ID;Status`.
    delimiter, names = max(found.items(), key=lambda item: (sum(plain(one) in KNOWN for one in item[1]), len(item[1])))
    if len(names) > MOST_COLUMNS:
        return rejected("malformed", place, f"the header has more than {MOST_COLUMNS} columns")
    stripped = [" ".join(name.split()) for name in names]
    twice = frozenset(name for name, many in Counter(stripped).items() if name and many > 1)
    if known := next((name for name in stripped if name in twice and plain(name) in KNOWN), None):
        return rejected("malformed", place, f"the column {known!r} is there twice")
    return _Header(delimiter, tuple(stripped), twice)


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
    return unwrapped(cell).encode(errors="surrogateescape").decode(errors="backslashreplace")


CSV = frozenset({"text/csv", "application/csv"})
# What lists of people are called: by us, by SCIM 2.0, by Workday's reports, by OData, and by most others. Some stand in
# an object of such a name (`Report_Data`, `d`), and a list of one may have become that one.
PEOPLE = ("employees", "resources", "report_entry", "employee")
AROUND = (
    *("report_data", "value", "results", "result", "d", "data", "items", "workers", "people", "persons", "users"),
    *("members", "records", "rows", "entries", "response", "payload", "content", "list", "_embedded"),
)
MOST_AROUND = 3
NEEDED = ("id", "status")
UNKNOWN = "an encoding that nobody knows"
EMPLOYEE, UNDECODED = "employee", "undecoded"


def parse(body: bytes, media_type: str) -> Parsed | Rejected:
    """A list of records, or what JSON came."""
    media = read_media_type(media_type)
    if media.name not in CSV:
        parsed = read_json(body)
        return (_read_lines(body) or parsed) if isinstance(parsed, Rejected) else parsed
    if media.charset not in CHARSETS:
        return rejected("malformed", "", f"CSV is read in UTF-8, not in {_encoding(media.charset)}")
    rows = read_rows(body)
    return rows if isinstance(rows, Rejected) else Parsed([_of_row(row) for row in rows])


def _read_lines(body: bytes) -> Parsed | None:
    """One person in JSON on each line; None where a single line is none, or where there are more of them than such a
    body can tell of."""
    lines = [] if is_too_dense(body) else [line for line in body.splitlines() if line.strip()]
    people: list[object] = []
    for line in lines if len(lines) > 1 else ():
        person = read_json(line)
        if isinstance(person, Rejected) or not isinstance(person.value, dict):
            return None
        people.append(person.value)
    return Parsed(people) if people else None


def take(received: Received, settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """Each record says when it was received, because an HR system seldom says when it learnt of something."""
    assert isinstance(settings, HrSettings)
    media_type = received.headers.get("content-type", "")
    parsed = parse(received.body, media_type)
    if isinstance(parsed, Rejected):
        return parsed
    people = people_in(parsed.value)
    if missing := _nobody(parsed.value, settings) or _missing(people, settings):
        return missing
    try:
        judged = distinct([_judged(record, settings) for record in people], settings)
        stamped = [_stamped(record, now) for record in judged]
        return RawPayloads(tuple(json.dumps(one, ensure_ascii=False).encode() for one in stamped) or (b"[]",))
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")


def people_in(value: object) -> list[object]:
    """One person, or a list of them, each as a record."""
    found = _list_in(value, MOST_AROUND)
    if isinstance(found, list):
        return [_of_json(one, index) for index, one in enumerate(found) if one is not None]
    return [_of_json(found, 0)]


def _list_in(value: object, around: int) -> object:
    """The list that the value is or holds, or the value: then it is one person, or nobody."""
    if not isinstance(value, dict) or not around or isinstance(value.get(EMPLOYEE), dict):
        return value
    named = {name.lower(): inner for name, inner in value.items() if isinstance(inner, list | dict)}
    names = PEOPLE if _is_person(value) else (*PEOPLE, *AROUND)
    inner = next((named[name] for name in names if name in named), None)
    return value if inner is None else _list_in(inner, around - 1)


def _is_person(value: Mapping[str, object]) -> bool:
    """Who has an id and a name is not what a list stands in, unless the list is called nothing else."""
    columns = flat(value).keys()
    return all(columns & set(map(plain, COLUMNS[column])) for column in ("id", "name"))


def _encoding(charset: str) -> str:
    """Its name, if there is such an encoding: a header may hold any words."""
    try:
        return charset if is_word(charset) and codecs.lookup(charset) else UNKNOWN
    except (LookupError, ValueError):
        return UNKNOWN


def _of_json(value: object, index: int) -> object:
    """What is a record already stays as it is."""
    is_record = isinstance(value, dict) and isinstance(value.get(EMPLOYEE), dict)
    return value if is_record else {"index": index, EMPLOYEE: value}


def _of_row(row: HrRow) -> dict[str, object]:
    record: dict[str, object] = {"line": row.line, EMPLOYEE: row.cells}
    if row.fault:
        return record | {"fault": {"words": row.fault}}
    return record | {UNDECODED: dict(row.undecoded)} if row.undecoded else record


def _judged(record: object, settings: HrSettings) -> object:
    """A cell that cannot be decoded is the row's fault only where somebody reads its column."""
    if not isinstance(record, dict) or not isinstance(record.get(UNDECODED), dict):
        return record
    cells = record[UNDECODED]
    rest = {name: value for name, value in record.items() if name != UNDECODED}
    column = next((name for name in cells if plain(name) in settings.columns_read), None)
    return rest if column is None else rest | {"fault": {"column": column, "words": cells[column]}}


def _stamped(record: object, now: datetime) -> object:
    if not isinstance(record, dict) or record.get("received_at") is not None:
        return record
    return {**record, "received_at": to_rfc3339(now)}


def _nobody(value: object, settings: HrSettings) -> Rejected | None:
    """An object in which there is neither a list nor a single member of a person."""
    found = _list_in(value, MOST_AROUND)
    if not isinstance(found, dict) or EMPLOYEE in found or flat(found).keys() & settings.columns_read:
        return None
    return rejected("malformed", "", f"holds no list of people: it was looked for in {', '.join((*PEOPLE, *AROUND))}")


def _missing(people: Iterable[object], settings: HrSettings) -> Rejected | None:
    """A table without a column that every row needs is rejected as a whole, not row by row."""
    records = (record for one in people if isinstance(record := read(HrRecord, one), HrRecord))
    # Of some nothing is kept but where they were.
    row = next((one for one in records if one.line is not None and not (one.fault or one.counts_elsewhere)), None)
    if row is None:
        return None
    person = Employee(row.place, row.employee, settings)
    for column in NEEDED:
        if not person.has(column):
            return rejected("malformed", "line 1", f"no column is the {column}: settings.columns can name it")
    return None


UNCLEAR = "stands in several rows, of which none is active: nobody knows which of them counts"


def distinct(records: Sequence[object], settings: HrSettings) -> list[object]:
    """The records in their order. Of several of one person the first that is active counts or, where they all say the
    same, the first; the others say `counts_elsewhere`. Where that leaves it open, each of them is at fault: which one
    holds, and so whether somebody has left, is not guessed. One whose status nobody knows is at fault by itself."""
    found = list(records)
    for people in _repeated(records, settings):
        active = next((place for place, person in people.items() if _status(person, settings) == "active"), None)
        is_same = len({repr([person.found(column)[1] for column in COLUMNS]) for person in people.values()}) == 1
        one = min(people) if active is None and is_same else active
        for place in people.keys() - {one}:
            said = {"fault": {"words": UNCLEAR}} if one is None else {"counts_elsewhere": True}
            found[place] = _only_place(records[place]) | said
    return found


def _repeated(records: Sequence[object], settings: HrSettings) -> Iterator[Mapping[int, Employee]]:
    """Of each person of whom several records have a status that is known, these, by their places."""
    people = defaultdict[str, dict[int, Employee]](dict)
    for place, record in enumerate(records):
        if isinstance(record, dict) and isinstance(record.get(EMPLOYEE), dict) and record.get("fault") is None:
            person = Employee("", record["employee"], settings)
            if _status(person, settings):
                people[visible(person.text("id"))][place] = person
    yield from (found for name, found in people.items() if name and len(found) > 1)


def _status(person: Employee, settings: HrSettings) -> str | None:
    return settings.status(person.text("status"), person.found("status")[0])


def _only_place(record: object) -> dict[str, object]:
    assert isinstance(record, dict)
    return {name: record[name] for name in ("line", "index") if name in record} | {"employee": {}}
