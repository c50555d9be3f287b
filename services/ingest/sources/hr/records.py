"""A directory, split into its people: each is a record of its own, which says where it stood."""

import codecs
import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents.media_type import CHARSETS, read_media_type
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.tools.leaves import is_word
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.hr.columns import COLUMNS, flat, plain
from services.ingest.sources.hr.csv_rows import Row, read_rows
from services.ingest.sources.hr.repeated import distinct
from services.ingest.sources.hr.settings import HrSettings
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import Taken
from services.ingest.sources.tool import ToolSettings

CSV = frozenset({"text/csv", "application/csv"})
# What lists of people are called: by us, by SCIM 2.0, by Workday's reports, by OData, and by most others. Some stand in
# an object of such a name (`Report_Data`, `d`), and a list of one may have become that one.
PEOPLE = ("employees", "resources", "report_entry")
AROUND = (
    *("report_data", "value", "results", "result", "d", "data", "items", "workers", "people", "persons", "users"),
    *("members", "records", "rows", "entries", "response"),
)
MOST_AROUND = 3
NEEDED = ("id", "status")
UNKNOWN = "an encoding that nobody knows"
EMPLOYEE, UNDECODED = "employee", "undecoded"


def parse(body: bytes, media_type: str) -> Parsed | Rejected:
    """A list of records, or what JSON came."""
    media = read_media_type(media_type)
    if media.name not in CSV:
        return read_json(body)
    if media.charset not in CHARSETS:
        return rejected("malformed", "", f"CSV is read in UTF-8, not in {_encoding(media.charset)}")
    rows = read_rows(body)
    return rows if isinstance(rows, Rejected) else Parsed([_of_row(row) for row in rows])


def take(received: Received, settings: ToolSettings, now: datetime) -> Taken | Rejected:
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
        return Taken(tuple(json.dumps(one, ensure_ascii=False).encode() for one in stamped) or (b"[]",))
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")


def people_in(value: object) -> list[object]:
    """One person, or a list of them, each as a record."""
    found = _list_in(value, MOST_AROUND)
    if isinstance(found, list):
        return [_of_json(one, index) for index, one in enumerate(found)]
    return [_of_json(found, 0)]


def _list_in(value: object, around: int) -> object:
    """The list that the value is or holds, or the value: then it is one person, or nobody."""
    if not isinstance(value, dict) or not around or EMPLOYEE in value:
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


def _of_row(row: Row) -> dict[str, object]:
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
    return {"received_at": to_rfc3339(now), **record} if isinstance(record, dict) else record


def _nobody(value: object, settings: HrSettings) -> Rejected | None:
    """An object in which there is neither a list nor a single member of a person."""
    found = _list_in(value, MOST_AROUND)
    if not isinstance(found, dict) or EMPLOYEE in found or flat(found).keys() & settings.columns_read:
        return None
    return rejected("malformed", "", f"holds no list of people: it was looked for in {', '.join((*PEOPLE, *AROUND))}")


def _missing(people: Iterable[object], settings: HrSettings) -> Rejected | None:
    """A table without a column that every row needs is rejected as a whole, not row by row."""
    row = next((one for one in people if isinstance(one, dict) and "line" in one and "fault" not in one), None)
    cells = row.get(EMPLOYEE) if row else None
    if not isinstance(cells, dict):
        return None
    header = {plain(name) for name in cells}
    for column in NEEDED:
        if not header & set(settings.names(column)):
            return rejected("malformed", "line 1", f"no column is the {column}: settings.columns can name it")
    return None
