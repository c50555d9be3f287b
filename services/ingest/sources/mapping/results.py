"""What expressions gave, read as times, ids, people and data."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from services.ingest.domain.tools.said import Person
from services.ingest.domain.verdict import Problem, Rejected, rejected
from services.ingest.sources.expression import Compiled
from services.ingest.sources.mapping.settings import MappingSettings, Member
from services.ingest.sources.reading import Local, Zoned, epoch, in_zone, within
from services.ingest.sources.vocabulary import members, problems, required

LONGEST_ID = 512
MOST_PEOPLE = 100
LONGEST_PERSON = 320
ZONED: TypeAdapter[datetime] = TypeAdapter(Zoned)
LOCAL: TypeAdapter[datetime] = TypeAdapter(Local)
PER_SECOND = {"seconds": 1, "milliseconds": 1000}


def is_true(value: object) -> bool:
    """As JMESPath defines it: 0 is true."""
    return value is not None and value is not False and value not in ("", [], {})


def text_of(value: object) -> str | Rejected:
    """Empty where there is nothing."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return rejected("invalid", "", "must give a text or a whole number")
    if isinstance(value, int) and abs(value) >= 2**63:
        return rejected("invalid", "", "must give a text or a whole number of at most 64 bits")
    text = str(value)
    return text if len(text) <= LONGEST_ID else rejected("invalid", "", f"gives more than {LONGEST_ID} characters")


def time_of(value: object, settings: MappingSettings) -> datetime | Rejected:
    try:
        if settings.times in PER_SECOND:
            return epoch(value, PER_SECOND[settings.times])
        return _written(value, settings)
    except ValidationError:
        zone = "" if settings.time_zone else ", with its zone (or settings.time_zone)"
        return rejected("invalid", "", f"must give a date and a time as in 2026-03-01T10:00:00Z{zone}")
    except ValueError as wrong:
        return rejected("invalid", "", str(wrong))


def _written(value: object, settings: MappingSettings) -> datetime:
    if settings.time_zone is None:
        return ZONED.validate_python(value)
    try:
        return in_zone(LOCAL.validate_python(value), ZoneInfo(settings.time_zone))
    except ValidationError:
        return ZONED.validate_python(value)


def people_of(value: object, settings: MappingSettings) -> tuple[Person, ...] | Rejected:
    """One person or a list: an address, an id, or an object of `participant`, `id` and `address`."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    if len(values) > MOST_PEOPLE:
        return rejected("invalid", "", f"gives more than {MOST_PEOPLE} people")
    found: list[Person] = []
    for one in values:
        person = _by_members(one) if isinstance(one, dict) else _by_text(one, settings)
        if isinstance(person, Rejected):
            return person
        found.append(person)
    return tuple(dict.fromkeys(found))


def _by_members(members: Mapping[str, object]) -> Person | Rejected:
    texts = {name: text_of(members.get(name)) for name in ("id", "address", "participant")}
    for name, text in texts.items():
        if isinstance(text, Rejected):
            return within(name, text)
    known = {name: text for name, text in texts.items() if isinstance(text, str) and text}
    if not known:
        return rejected("invalid", "", "must give for each person a participant, an address or an id")
    return Person(**known)


def _by_text(value: object, settings: MappingSettings) -> Person | Rejected:
    text = text_of(value)
    if isinstance(text, Rejected):
        return text
    if not text or len(text) > LONGEST_PERSON:
        return rejected("invalid", "", f"must give people as texts of 1 to {LONGEST_PERSON} characters, or as objects")
    if "@" in text:
        return Person(address=text)
    return Person(participant=text) if settings.people == "participant" else Person(id=text)


def data_of(name: str, wanted: Mapping[str, Member], scope: object) -> Mapping[str, object] | Rejected:
    """The data of an event of this type, as complete and right as the catalogue asks. Null members are left out."""
    data: dict[str, object] = {}
    for member, value in wanted.items():
        found = value.of(scope) if isinstance(value, Compiled) else None
        if isinstance(found, Rejected):
            return within(member, found)
        given = found.value if found else value
        if given is not None:
            data[member] = given
    return fault_of(name, data) or data


def fault_of(name: str, data: Mapping[str, object]) -> Rejected | None:
    """What the catalogue does not allow in the data of an event of this type; None if there is nothing."""
    if unknown := data.keys() - members(name):
        return rejected("invalid", "", f"{name} has fewer members: {len(unknown)} are not known in it")
    if missing := sorted(required(name) - data.keys()):
        return Rejected("invalid", tuple(Problem(member, f"is required in {name}") for member in missing))
    wrong = problems(name, data)
    return Rejected("invalid", wrong) if wrong else None
