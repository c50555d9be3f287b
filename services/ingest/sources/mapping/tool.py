"""Apply a connection's rules to a payload, and convert their results to times, ids, people and data."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from services.ingest.domain.activity import Person, Translation
from services.ingest.domain.cloudevents import read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import mailboxes, visible
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.day_formats import LONGEST_WRITTEN, in_iso
from services.ingest.sources.mapping.applied import (
    NO_RULE,
    AppliedStatement,
    activity_of,
    decode_result,
    encode_result,
    is_applied,
    verified_record,
)
from services.ingest.sources.mapping.settings import (
    Compiled,
    ExpressionResult,
    MappingRule,
    MappingSettings,
    Member,
    verify_by,
)
from services.ingest.sources.tool import (
    RawPayloads,
    Received,
    Tool,
    ToolSettings,
    payload_per_value,
    single_payload,
    verify_bearer,
)
from services.ingest.sources.vendor_model import Local, Zoned, epoch, in_zone, within
from services.ingest.sources.vocabulary import combine, normalise_data

LONGEST_ID = 512
MAX_PEOPLE = 100
LONGEST_PERSON = 320
ZONED: TypeAdapter[datetime] = TypeAdapter(Zoned)
LOCAL: TypeAdapter[datetime] = TypeAdapter(Local)
# Ruby writes the name of UTC, or a blank before the offset.
_NAMED_UTC = re.compile(r" ?(UTC|GMT)$")
_BLANK_BEFORE_OFFSET = re.compile(r" (?=[+-]\d\d:?\d\d$)", re.ASCII)
# Java and RFC 9557 append a zone in brackets to the offset; it does not change the time.
_ZONE_IN_BRACKETS = re.compile(r"(?<=[Zz\d])(\[[\w/+:=-]{1,64}\])+$", re.ASCII)
PER_SECOND = {"seconds": 1, "milliseconds": 1000}


def text_of(value: object) -> str | Rejected:
    """Return "" for null."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        # In JSON 12.0 is a whole number.
        value = int(value)
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
        return _parse_time(value, settings)
    except ValidationError:
        zone = "" if settings.time_zone else ", with its zone (or settings.time_zone)"
        return rejected("invalid", "", f"must give a date and a time as in 2026-03-01T10:00:00Z{zone}")
    except ValueError as wrong:
        return rejected("invalid", "", str(wrong))


def _parse_time(value: object, settings: MappingSettings) -> datetime:
    if isinstance(value, str) and len(value) <= LONGEST_WRITTEN:
        written = _ZONE_IN_BRACKETS.sub("", value.strip())
        iso = written if settings.times == "iso8601" else in_iso(written, settings.times)
        value = _BLANK_BEFORE_OFFSET.sub("", _NAMED_UTC.sub("Z", iso))
    if settings.time_zone is None:
        return ZONED.validate_python(value)
    try:
        local, zone = LOCAL.validate_python(value), ZoneInfo(settings.time_zone)
    except ValidationError:
        return ZONED.validate_python(value)
    if local.replace(tzinfo=zone, fold=0).utcoffset() != local.replace(tzinfo=zone, fold=1).utcoffset():
        raise ValueError(f"must give a time with its zone: the clocks change then in {zone.key}")
    return in_zone(local, zone)


def people_of(value: object, settings: MappingSettings) -> tuple[Person, ...] | Rejected:
    """Parse one person or a list: an address, an id, or an object of `participant`, `id` and `address`."""
    values = [part for one in (value if isinstance(value, list) else [value]) for part in _split_addresses(one)]
    if len(values) > MAX_PEOPLE:
        return rejected("invalid", "", f"gives more than {MAX_PEOPLE} people")
    found: list[Person] = []
    for one in values:
        person = _by_members(one) if isinstance(one, dict) else _by_text(one, settings)
        if isinstance(person, Rejected):
            return person
        found.append(person)
    return tuple(dict.fromkeys(found))


