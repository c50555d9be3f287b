"""Records of people taken from tables and from JSON as HR systems export them, each on its own: which of several of one
person counts, and in which form their days are written."""

import codecs
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents import Parsed, is_too_dense, read_json, read_media_type
from services.ingest.domain.tools.allow_list import is_word, visible
from services.ingest.domain.tools.cells import is_no_day, whole
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.day_formats import SampledCell, day_format_of, only_day
from services.ingest.sources.hr.model import DAY, LONGEST_DAY, Employee, HrRecord
from services.ingest.sources.hr.rows import NEEDED, NO_COLUMN, read_rows
from services.ingest.sources.hr.settings import DAYS, ISO, HrSettings, contradiction, flat, plain
from services.ingest.sources.table_words import PEOPLE_COLUMNS
from services.ingest.sources.tables import encoding_called
from services.ingest.sources.tool import RawPayloads, Received, ToolSettings, as_records
from services.ingest.sources.vendor_model import read

# As browsers and scripts call a table on machines with Excel.
CSV = frozenset(
    {
        *("text/csv", "application/csv", "text/x-csv", "text/tab-separated-values", "text/plain"),
        "application/vnd.ms-excel",
    }
)
# What lists of people are called: by us, by SCIM 2.0, by Workday's reports, by OData, and by most others. Some stand in
# an object of such a name (`Report_Data`, `d`), and a list of one may have become that one.
PEOPLE = ("employees", "resources", "report_entry", "employee")
AROUND = (
    *("report_data", "value", "results", "result", "d", "data", "items", "workers", "people", "persons", "users"),
    *("members", "records", "rows", "entries", "response", "payload", "content", "list", "embedded"),
)
MOST_AROUND = 3
# Where systems say what was done to a record, and how they say that it was deleted.
OF_CHANGES = frozenset({"action", "event", "eventtype", "type", "topic"})
DELETED = frozenset({"delete", "deleted", "employee.deleted", "person.deleted", "employee_with_fields.deleted"})
AS_THEY_ARE = "have the whole record sent, with id, name and status, by a webhook with fields, a report or an export"
OF_DELETED = "says that a record was deleted, which is not that the person left: send them once more as terminated"
SWITCHED_OFF = (
    "says that an account is switched off, which SCIM does for a while, too: settings.statuses can name false"
)
IN_PARTS = "tells a day by members that are not read: settings.columns can name the one that holds it"
SCIM_PERSON = "urn:ietf:params:scim:schemas:core:2.0:user"
OF_A_CHANGE = f"says what changes and not how people are then, as PATCH of SCIM and notifications do: {AS_THEY_ARE}"
_USUAL = HrSettings()
UNKNOWN = "an encoding that nobody knows"
EMPLOYEE, UNDECODED = "employee", "undecoded"


def parse(body: bytes, media_type: str, settings: HrSettings = _USUAL) -> Parsed | Rejected:
    """A list of records, or what JSON came."""
    media = read_media_type(media_type)
    if media.name not in CSV:
        parsed = read_json(body)
        return (_read_lines(body) or parsed) if isinstance(parsed, Rejected) else parsed
    charset = encoding_called(media.charset)
    if charset is None:
        try:
            # A header may hold any words.
            known = media.charset if is_word(media.charset) and codecs.lookup(media.charset) else UNKNOWN
        except (LookupError, ValueError):
            known = UNKNOWN
        return rejected("malformed", "", f"CSV is read in UTF-8, not in {known}")
    rows = read_rows(body, settings, charset)
    if isinstance(rows, Rejected):
        return rows
    records: list[object] = []
    for row in rows:
        record: dict[str, object] = {"line": row.line, EMPLOYEE: row.cells}
        if row.fault:
            record["fault"] = {"words": row.fault}
        elif row.undecoded:
            record[UNDECODED] = dict(row.undecoded)
        records.append(record)
    return Parsed(records)


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
    parsed = parse(received.body, media_type, settings)
    if isinstance(parsed, Rejected):
        return parsed
    people = people_in(parsed.value, settings)
    if missing := _nobody(parsed.value, settings) or _missing(people, settings):
        return missing
    try:
        judged = distinct(_with_days([_judged(record, settings) for record in people], settings), settings)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    stamp = {"received_at": to_rfc3339(now)}
    return as_records(
        {**one, **stamp} if isinstance(one, dict) and one.get("received_at") is None else one for one in judged
    )


