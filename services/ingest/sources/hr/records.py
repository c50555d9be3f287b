"""Split tables and JSON from HR systems into one record per person, decide which of a person's several records counts,
and detect the date format."""

import codecs
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents import Parsed, is_too_dense, read_json, read_media_type
from services.ingest.domain.tools.allow_list import is_word, visible
from services.ingest.domain.tools.cells import as_whole_number, is_missing_day
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.day_formats import SampledCell, day_format_of, only_day
from services.ingest.sources.hr.model import DAY, LONGEST_DAY, Employee, HrRecord
from services.ingest.sources.hr.rows import NO_COLUMN, REQUIRED, read_rows
from services.ingest.sources.hr.settings import DAYS, ISO, HrSettings, contradiction, flatten, normalise
from services.ingest.sources.table_words import PEOPLE_COLUMNS
from services.ingest.sources.tables import table_encoding
from services.ingest.sources.tool import RawPayloads, Received, ToolSettings, payload_per_value
from services.ingest.sources.vendor_model import read

# Content types that browsers and scripts use for tables on machines with Excel.
CSV = frozenset(
    {
        *("text/csv", "application/csv", "text/x-csv", "text/tab-separated-values", "text/plain"),
        "application/vnd.ms-excel",
    }
)
# Names of lists of people: ours, SCIM 2.0, Workday reports, OData, and others. Some lists are nested in an object of
# such a name (`Report_Data`, `d`), and a list of one may be collapsed into its entry.
PEOPLE = ("employees", "resources", "report_entry", "employee")
WRAPPERS = (
    *("report_data", "value", "results", "result", "d", "data", "items", "workers", "people", "persons", "users"),
    *("members", "records", "rows", "entries", "response", "payload", "content", "list", "embedded"),
)
MAX_WRAPPERS = 3
# Members with the kind of a change, and its values for a deletion.
CHANGE_MEMBERS = frozenset({"action", "event", "eventtype", "type", "topic"})
DELETION_VALUES = frozenset({"delete", "deleted", "employee.deleted", "person.deleted", "employee_with_fields.deleted"})
SEND_RECORDS = "have the whole record sent, with id, name and status, by a webhook with fields, a report or an export"
DELETED_RECORD = (
    "reports a deleted record, which does not mean that the person left: send the person again as terminated"
)
SWITCHED_OFF = "reports a deactivated account, which in SCIM may be temporary: map false in settings.statuses"
DAY_IN_PARTS = "has a day as an object with unknown members: name the one that holds it in settings.columns"
SCIM_PERSON = "urn:ietf:params:scim:schemas:core:2.0:user"
CHANGE_ONLY = f"says what changes and not how people are then, as PATCH of SCIM and notifications do: {SEND_RECORDS}"
_USUAL = HrSettings()
UNKNOWN = "an unknown encoding"
EMPLOYEE, UNDECODED = "employee", "undecoded"


def parse(body: bytes, media_type: str, settings: HrSettings = _USUAL) -> Parsed | Rejected:
    """Parse a table into a list of records, or JSON as it is."""
    media = read_media_type(media_type)
    if media.name not in CSV:
        parsed = read_json(body)
        return (_read_lines(body) or parsed) if isinstance(parsed, Rejected) else parsed
    charset = table_encoding(media.charset)
    if charset is None:
        try:
            # A header may contain arbitrary text.
            encoding = media.charset if is_word(media.charset) and codecs.lookup(media.charset) else UNKNOWN
        except (LookupError, ValueError):
            encoding = UNKNOWN
        return rejected("malformed", "", f"CSV is read in UTF-8, not in {encoding}")
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
    """Parse one JSON person per line; None if a line is no object, if there is only one line, or if the body is too
    dense (see `is_too_dense`)."""
    lines = [] if is_too_dense(body) else [line for line in body.splitlines() if line.strip()]
    people: list[object] = []
    for line in lines if len(lines) > 1 else ():
        person = read_json(line)
        if isinstance(person, Rejected) or not isinstance(person.value, dict):
            return None
        people.append(person.value)
    return Parsed(people) if people else None