def _split_addresses(one: object) -> list[object]:
    """Split a text with several addresses into several people."""
    found = mailboxes(one) if isinstance(one, str) and len(one) <= MAX_PEOPLE * LONGEST_PERSON else []
    is_several = len(found) > 1 and all("@" in part for part in found)
    return [*found] if is_several else [] if one is None else [one]


def _by_members(members: Mapping[str, object]) -> Person | Rejected:
    texts = {name: text_of(members.get(name)) for name in ("id", "address", "participant")}
    for name, text in texts.items():
        if isinstance(text, Rejected):
            return within(name, text)
    identifiers = {name: text for name, text in texts.items() if isinstance(text, str) and text}
    if not identifiers:
        return rejected("invalid", "", "must give for each person a participant, an address or an id")
    return Person(**identifiers)


def _by_text(value: object, settings: MappingSettings) -> Person | Rejected:
    text = text_of(value)
    if isinstance(text, Rejected):
        return text
    text = visible(text)
    if not text or len(text) > LONGEST_PERSON:
        return rejected("invalid", "", f"must give people as texts of 1 to {LONGEST_PERSON} characters, or as objects")
    if "@" in text:
        return Person(address=text)
    return Person(participant=text) if settings.people == "participant" else Person(id=text)


def data_of(members: Mapping[str, Member], scope: object) -> Mapping[str, object] | Rejected:
    """Evaluate the data of an event, without nulls. `activity_of` checks it against the catalogue."""
    data: dict[str, object] = {}
    for member, value in members.items():
        found = value.evaluate(scope) if isinstance(value, Compiled) else None
        if isinstance(found, Rejected):
            return within(member, found)
        given = found.value if found else value
        if isinstance(given, list):
            data[member] = [one for one in given if one is not None]
        elif given is not None:
            # In JSON 4.0 is a whole number.
            data[member] = int(given) if isinstance(given, float) and given.is_integer() else given
    return data


NOTHING = ExpressionResult(None)
Read = TypeVar("Read")

# Wraps a payload of which only the valid, or only the invalid, parts count.
PART, PAYLOAD = "rapport_part", "payload"
VALID, INVALID = "right", "wrong"


def split(received: Received, settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """Split a payload with valid and invalid parts into two records, so that an invalid item or rule does not affect
    the others."""
    assert isinstance(settings, MappingSettings)
    if len(settings.rules) == 1 and settings.rules[0].items is None:
        # A single rule yields one statement or one fault; evaluating it here would apply it twice.
        return single_payload(received, settings, now)
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected) or is_applied(parsed.value) or _part_of(parsed.value):
        return single_payload(received, settings, now)
    kinds = [type(part) for _, part in _parts(parsed.value, settings)]
    if Rejected not in kinds or tuple not in kinds:
        return single_payload(received, settings, now)
    return payload_per_value({PART: part, PAYLOAD: parsed.value} for part in (VALID, INVALID))


def translate(value: object, settings: ToolSettings) -> Translation:
    """Translate a payload from the tool, a part of one, or a stored record. Fault paths consist of the rule, the item's
    index and the rule's member."""
    assert isinstance(settings, MappingSettings)
    if isinstance(value, dict) and is_applied(value):
        return decode_result(value, settings)
    part = _part_of(value)
    found = list(_parts(value[PAYLOAD] if part and isinstance(value, dict) else value, settings))
    wrong = [within(path, one) for path, one in found if isinstance(one, Rejected)]
    if part == INVALID and wrong:
        return Rejected("invalid", tuple(error for one in wrong for error in one.errors))
    translation = combine((path, one) for path, one in found if not (part and isinstance(one, Rejected)))
    return NO_RULE if isinstance(translation, Ignored) else translation


def _part_of(value: object) -> str:
    """Return which part of the payload counts; "" for all of it."""
    is_part = isinstance(value, dict) and value.keys() == {PART, PAYLOAD} and value[PART] in (VALID, INVALID)
    return str(value[PART]) if is_part and isinstance(value, dict) else ""