def people_in(value: object, settings: HrSettings) -> list[object]:
    """One person, or a list of them, each as a record. What is a record already stays as it is."""
    found = _list_in(value, MOST_AROUND)
    people = found if isinstance(found, list) else [found]
    records: list[object] = []
    for index, person in enumerate(people):
        if isinstance(person, dict) and isinstance(person.get(EMPLOYEE), dict):
            records.append(person)
        elif isinstance(person, dict) and (fault := _fault(person, settings)):
            records.append({"index": index, EMPLOYEE: {}, "fault": fault})
        elif person is not None or people is not found:
            records.append({"index": index, EMPLOYEE: person})
    return records


def _fault(person: Mapping[str, object], settings: HrSettings) -> Mapping[str, str] | None:
    """Of the person as a whole. A system that says what was done to its record, and no more, says nothing of them."""
    if name := contradiction(person, settings.columns_of_one_value):
        return {"column": name, "words": TWO_VALUES}
    if name := _switched_off(person, settings):
        return {"column": name, "words": SWITCHED_OFF}
    if name := _in_parts(person, settings):
        return {"column": name, "words": IN_PARTS}
    said = (one for name, one in person.items() if isinstance(one, str) and plain(name) in OF_CHANGES)
    return {"words": OF_DELETED} if any(one.casefold() in DELETED for one in said) else None


def _switched_off(person: Mapping[str, object], settings: HrSettings) -> str:
    """The column in which SCIM says so of somebody's account, which may be suspended (RFC 7643 4.1.1), where nothing
    else says that they have left or are on leave; empty if there is none."""
    schemas = person.get("schemas")
    listed = schemas if isinstance(schemas, list) else [schemas]
    if SCIM_PERSON not in (str(one).casefold() for one in listed):
        return ""
    employee = Employee("", person, settings)
    name, value = employee.found("status")
    is_meant = "false" in map(str.casefold, settings.statuses)
    has_left = employee.says_yes("has_left") or employee.day("terminated_on") or employee.day("last_day")
    is_off = plain(name) == "active" and str(value).casefold() == "false"
    return name if is_off and not (is_meant or has_left or employee.flag("on_leave")) else ""


def _in_parts(person: Mapping[str, object], settings: HrSettings) -> str:
    """Which day of an exit or a leave is told by members that nobody reads, such as year and month; empty if none is.
    Without it the exit would be of today."""
    if not any(isinstance(value, dict) for value in person.values()):
        return ""
    employee = Employee("", person, settings)
    if settings.status(employee.text("status"), employee.found("status")[0]) not in {"exited", "leave"}:
        return ""
    days = {name for column in DAYS for name in settings.names[column]}
    told = (name for name, (_, value) in flat(person).items() if value not in (None, "", [], {}))
    return next((outer for name in told if (outer := name.partition(".")[0]) != name and outer in days), "")


def _list_in(value: object, around: int) -> object:
    """The list that the value is or holds, or the value: then it is one person, or nobody. Who has an id and a name is
    not what a list stands in, unless the list is called nothing else."""
    if not isinstance(value, dict) or not around or isinstance(value.get(EMPLOYEE), dict):
        return value
    if value.get("totalResults") == 0 and "Resources" not in value:
        return []
    # `wd:Report_Data`, `_data`.
    named = {
        name.lower().rpartition(":")[2].lstrip("_"): inner
        for name, inner in value.items()
        if isinstance(inner, list | dict)
    }
    columns = flat(value).keys()
    is_person = all(columns & set(map(plain, PEOPLE_COLUMNS[column])) for column in ("id", "name"))
    names = PEOPLE if is_person else (*PEOPLE, *AROUND)
    inner = next((named[name] for name in names if name in named), None)
    return value if inner is None else _list_in(inner, around - 1)


def _judged(record: object, settings: HrSettings) -> object:
    """A cell that cannot be decoded is the row's fault only where somebody reads its column."""
    if not isinstance(record, dict) or not isinstance(record.get(UNDECODED), dict):
        return record
    cells = record[UNDECODED]
    rest = {name: value for name, value in record.items() if name != UNDECODED}
    column = next((name for name in cells if plain(name) in settings.columns_read), None)
    return rest if column is None else rest | {"fault": {"column": column, "words": cells[column]}}


