"""What an HR system says of its people."""

import json
import re
from dataclasses import asdict, replace
from datetime import date, timedelta

from schemas.directory import known_zone
from schemas.primitives import EPOCH
from services.ingest.domain.activity import Employed, Native, Translation
from services.ingest.domain.derived_events import digest
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.domain.written import visible
from services.ingest.sources.hr.model import Employee, HrRecord, HrSettings, Status
from services.ingest.sources.hr.rows import people_in
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read
from services.ingest.sources.vocabulary import ID, as_one, native_id

DAY = timedelta(days=1)
# Of a participant in the directory (schemas.directory).
LONGEST_NAME = 200
LONGEST_ADDRESS = 320
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


def translate(value: object, settings: ToolSettings) -> Translation:
    """A record, or a whole directory."""
    assert isinstance(settings, HrSettings)
    return as_one(("", _translated(person, settings)) for person in people_in(value))


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
    participant, name = _participant(person), _name(person)
    if at is None or status is None:
        return None
    left_on, back_on = _days(person, status)
    said = Employed(
        key="",
        time=at,
        native=Native("employee", native_id(participant)),
        participant=participant,
        name=name,
        status=status,
        addresses=_addresses(person),
        identities=_identities(person, settings),
        time_zone=_zone(person, settings),
        consent=_consent(person, settings),
        left_on=left_on,
        back_on=back_on,
        unsaid=frozenset(column for column in ("time_zone", "consent") if not person.has(column)),
    )
    # Of what the record says, and not of the record: a new salary is no new statement.
    return replace(said, key=digest("employee", _content(said)))


def _content(said: Employed) -> str:
    """When it was received is no part of it: the same feed every night says the same."""
    members = asdict(replace(said, time=EPOCH)) | {"unsaid": sorted(said.unsaid)}
    return json.dumps(members, sort_keys=True, default=str)


def _status(person: Employee, settings: HrSettings) -> Status | None:
    text = person.needed("status")
    status = settings.status(text, person.found("status")[0]) if text else None
    if text and status is None:
        person.fault("status", "is no status that is known here: settings.statuses can say what it means")
    return status


def _participant(person: Employee) -> str:
    found = visible(person.needed("id"))
    if found and not ID.fullmatch(found):
        person.fault("id", "must be an id of letters, digits and . _ : -, at most 128 characters")
    return found


def _name(person: Employee) -> str:
    parts = (person.text("first_name"), person.text("last_name"))
    name = person.text("name") or " ".join(filter(None, parts))
    if not name:
        person.fault("name", "is required, or first_name and last_name")
    if len(name) > LONGEST_NAME:
        person.fault("name", f"has more than {LONGEST_NAME} characters")
    return name


def _addresses(person: Employee) -> tuple[str, ...]:
    found = person.addresses()
    if any(not ADDRESS.fullmatch(address) or len(address) > LONGEST_ADDRESS for address in found):
        person.fault("addresses", "must be addresses as in somebody@example.com")
    return found


def _days(person: Employee, status: Status) -> tuple[date | None, date | None]:
    """When somebody left, and when they are or were back."""
    if status == "exited":
        return person.day("terminated_on"), None
    left_on = person.day("leave_from") if status == "leave" else None
    last = person.day("leave_until")
    back_on = person.day("back_on") or (last + DAY if last else None)
    if left_on and back_on and back_on <= left_on:
        person.fault("leave_until", "lies before the leave begins")
    return left_on, back_on


def _zone(person: Employee, settings: HrSettings) -> str:
    name = person.text("time_zone") or settings.time_zone
    try:
        return known_zone(name)
    except ValueError:
        person.fault("time_zone", "is no IANA time zone as in Europe/Vienna")
        return name


def _consent(person: Employee, settings: HrSettings) -> bool:
    given = person.flag("consent")
    return settings.consent if given is None else given


def _identities(person: Employee, settings: HrSettings) -> tuple[tuple[str, str], ...]:
    found = ((tool, person.named(column)) for tool, column in settings.identities.items())
    return tuple((tool, name) for tool, name in found if name)