def _parts(payload: object, settings: MappingSettings) -> Iterator[tuple[str, Translation]]:
    """Yield the result of each rule or, for a rule with items, of each item."""
    for rule in settings.rules:
        if rule.items is None:
            yield rule.name, _RuleApplication(rule, payload, settings).translate()
            continue
        found = rule.items.evaluate(payload)
        if isinstance(found, Rejected):
            yield rule.name, within("items", found)
        elif isinstance(found.value, list):
            scopes = (
                (at, {"item": item, "payload": payload}) for at, item in enumerate(found.value) if item is not None
            )
            yield from (
                (f"{rule.name}.{index}", _RuleApplication(rule, scope, settings).translate()) for index, scope in scopes
            )
        elif found.value is not None:
            yield rule.name, rejected("invalid", "items", "must give a list")


@dataclass(frozen=True)
class _RuleApplication:
    """A rule and the value that its expressions are evaluated on."""

    rule: MappingRule
    scope: object
    settings: MappingSettings

    def translate(self) -> Translation:
        rule = self.rule
        condition = rule.when.evaluate(self.scope) if rule.when else None
        if isinstance(condition, Rejected):
            return within("when", condition)
        # As JMESPath defines it: 0 is true.
        if condition and (condition.value in (None, "", [], {}) or condition.value is False):
            return NO_RULE
        native = self._read("id", rule.id, text_of)
        if isinstance(native, Rejected):
            return native
        if not native:
            return rejected("invalid", "id", "is required: it distinguishes a repeated statement from a new one")
        at = self._read("time", rule.time, lambda value: time_of(value, self.settings))
        if isinstance(at, Rejected):
            return at
        about = {} if rule.voids else self._people_and_data()
        if isinstance(about, Rejected):
            return about
        one = activity_of(AppliedStatement.model_construct(rule=rule.name, id=native, time=at, **about), rule)
        return one if isinstance(one, Rejected) else (one,)

    def _people_and_data(self) -> dict[str, Any] | Rejected:
        """Evaluate the people, the relationship and the data."""
        rule = self.rule
        by = self._read("by", rule.by, self._people)
        if isinstance(by, Rejected):
            return by
        people = self._read("people", rule.people, self._people)
        if isinstance(people, Rejected):
            return people
        relationship = self._read("relationship", rule.relationship, text_of)
        if isinstance(relationship, Rejected):
            return relationship
        if len(by) > 1 or (rule.by and not by):
            return rejected("invalid", "by", f"must give one person, not {len(by)}")
        if not (by or people or relationship):
            return rejected("invalid", "relationship" if rule.relationship else "people", "gives nobody")
        if rule.relationship and not (relationship or rule.people):
            # The person may have a second relationship that is not in the roster yet: their only one is no safe guess.
            return rejected("invalid", "relationship", "gives nothing, and the rule takes the subject from it")
        given = data_of(rule.data, self.scope)
        data = given if isinstance(given, Rejected) else normalise_data(str(rule.type), given, self._moment)
        if isinstance(data, Rejected):
            return within("data", data)
        return {"by": by[0] if by else None, "people": people, "relationship": visible(relationship), "data": data}

    def _moment(self, value: object) -> datetime | Rejected:
        """Parse a time with an offset as it is; parse any other by the settings."""
        try:
            return ZONED.validate_python(value)
        except ValidationError:
            return time_of(value, self.settings)

    def _people(self, value: object) -> tuple[Person, ...] | Rejected:
        return people_of(value, self.settings)

    def _read(
        self, member: str, expression: Compiled | None, read: Callable[[object], Read | Rejected]
    ) -> Read | Rejected:
        found = expression.evaluate(self.scope) if expression else NOTHING
        value = found if isinstance(found, Rejected) else read(found.value)
        return within(member, value) if isinstance(value, Rejected) else value


def redact(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    assert isinstance(settings, MappingSettings)
    if isinstance(payload, dict) and is_applied(payload):
        return verified_record(payload, settings, pseudonym)
    return encode_result(translate(payload, settings), pseudonym)


TOOL = Tool(
    name="mapping",
    verify=verify_bearer,
    translate=translate,
    settings=MappingSettings,
    redact=redact,
    split=split,
    verify_by=verify_by,
)
