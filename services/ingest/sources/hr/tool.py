"""What is stored of a person of an HR system: the columns that we read, and in each only what it is for. Notes,
salaries and whatever else a table holds beside them are dropped."""

import re
from collections.abc import Iterator

from schemas.directory import known_zone
from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents.content_modes import JSON
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import CUT, address_in
from services.ingest.domain.verdict import Rejected
from services.ingest.domain.written import visible
from services.ingest.sources.hr.model import COLUMNS, Employee, HrRecord, HrSettings, plain
from services.ingest.sources.hr.rows import CSV, EMPLOYEE, UNCLEAR, parse, people_in, take
from services.ingest.sources.hr.translation import LONGEST_NAME, translate
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.sources.vendor_model import read
from services.ingest.sources.verification import prove_either
from services.ingest.sources.vocabulary import ID

# Stands where a value was that is neither text nor number: the column is at fault, as it was before.
NO_TEXT: list[object] = [[]]
# No id, where an id that may be text stood.
CUT_ID = f"({CUT})"
TOO_LONG = CUT * LONGEST_NAME
# What rows.py says of a row; anybody may write a record with a fault, in any words.
FAULT = re.compile(
    r"has \d+ cells, the header has \d+|is no row of a CSV file: [a-z0-9 ,;\t'\"()-]{1,80}"
    r"|is not UTF-8: byte 0x[0-9a-f]{2} at character \d+; save the file as UTF-8"
    rf"|{UNCLEAR}",
    re.ASCII,
)
AT_FAULT = "is at fault"


def keep(value: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """A record, or a whole directory as records."""
    assert isinstance(settings, HrSettings)
    records = [_record(one, settings, pseudonym) for one in people_in(value)]
    return records[0] if len(records) == 1 and isinstance(value, dict) else records


def _record(value: object, settings: HrSettings, pseudonym: Pseudonym) -> object:
    record = read(HrRecord, value)
    if isinstance(record, Rejected):
        # No person can be told from it, so that nothing of it is kept but that somebody is missing here.
        return {"index": 0, EMPLOYEE: {}}
    found: dict[str, object] = {"index": record.index or 0} if record.line is None else {"line": record.line}
    if record.received_at:
        found["received_at"] = to_rfc3339(record.received_at)
    person = Employee(record.place, record.employee, settings)
    found[EMPLOYEE] = dict(_columns(person, settings, pseudonym))
    if record.counts_elsewhere:
        found["counts_elsewhere"] = True
    if record.fault:
        column = record.fault.column if plain(record.fault.column) in settings.columns_read else ""
        words = record.fault.words if FAULT.fullmatch(record.fault.words) else AT_FAULT
        found["fault"] = {"column": column, "words": words}
    return found


def _columns(person: Employee, settings: HrSettings, pseudonym: Pseudonym) -> Iterator[tuple[str, object]]:
    """A column that says two things is kept as the last of them, an identity."""
    for column in COLUMNS:
        name, value = person.found(column)
        if value is not None:
            yield name, _kept(person, column, value, settings)
    for wanted in settings.identities.values():
        name, value = person.member(wanted)
        faults, text = len(person.problems), person.named(wanted)
        if value is not None:
            known = address_in(text) or pseudonym(text) if text else ""
            yield name, NO_TEXT if len(person.problems) > faults else known


def _kept(person: Employee, column: str, value: object, settings: HrSettings) -> object:
    """A value that does not fit is replaced by one that is at fault in the same way."""
    faults = len(person.problems)
    found = _read(person, column, settings)
    if len(person.problems) == faults:
        return found if value != "" else ""
    return CUT if isinstance(value, str | int) else NO_TEXT


def _read(person: Employee, column: str, settings: HrSettings) -> object:
    match column:
        case "leave_from" | "leave_until" | "back_on" | "terminated_on":
            day = person.day(column)
            return day.isoformat() if day else ""
        case "updated_at":
            moment = person.moment(column)
            return to_rfc3339(moment) if moment else ""
        case "consent":
            return str(person.flag(column)).lower()
        case "addresses":
            addresses = list(dict.fromkeys(address_in(address) or CUT for address in person.addresses()))
            return addresses if isinstance(person.found(column)[1], list) else ";".join(addresses)
        case _:
            return _word(person, column, settings)


def _word(person: Employee, column: str, settings: HrSettings) -> str:
    text = person.text(column)
    match column:
        case "id":
            return visible(text) if ID.fullmatch(visible(text)) else CUT_ID
        case "status":
            # Too long for settings to give it a meaning.
            return text if settings.status(text, person.found(column)[0]) else TOO_LONG
        case "time_zone":
            return text if _is_zone(text) else CUT
        case _:
            return text if len(text) <= LONGEST_NAME else TOO_LONG


def _is_zone(name: str) -> bool:
    try:
        return bool(known_zone(name))
    except ValueError:
        return False


# About 100,000 people: it is split before it is recorded.
MOST_BYTES = 16 * 2**20

TOOL = Tool(
    name="hr",
    verify=prove_either,
    translate=translate,
    settings=HrSettings,
    parse=parse,
    keep=keep,
    take=take,
    most_bytes=MOST_BYTES,
    media_types=CSV | {JSON},
)