def _with_days(records: list[object], settings: HrSettings) -> list[object]:
    """Their days in ISO 8601, where settings do not say how they are written and they themselves do."""
    if settings.day_format != ISO:
        return records
    columns = {name for column in DAYS for name in settings.names[column]}
    cells = [
        (employee, SampledCell(place, name, text))
        for place, record in enumerate(records)
        if isinstance(record, dict) and isinstance(employee := record.get(EMPLOYEE), dict)
        for name, value in employee.items()
        if plain(name) in columns and isinstance(value, str) and (text := visible(value))
        if not DAY.fullmatch(text[:LONGEST_DAY]) and not is_no_day(text)
    ]
    form = day_format_of([cell for _, cell in cells])
    for employee, cell in cells:
        employee[cell.column] = only_day(cell.text, form if isinstance(form, str) else None) or employee[cell.column]
    return records


def _nobody(value: object, settings: HrSettings) -> Rejected | None:
    """An object in which there is neither a list nor a single member of a person."""
    if isinstance(value, dict) and isinstance(value.get("Operations"), list):
        return rejected("malformed", "Operations", OF_A_CHANGE)
    found = _list_in(value, MOST_AROUND)
    if not isinstance(found, dict) or EMPLOYEE in found or flat(found).keys() & settings.columns_read:
        return None
    if isinstance(found.get("operations"), list):
        return rejected("malformed", "operations", OF_A_CHANGE)
    if isinstance(value, dict) and flat(value).keys() & OF_CHANGES:
        return rejected("malformed", "", OF_A_CHANGE)
    return rejected("malformed", "", f"holds no list of people: it was looked for in {', '.join((*PEOPLE, *AROUND))}")


def _missing(people: Iterable[object], settings: HrSettings) -> Rejected | None:
    """A table without a column that every row needs is rejected as a whole, not row by row."""
    records = (record for one in people if isinstance(record := read(HrRecord, one), HrRecord))
    # Of some nothing is kept but where they were.
    row = next((one for one in records if one.line is not None and not (one.fault or one.counts_elsewhere)), None)
    if row is None:
        return None
    person = Employee(row.place, row.employee, settings)
    column = next((column for column in NEEDED if person.found(column)[1] is None), None)
    return rejected("malformed", "line 1", NO_COLUMN.format(column)) if column else None


TWO_VALUES = "says two things: nobody knows which of the two counts"
UNCLEAR = "stands in several rows, of which none is active: nobody knows which of them counts"


def distinct(records: Sequence[object], settings: HrSettings) -> list[object]:
    """The records in their order. Of several of one person the first that is active counts or, where they all say the
    same, the first; the others say `counts_elsewhere`. Where that leaves it open, each of them is at fault: which one
    holds, and so whether somebody has left, is not guessed. One whose status nobody knows is at fault by itself, and
    leaves it open too: it may be of the post that they hold."""
    found, named = list(records), defaultdict[str, dict[int, Employee]](dict)
    for place, record in enumerate(records):
        if isinstance(record, dict) and isinstance(record.get(EMPLOYEE), dict) and record.get("fault") is None:
            person = Employee("", record["employee"], settings)
            named[whole(visible(person.text("id")))][place] = person
    for people in (several for name, several in named.items() if name and len(several) > 1):
        statuses = {
            place: settings.status(person.text("status"), person.found("status")[0]) for place, person in people.items()
        }
        active = next((place for place, status in statuses.items() if status == "active"), None)
        is_same = len({repr([person.found(column)[1] for column in PEOPLE_COLUMNS]) for person in people.values()}) == 1
        one = min(people) if active is None and is_same else active
        for place in people.keys() - {one}:
            if statuses[place] is not None:
                said = {"fault": {"words": UNCLEAR}} if one is None else {"counts_elsewhere": True}
                record = records[place]
                assert isinstance(record, dict), "it is of a person"
                where = {name: record[name] for name in ("line", "index") if name in record}
                found[place] = {**where, EMPLOYEE: {}, **said}
    return found
