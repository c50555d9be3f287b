"""Redact each column of an HR record to its purpose; other columns are dropped. An invalid value stays invalid in the
same way, so that the record is rejected for the same reason."""

import re
from collections.abc import Iterator

from schemas.primitives import to_rfc3339
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import CUT, address_in, clean_text, visible
from services.ingest.domain.tools.cells import NO_RESULT, SHORTENED, find_damage
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.day_formats import may_be_two_days
from services.ingest.sources.hr.model import LONGEST_NAME, Employee, HrRecord, is_moment
from services.ingest.sources.hr.records import (
    DAY_IN_PARTS,
    DELETED_RECORD,
    EMPLOYEE,
    GROUPED_ID,
    SWITCHED_OFF,
    TWO_VALUES,
    UNCLEAR,
    people_in,
)
from services.ingest.sources.hr.rows import NOT_UTF_8, TWICE
from services.ingest.sources.hr.settings import DAYS, NAMES, HrSettings, normalise
from services.ingest.sources.table_words import PEOPLE_COLUMNS
from services.ingest.sources.tables import TOTAL_OR_PERSON
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import ZONE, read
from services.ingest.sources.vocabulary import ID

# Replaces a value that is neither text nor number: the column stays at fault in the same way.
NON_TEXT: list[object] = [[]]
# Invalid as an id; replaces an id that may be text.
CUT_ID = f"({CUT})"
TOO_LONG = CUT * LONGEST_NAME
# The fault texts of rows.py and records.py; anybody may write a record with a fault in any words.
FAULT = re.compile(
    r"has \d+ cells, the header has \d+|is no row of a CSV file: [a-z0-9 ,;\t'\"()-]{1,80}"
    rf"|is not UTF-8: byte 0x[0-9a-f]{{2}} at character \d+; {NOT_UTF_8}"
    rf"|{UNCLEAR}|{TWICE}|{TWO_VALUES}|{TOTAL_OR_PERSON}|{DELETED_RECORD}|{SWITCHED_OFF}|{DAY_IN_PARTS}|{GROUPED_ID}",
    re.ASCII,
)


def redact(value: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """Redact one record or an entire directory."""
    assert isinstance(settings, HrSettings)
    records = [_record(one, settings, pseudonym) for one in people_in(value, settings)]
    return records[0] if len(records) == 1 and isinstance(value, dict) else records


def _record(value: object, settings: HrSettings, pseudonym: Pseudonym) -> object:
    record = read(HrRecord, value)
    if isinstance(record, Rejected):
        # The person cannot be identified: keep only that somebody is missing here.
        return {"index": 0, EMPLOYEE: {}}
    found: dict[str, object] = {"index": record.index or 0} if record.line is None else {"line": record.line}
    if record.received_at:
        found["received_at"] = to_rfc3339(record.received_at)
    person = Employee(record.position, record.employee, settings)
    found[EMPLOYEE] = dict(_redacted_columns(person, settings, pseudonym))
    if record.counts_elsewhere:
        found["counts_elsewhere"] = True
    if record.fault:
        column = record.fault.column if normalise(record.fault.column) in settings.columns_read else ""
        words = record.fault.words if FAULT.fullmatch(record.fault.words) else "is at fault"
        found["fault"] = {"column": column, "words": words}
    return found


def _redacted_columns(person: Employee, settings: HrSettings, pseudonym: Pseudonym) -> Iterator[tuple[str, object]]:
    """If one column serves two purposes, the last one wins, an identity."""
    for column in PEOPLE_COLUMNS:
        name, value = person.lookup(column)
        if value is not None:
            yield name, _redact_value(person, column, value, settings)
    for name, value in person.present_synonyms("status"):
        # It may contradict the status that counts.
        if name != person.lookup("status")[0] and settings.is_active(name, value):
            yield name, str(value).lower()
    for wanted in settings.identities.values():
        name, value = person.member(wanted)
        faults, text = len(person.problems), person.member_text(wanted)
        if value is not None:
            recognised = address_in(text) or pseudonym(text) if text else ""
            yield name, NON_TEXT if len(person.problems) > faults else recognised


def _redact_value(person: Employee, column: str, value: object, settings: HrSettings) -> object:
    """Replace an invalid value by one that is invalid in the same way."""
    faults = len(person.problems)
    found = _redacted(person, column, settings)
    if len(person.problems) == faults:
        return found if value != "" else ""
    if isinstance(value, str) and NO_RESULT.fullmatch(clean_text(value)):
        return clean_text(value)
    if column in NAMES and isinstance(value, str) and (damage := find_damage(clean_text(value))):
        return damage[1]
    if column in DAYS and isinstance(value, str) and (may_be_two_days(visible(value)) or is_moment(visible(value))):
        return visible(value)
    is_flag = isinstance(value, bool) and column in {"id", *NAMES}
    return CUT if isinstance(value, str | int) and not is_flag else NON_TEXT


def _redacted(person: Employee, column: str, settings: HrSettings) -> object:
    match column:
        case "updated_at":
            moment = person.moment(column)
            return to_rfc3339(moment) if moment else ""
        case "has_left":
            return str(person.is_yes(column)).lower()
        case "consent" | "on_leave":
            flag = person.flag(column)
            return "" if flag is None else str(flag).lower()
        case "addresses":
            addresses = list(dict.fromkeys(address_in(address) or CUT for address in person.addresses()))
            return addresses if isinstance(person.lookup(column)[1], list) else ";".join(addresses)
        case _ if column in DAYS:
            day = person.day(column)
            return day.isoformat() if day else ""
        case _:
            text = person.text(column)
            return _redact_text(text, column, person, settings) if text else ""


def _redact_text(text: str, column: str, person: Employee, settings: HrSettings) -> str:
    match column:
        case "id":
            recognised = ID.fullmatch(visible(text)) or SHORTENED.fullmatch(visible(text))
            return visible(text) if recognised else CUT_ID
        case "status":
            return text if settings.status(text, person.lookup(column)[0]) else TOO_LONG
        case "time_zone":
            return ZONE.of_text(text, lambda recognised: recognised)
        case _:
            return text if len(text) <= LONGEST_NAME else TOO_LONG
