"""Translate HR records into Employed activities."""

import json
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from schemas.primitives import EPOCH
from services.ingest.domain.activity import Employed, Native, Translation
from services.ingest.domain.cloudevents import JSON
from services.ingest.domain.ids import digest
from services.ingest.domain.tools.allow_list import visible
from services.ingest.domain.tools.cells import (
    ADDRESS,
    LOST_DIGITS,
    SHORTENED,
    as_whole_number,
    plain_name,
)
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.hr.model import LONGEST_NAME, Employee, HrRecord
from services.ingest.sources.hr.records import (
    CSV,
    SEND_RECORDS,
    parse,
    people_in,
    split,
)
from services.ingest.sources.hr.redaction import redact
from services.ingest.sources.hr.settings import NAMES, YES, HrSettings, Status
from services.ingest.sources.tool import Tool, ToolSettings, verify_bearer_or_basic
from services.ingest.sources.vendor_model import find_zone, read
from services.ingest.sources.vocabulary import ID, combine, truncated_native_id

DAY = timedelta(days=1)
# Limit of a participant in the directory (schemas.directory).
LONGEST_ADDRESS = 320


def translate(value: object, settings: ToolSettings) -> Translation:
    """Translate one record or an entire directory."""
    assert isinstance(settings, HrSettings)
    return combine(("", _translate_record(person, settings)) for person in people_in(value, settings))


def _translate_record(value: object, settings: HrSettings) -> Translation:
    record = read(HrRecord, value)
    if isinstance(record, Rejected):
        return record
    if record.fault:
        position = f"{record.position}, column {record.fault.column}" if record.fault.column else record.position
        return rejected("malformed", position, record.fault.words)
    if record.counts_elsewhere:
        return Ignored("another_row_counts")
    person = Employee(record.position, record.employee, settings)
    if record.line is None and record.employee and not any(person.present_synonyms(one) for one in (*NAMES, "status")):
        return rejected("invalid", record.position, NO_STATE)
    try:
        employment = _employment(record, person, settings)
    except RecursionError:
        return rejected("malformed", record.position, "is nested too deeply")
    return Rejected("invalid", tuple(person.problems)) if person.problems or employment is None else (employment,)


def _employment(record: HrRecord, person: Employee, settings: HrSettings) -> Employed | None:
    """Return None if the time of the record is unknown; `person` collects the problems."""
    status = _status(person, settings)
    # A feed reports the current state. The time of a change says nothing about relationships that began since.
    at = record.received_at or person.moment("updated_at")
    if at is None:
        person.fault("updated_at", "is required if the time of receipt is unknown")
    participant = as_whole_number(visible(person.required_text("id")))
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
    identities = ((tool, person.member_text(column)) for tool, column in settings.identities.items())
    try:
        zone = find_zone(person.text("time_zone") or settings.time_zone)
    except ValueError:
        person.fault("time_zone", "is no IANA time zone as in Europe/Vienna")
        zone = ZoneInfo("UTC")
    left_on, back_on = _days(person, status, at.astimezone(zone).date(), settings)
    employment = Employed(
        key="",
        time=at,
        native=Native("employee", truncated_native_id(participant)),
        participant=participant,
        name=name,
        status=status,
        addresses=addresses,
        identities=tuple((tool, name) for tool, name in identities if name),
        time_zone=zone.key,
        consent=settings.consent if consent is None else consent,
        left_on=left_on,
        back_on=back_on,
        unsaid=_unreported_fields(person, settings),
    )
    # Key the activity by the person's state, not by the record or its time of receipt: a changed salary is no new
    # statement, and the nightly feed repeats the same one. `asdict` deep-copies every text, which took a fifth of the
    # time of a row.
    members = vars(employment) | {"time": EPOCH, "native": vars(employment.native), "unsaid": sorted(employment.unsaid)}
    return replace(employment, key=digest("employee", json.dumps(members, sort_keys=True, default=str)))


def _status(person: Employee, settings: HrSettings) -> Status | None:
    text = person.required_text("status")
    status = settings.status(text, person.lookup("status")[0]) if text else None
    if text and status is None:
        person.fault("status", "is no status that is known here: settings.statuses can say what it means")
    if status == "exited" and any(settings.is_active(*one) for one in person.present_synonyms("status")):
        person.fault("status", "says that they have left, another column that they are active: which holds?")
    if status == "active" and person.is_yes("has_left"):
        person.fault("has_left", "says that they have left, another column that they are active: which holds?")
    # A person on leave is employed; some systems call that active, and others not active.
    is_open = status == "active" or (status == "exited" and _is_mere_false(person, settings))
    return "leave" if is_open and person.flag("on_leave") else status


def _unreported_fields(person: Employee, settings: HrSettings) -> frozenset[str]:
    columns = ("on_leave", "leave_from", "leave_until", "back_on")
    tells_leaves = "leave" in settings.statuses.values() or any(person.lookup(one)[1] is not None for one in columns)
    # An account is active, and a person is employed, during a leave as well.
    leave = {"leave"} if not tells_leaves and person.text("status").lower() in YES else set[str]()
    return frozenset(leave.union(one for one in ("time_zone", "consent") if person.lookup(one)[1] is None))


def _is_mere_false(person: Employee, settings: HrSettings) -> bool:
    """Whether the status is a mere `false` and nothing else shows that they have left."""
    is_false = person.text("status").lower() == "false" and "false" not in map(str.casefold, settings.statuses)
    return is_false and not person.is_yes("has_left")


def _name(person: Employee) -> str:
    faults = len(person.problems)
    full_name, first, last = person.text("name"), person.text("first_name"), person.text("last_name")
    if first and not last and first.casefold() not in full_name.casefold():
        # "Name" next to a first name is the last name.
        full_name, last = "", full_name
    name = plain_name(full_name or " ".join(filter(None, (first, last))))
    if not name and len(person.problems) == faults:
        person.fault("name", "is required, or first_name and last_name")
    if len(name) > LONGEST_NAME:
        person.fault("name", f"has more than {LONGEST_NAME} characters")
    return name


def _days(person: Employee, status: Status, today: date, settings: HrSettings) -> tuple[date | None, date | None]:
    """Return the days of leaving and of returning. Somebody who was rehired since has not left, whatever the status of
    the old post. A leave during which somebody left has no return; if only a `false` says that they left, they may
    still be on leave."""
    rehired_on = person.day("rehired_on") if status != "leave" else None
    if status == "exited":
        last_day = person.day("last_day")
        left_on = person.day("terminated_on") or (last_day + DAY if last_day else None)
        if left_on and rehired_on and left_on <= rehired_on <= today:
            person.fault("rehired_on", "is not before the exit: correct one of the two dates")
        if left_on is None and _is_mere_false(person, settings):
            begin, last = person.day("leave_from"), person.day("leave_until")
            back_on = last + DAY if last else person.day("back_on")
            if (begin or back_on) and (begin or today) <= today < (back_on or date.max):
                column = "leave_from" if begin else "leave_until" if last else "back_on"
                person.fault(column, "reports a leave that is not over: another column may mean that, or an exit")
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


NO_STATE = f"names somebody and says neither what they are called nor their status, as notifications do: {SEND_RECORDS}"

# About 100,000 people: the body is split before it is recorded.
MAX_BYTES = 16 * 2**20

TOOL = Tool(
    name="hr",
    verify=verify_bearer_or_basic,
    translate=translate,
    settings=HrSettings,
    parse=parse,
    redact=redact,
    split=split,
    most_bytes=MAX_BYTES,
    media_types=CSV | {JSON},
)