def split(received: Received, settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """Add the time of receipt to each record, because HR systems rarely send when a change became known to them."""
    assert isinstance(settings, HrSettings)
    media_type = received.headers.get("content-type", "")
    parsed = parse(received.body, media_type, settings)
    if isinstance(parsed, Rejected):
        return parsed
    people = people_in(parsed.value, settings)
    if missing := _no_people_fault(parsed.value, settings) or _missing_column_fault(people, settings):
        return missing
    try:
        read_cells = [_with_decode_fault(record, settings) for record in people]
        checked = deduplicate(_with_iso_days(_with_grouped_id_faults(read_cells, settings), settings), settings)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    stamp = {"received_at": to_rfc3339(now)}
    return payload_per_value(
        {**one, **stamp} if isinstance(one, dict) and one.get("received_at") is None else one for one in checked
    )


def people_in(value: object, settings: HrSettings) -> list[object]:
    """Return one person or a list of them as records. An existing record stays unchanged."""
    found = _unwrap_list(value, MAX_WRAPPERS)
    people = found if isinstance(found, list) else [found]
    records: list[object] = []
    for index, person in enumerate(people):
        if isinstance(person, dict) and isinstance(person.get(EMPLOYEE), dict):
            records.append(person)
        elif isinstance(person, dict) and (fault := _person_fault(person, settings)):
            records.append({"index": index, EMPLOYEE: {}, "fault": fault})
        elif person is not None or people is not found:
            records.append({"index": index, EMPLOYEE: person})
    return records


def _person_fault(person: Mapping[str, object], settings: HrSettings) -> Mapping[str, str] | None:
    """Return a fault of the person as a whole. A system that sends only what was done to its record does not give the
    person's state."""
    if name := contradiction(person, settings.columns_of_one_value):
        return {"column": name, "words": TWO_VALUES}
    if name := _inactive_account_column(person, settings):
        return {"column": name, "words": SWITCHED_OFF}
    if name := _unread_day_column(person, settings):
        return {"column": name, "words": DAY_IN_PARTS}
    changes = (one for name, one in person.items() if isinstance(one, str) and normalise(name) in CHANGE_MEMBERS)
    return {"words": DELETED_RECORD} if any(one.casefold() in DELETION_VALUES for one in changes) else None


def _inactive_account_column(person: Mapping[str, object], settings: HrSettings) -> str:
    """Return the column in which SCIM marks an account inactive, which may be a suspension (RFC 7643 4.1.1), if nothing
    else shows an exit or a leave; "" if there is none."""
    schemas = person.get("schemas")
    listed = schemas if isinstance(schemas, list) else [schemas]
    if SCIM_PERSON not in (str(one).casefold() for one in listed):
        return ""
    employee = Employee("", person, settings)
    name, value = employee.lookup("status")
    is_meant = "false" in map(str.casefold, settings.statuses)
    has_left = employee.is_yes("has_left") or employee.day("terminated_on") or employee.day("last_day")
    is_off = normalise(name) == "active" and str(value).casefold() == "false"
    return name if is_off and not (is_meant or has_left or employee.flag("on_leave")) else ""


def _unread_day_column(person: Mapping[str, object], settings: HrSettings) -> str:
    """Return the column of an exit's or a leave's day that is an object with members which are not read, such as year
    and month; "" if there is none. Without its day the exit would take effect today."""
    if not any(isinstance(value, dict) for value in person.values()):
        return ""
    employee = Employee("", person, settings)
    if settings.status(employee.text("status"), employee.lookup("status")[0]) not in ("exited", "leave"):
        return ""
    return employee.unread_object({name for column in DAYS for name in settings.names[column]})


def _unwrap_list(value: object, around: int) -> object:
    """Return the list that the value is or contains, otherwise the value itself: one person, or no person at all. An
    object with an id and a name is not unwrapped, unless its only list-like member has a name for people."""
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
    columns = flatten(value).keys()
    is_person = all(columns & set(map(normalise, PEOPLE_COLUMNS[column])) for column in ("id", "name"))
    names = PEOPLE if is_person else (*PEOPLE, *WRAPPERS)
    inner = next((named[name] for name in names if name in named), None)
    return value if inner is None else _unwrap_list(inner, around - 1)


def _with_decode_fault(record: object, settings: HrSettings) -> object:
    """An undecodable cell makes the row invalid only if its column is read."""
    if not isinstance(record, dict) or not isinstance(record.get(UNDECODED), dict):
        return record
    cells = record[UNDECODED]
    rest = {name: value for name, value in record.items() if name != UNDECODED}
    column = next((name for name in cells if normalise(name) in settings.columns_read), None)
    return rest if column is None else rest | {"fault": {"column": column, "words": cells[column]}}


GROUPED_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{3})+", re.ASCII)
SMALL_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
GROUPED_ID = "may be a number with thousands separators: give the column the format of text, or set settings.dotted_ids"


