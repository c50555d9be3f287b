"""What is stored of a person of an HR system: the columns that we read, and in each only what it is for. Notes,
salaries and whatever else a table holds beside them are dropped."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from schemas.primitives import EPOCH, to_rfc3339
from services.ingest.domain.activity import Employed, Native, Translation
from services.ingest.domain.cloudevents import JSON
from services.ingest.domain.ids import Pseudonym, digest
from services.ingest.domain.tools.allow_list import CUT, address_in, composed, visible
from services.ingest.domain.tools.cells import ADDRESS, LOST_DIGITS, NO_RESULT, SHORTENED, damage_of, plain_name, whole
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.day_formats import may_be_two_days
from services.ingest.sources.hr.model import Employee, HrRecord, is_moment
from services.ingest.sources.hr.records import (
    AS_THEY_ARE,
    CSV,
    EMPLOYEE,
    IN_PARTS,
    OF_DELETED,
    SWITCHED_OFF,
    TWO_VALUES,
    UNCLEAR,
    parse,
    people_in,
    take,
)
from services.ingest.sources.hr.rows import NOT_UTF_8, TWICE
from services.ingest.sources.hr.settings import DAYS, NAMES, YES, HrSettings, Status, plain
from services.ingest.sources.table_words import PEOPLE_COLUMNS
from services.ingest.sources.tables import TOTAL_OR_PERSON
from services.ingest.sources.tool import Tool, ToolSettings, prove_either
from services.ingest.sources.vendor_model import ZONE, read, zone_named
from services.ingest.sources.vocabulary import ID, as_one, native_id

DAY = timedelta(days=1)
# Of a participant in the directory (schemas.directory).
LONGEST_NAME = 200
LONGEST_ADDRESS = 320


def translate(value: object, settings: ToolSettings) -> Translation:
    """A record, or a whole directory."""
    assert isinstance(settings, HrSettings)
    return as_one(("", _translated(person, settings)) for person in people_in(value, settings))


def _translated(value: object, settings: HrSettings) -> Translation:
    record = read(HrRecord, value)
    if isinstance(record, Rejected):
        return record
    if record.fault:
        place = f"{record.place}, column {record.fault.column}" if record.fault.column else record.place
        return rejected("malformed", place, record.fault.words)
    if record.counts_elsewhere:
        return Ignored("another_row_counts")
    person = Employee(record.place, record.employee, settings)
    if record.line is None and record.employee and not any(person.all_of(one) for one in (*NAMES, "status")):
        return rejected("invalid", record.place, OF_NOBODY)
    try:
        said = _employed(record, person, settings)
    except RecursionError:
        return rejected("malformed", record.place, "is nested too deeply")
    return Rejected("invalid", tuple(person.problems)) if person.problems or said is None else (said,)


def _employed(record: HrRecord, person: Employee, settings: HrSettings) -> Employed | None:
    """None if it is told nowhere when this was known; problems are gathered by `person`."""
    status = _status(person, settings)
    # A feed tells what holds now. When it changed says nothing of relationships that began since.
    at = record.received_at or person.moment("updated_at")
    if at is None:
        person.fault("updated_at", "is required where it is not said when the record was received")
    participant = whole(visible(person.needed("id")))
    if SHORTENED.fullmatch(participant):
        person.fault("id", LOST_DIGITS)
    elif participant and not ID.fullmatch(participant):
        person.fault("id", "must be an id of letters, digits and . _ : -, at most 128 characters")
    name = _name(person)
    if at is None or status is None:
        return None
    addresses, consent = person.addresses(), person.flag("consent")
    if any(not ADDRESS.fullmatch(address) or len(address) > LONGEST_ADDRESS for address in addresses):
        person.fault("addresses", "must be addresses as in somebody@example.com")
    identities = ((tool, person.named(column)) for tool, column in settings.identities.items())
    try:
        zone = zone_named(person.text("time_zone") or settings.time_zone)
    except ValueError:
        person.fault("time_zone", "is no IANA time zone as in Europe/Vienna")
        zone = ZoneInfo("UTC")
    left_on, back_on = _days(person, status, at.astimezone(zone).date(), settings)
    said = Employed(
        key="",
        time=at,
        native=Native("employee", native_id(participant)),
        participant=participant,
        name=name,
        status=status,
        addresses=addresses,
        identities=tuple((tool, name) for tool, name in identities if name),
        time_zone=zone.key,
        consent=settings.consent if consent is None else consent,
        left_on=left_on,
        back_on=back_on,
        unsaid=_unsaid(person, settings),
    )
    # Of what the record says, and not of the record or when it was received: a new salary is no new statement, and the
    # same feed every night says the same. `asdict` copies every text deeply, which took a fifth of the time of a row.
    members = vars(said) | {"time": EPOCH, "native": vars(said.native), "unsaid": sorted(said.unsaid)}
    return replace(said, key=digest("employee", json.dumps(members, sort_keys=True, default=str)))


def _status(person: Employee, settings: HrSettings) -> Status | None:
    text = person.needed("status")
    status = settings.status(text, person.found("status")[0]) if text else None
    if text and status is None:
        person.fault("status", "is no status that is known here: settings.statuses can say what it means")
    if status == "exited" and any(_says_active(*one, settings) for one in person.all_of("status")):
        person.fault("status", "says that they have left, another column that they are active: which holds?")
    if status == "active" and person.says_yes("has_left"):
        person.fault("has_left", "says that they have left, another column that they are active: which holds?")
    # Whoever is on leave is employed, which some systems call active, and others not active.
    is_open = status == "active" or (status == "exited" and _says_only_false(person, settings))
    return "leave" if is_open and person.flag("on_leave") else status


def _unsaid(person: Employee, settings: HrSettings) -> frozenset[str]:
    columns = ("on_leave", "leave_from", "leave_until", "back_on")
    tells_leaves = "leave" in settings.statuses.values() or any(person.found(one)[1] is not None for one in columns)
    # An account is active, or a person is employed, also while they are on leave.
    leave = {"leave"} if not tells_leaves and person.text("status").lower() in YES else set[str]()
    return frozenset(leave.union(one for one in ("time_zone", "consent") if person.found(one)[1] is None))


def _says_only_false(person: Employee, settings: HrSettings) -> bool:
    """Of who is active: nothing else says that they have left."""
    is_false = person.text("status").lower() == "false" and "false" not in map(str.casefold, settings.statuses)
    return is_false and not person.says_yes("has_left")


def _says_active(column: str, value: object, settings: HrSettings) -> bool:
    return isinstance(value, str | bool | int) and settings.status(str(value), column) == "active"


def _name(person: Employee) -> str:
    faults = len(person.problems)
    whole, first, last = person.text("name"), person.text("first_name"), person.text("last_name")
    if first and not last and first.casefold() not in whole.casefold():
        # "Name" beside a first name is the last one.
        whole, last = "", whole
    name = plain_name(whole or " ".join(filter(None, (first, last))))
    if not name and len(person.problems) == faults:
        person.fault("name", "is required, or first_name and last_name")
    if len(name) > LONGEST_NAME:
        person.fault("name", f"has more than {LONGEST_NAME} characters")
    return name


def _days(person: Employee, status: Status, today: date, settings: HrSettings) -> tuple[date | None, date | None]:
    """When somebody left, and when they are or were back. Whoever was hired again since has not left, whatever the
    status of their old post says. From a leave that they were on when they left nobody expects them back; where nothing
    but a `false` says that they left, they may be on it."""
    rehired_on = person.day("rehired_on") if status != "leave" else None
    if status == "exited":
        last_day = person.day("last_day")
        left_on = person.day("terminated_on") or (last_day + DAY if last_day else None)
        if left_on and rehired_on and left_on <= rehired_on <= today:
            person.fault("rehired_on", "is not before the exit: nobody knows which of the two holds")
        if left_on is None and _says_only_false(person, settings):
            begin, last = person.day("leave_from"), person.day("leave_until")
            back_on = last + DAY if last else person.day("back_on")
            if (begin or back_on) and (begin or today) <= today < (back_on or date.max):
                column = "leave_from" if begin else "leave_until" if last else "back_on"
                person.fault(column, "tells of a leave that is not over: another column may mean that, or an exit")
        return left_on, None
    left_on, last = person.day("leave_from") if status == "leave" else None, person.day("leave_until")
    back_on = person.day("back_on") or rehired_on or (last + DAY if last else None)
    begin = person.day("leave_from") if status == "active" else None
    if begin and back_on and begin <= today < back_on:
        person.fault(
            "leave_from", "begins a leave that is not over, another column says that they are active: which holds?"
        )
    if left_on and back_on and back_on <= left_on:
        person.fault("leave_until", "lies before the leave begins")
    return left_on, back_on


OF_NOBODY = f"names somebody and says neither what they are called nor their status, as notifications do: {AS_THEY_ARE}"
# Stands where a value was that is neither text nor number: the column is at fault, as it was before.
NO_TEXT: list[object] = [[]]
# No id, where an id that may be text stood.
CUT_ID = f"({CUT})"
TOO_LONG = CUT * LONGEST_NAME
# What rows.py and records.py say of a row; anybody may write a record with a fault, in any words.
FAULT = re.compile(
    r"has \d+ cells, the header has \d+|is no row of a CSV file: [a-z0-9 ,;\t'\"()-]{1,80}"
    rf"|is not UTF-8: byte 0x[0-9a-f]{{2}} at character \d+; {NOT_UTF_8}"
    rf"|{UNCLEAR}|{TWICE}|{TWO_VALUES}|{TOTAL_OR_PERSON}|{OF_DELETED}|{SWITCHED_OFF}|{IN_PARTS}",
    re.ASCII,
)
AT_FAULT = "is at fault"


def keep(value: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """A record, or a whole directory as records."""
    assert isinstance(settings, HrSettings)
    records = [_record(one, settings, pseudonym) for one in people_in(value, settings)]
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
    for column in PEOPLE_COLUMNS:
        name, value = person.found(column)
        if value is not None:
            yield name, _kept(person, column, value, settings)
    for name, value in person.all_of("status"):
        # It may contradict the one that counts.
        if name != person.found("status")[0] and _says_active(name, value, settings):
            yield name, str(value).lower()
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
    if isinstance(value, str) and NO_RESULT.fullmatch(composed(value)):
        return composed(value)
    if column in NAMES and isinstance(value, str) and (damage := damage_of(composed(value))):
        return damage[1]
    if column in DAYS and isinstance(value, str) and (may_be_two_days(visible(value)) or is_moment(visible(value))):
        return visible(value)
    return CUT if isinstance(value, str | int) else NO_TEXT


def _read(person: Employee, column: str, settings: HrSettings) -> object:
    match column:
        case "updated_at":
            moment = person.moment(column)
            return to_rfc3339(moment) if moment else ""
        case "has_left":
            return str(person.says_yes(column)).lower()
        case "consent" | "on_leave":
            flag = person.flag(column)
            return "" if flag is None else str(flag).lower()
        case "addresses":
            addresses = list(dict.fromkeys(address_in(address) or CUT for address in person.addresses()))
            return addresses if isinstance(person.found(column)[1], list) else ";".join(addresses)
        case _ if column in DAYS:
            day = person.day(column)
            return day.isoformat() if day else ""
        case _:
            text = person.text(column)
            return _word(text, column, person, settings) if text else ""


def _word(text: str, column: str, person: Employee, settings: HrSettings) -> str:
    match column:
        case "id":
            known = ID.fullmatch(visible(text)) or SHORTENED.fullmatch(visible(text))
            return visible(text) if known else CUT_ID
        case "status":
            # Too long for settings to give it a meaning.
            return text if settings.status(text, person.found(column)[0]) else TOO_LONG
        case "time_zone":
            return ZONE.of_text(text, lambda known: known)
        case _:
            return text if len(text) <= LONGEST_NAME else TOO_LONG


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