def _with_grouped_id_faults(records: list[object], settings: HrSettings) -> list[object]:
    """Put the ids of a table at fault that look like `12.345` if all its ids are as a table shows numbers with
    thousands separators: the person may be the 12345 of another feed. A recorded row was judged with its table."""
    ids: dict[int, tuple[str, str]] = {}
    for index, record in enumerate(() if settings.dotted_ids else records):
        if not isinstance(record, dict) or record.get("line") is None or record.get("received_at") is not None:
            continue
        if isinstance(record.get(EMPLOYEE), dict):
            person = Employee("", record[EMPLOYEE], settings)
            column, text = person.lookup("id")[0], visible(person.text("id"))
            if text and not (GROUPED_NUMBER.fullmatch(text) or SMALL_NUMBER.fullmatch(text)):
                return records
            ids[index] = column, text
    found = list(records)
    for index, (column, text) in ids.items():
        record = records[index]
        if isinstance(record, dict) and record.get("fault") is None and GROUPED_NUMBER.fullmatch(text):
            found[index] = {**record, "fault": {"column": column, "words": GROUPED_ID}}
    return found


def _with_iso_days(records: list[object], settings: HrSettings) -> list[object]:
    """Convert days to ISO 8601 if the settings have no format and the days show one."""
    if settings.day_format != ISO:
        return records
    columns = {name for column in DAYS for name in settings.names[column]}
    cells = [
        (employee, SampledCell(index, name, text))
        for index, record in enumerate(records)
        if isinstance(record, dict) and isinstance(employee := record.get(EMPLOYEE), dict)
        for name, value in employee.items()
        if normalise(name) in columns and isinstance(value, str) and (text := visible(value))
        if not DAY.fullmatch(text[:LONGEST_DAY]) and not is_missing_day(text)
    ]
    form = day_format_of([cell for _, cell in cells])
    for employee, cell in cells:
        employee[cell.column] = only_day(cell.text, form if isinstance(form, str) else None) or employee[cell.column]
    return records


def _no_people_fault(value: object, settings: HrSettings) -> Rejected | None:
    """Reject an object with neither a list nor any member of a person."""
    if isinstance(value, dict) and isinstance(value.get("Operations"), list):
        return rejected("malformed", "Operations", CHANGE_ONLY)
    found = _unwrap_list(value, MAX_WRAPPERS)
    if not isinstance(found, dict) or EMPLOYEE in found or flatten(found).keys() & settings.columns_read:
        return None
    if isinstance(found.get("operations"), list):
        return rejected("malformed", "operations", CHANGE_ONLY)
    if isinstance(value, dict) and flatten(value).keys() & CHANGE_MEMBERS:
        return rejected("malformed", "", CHANGE_ONLY)
    return rejected("malformed", "", f"holds no list of people: it was looked for in {', '.join((*PEOPLE, *WRAPPERS))}")


def _missing_column_fault(people: Iterable[object], settings: HrSettings) -> Rejected | None:
    """Reject a table without a required column as a whole, not row by row."""
    records = (record for one in people if isinstance(record := read(HrRecord, one), HrRecord))
    # Some records keep nothing but their position.
    row = next((one for one in records if one.line is not None and not (one.fault or one.counts_elsewhere)), None)
    if row is None:
        return None
    person = Employee(row.position, row.employee, settings)
    column = next((column for column in REQUIRED if person.lookup(column)[1] is None), None)
    return rejected("malformed", "line 1", NO_COLUMN.format(column)) if column else None


TWO_VALUES = "has two different values: keep the correct one"
UNCLEAR = "is in several rows that contradict each other, and none is active: keep the correct one"


def deduplicate(records: Sequence[object], settings: HrSettings) -> list[object]:
    """Return the records in order, deduplicated by person. The first active record counts or, if all of them agree, the
    first; the others get `counts_elsewhere`. If that decides nothing, all of them are at fault: whether somebody has
    left is not guessed. A record with an unknown status is at fault by itself and cannot decide: it may be the post
    that the person holds."""
    found, named = list(records), defaultdict[str, dict[int, Employee]](dict)
    for index, record in enumerate(records):
        if isinstance(record, dict) and isinstance(record.get(EMPLOYEE), dict) and record.get("fault") is None:
            person = Employee("", record["employee"], settings)
            named[as_whole_number(visible(person.text("id")))][index] = person
    for people in (rows for name, rows in named.items() if name and len(rows) > 1):
        statuses = {
            index: settings.status(person.text("status"), person.lookup("status")[0])
            for index, person in people.items()
        }
        active = next((index for index, status in statuses.items() if status == "active"), None)
        is_same = (
            len({repr([person.lookup(column)[1] for column in PEOPLE_COLUMNS]) for person in people.values()}) == 1
        )
        one = min(people) if active is None and is_same else active
        for index in people.keys() - {one}:
            if statuses[index] is not None:
                outcome = {"fault": {"words": UNCLEAR}} if one is None else {"counts_elsewhere": True}
                record = records[index]
                assert isinstance(record, dict), "it is of a person"
                where = {name: record[name] for name in ("line", "index") if name in record}
                found[index] = {**where, EMPLOYEE: {}, **outcome}
    return found
