"""The recorded result of applying a connection's rules to a payload; the payload itself is not stored."""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.primitives import Code, to_rfc3339
from services.ingest.domain.activity import Activity, GenericActivity, Native, Person, Translation, Voided
from services.ingest.domain.ids import NoDigestKeyError, Pseudonym
from services.ingest.domain.tools.allow_list import address_in
from services.ingest.domain.verdict import Ignored, Problem, Rejected, rejected
from services.ingest.sources.mapping.settings import MappingRule, MappingSettings
from services.ingest.sources.vendor_model import Zoned, read, within
from services.ingest.sources.vocabulary import (
    MAY_BE_SHARE,
    PROGRESSED,
    may_be_share,
    member_names,
    problems,
    required_members,
    truncated_native_id,
)

# The only member of a record; no sender uses it.
APPLIED = "rapport_rules_applied"
NO_RULE = Ignored("no_rule")
# More than the largest payload can yield.
MAX_STATEMENTS = 20_000
MAX_FAULTS = 100
LONGEST_PATH, LONGEST_REASON = 512, 8192
NOT_OURS = Problem(APPLIED, "holds what no rule has made")
Text = Annotated[str, Field(max_length=512)]


class _RulePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RecordedPerson(_RulePart):
    id: Text = ""
    address: Text = ""
    participant: Text = ""


class AppliedStatement(_RulePart):
    """One activity; type and evidence are those of the rule."""

    rule: Code
    id: Annotated[Text, Field(min_length=1)]
    time: Zoned
    by: RecordedPerson | None = None
    people: Annotated[tuple[RecordedPerson, ...], Field(max_length=100)] = ()
    relationship: Text = ""
    data: Mapping[str, object] = Field(default_factory=dict)


class MappingFault(_RulePart):
    path: Text
    reason: Annotated[str, Field(max_length=LONGEST_REASON)]


class Applied(_RulePart):
    """Either `made`, empty if no rule matched, or `faults`, whose texts are ours: `seal` proves it."""

    made: Annotated[tuple[AppliedStatement, ...], Field(max_length=MAX_STATEMENTS)] = ()
    faults: Annotated[tuple[MappingFault, ...], Field(max_length=MAX_FAULTS)] = ()
    seal: Text = ""


def is_applied(payload: object) -> bool:
    return isinstance(payload, dict) and payload.keys() == {APPLIED}


def encode_result(translation: Translation, pseudonym: Pseudonym) -> Mapping[str, object]:
    """Encode the rules' result for storage."""
    if isinstance(translation, Rejected):
        return _encode_faults(translation.errors, pseudonym)
    activities = translation if isinstance(translation, tuple) else ()
    made = [_encode(one, pseudonym) for one in activities[:MAX_STATEMENTS]]
    if len(activities) > MAX_STATEMENTS:
        return _encode_faults((Problem("", f"says more than {MAX_STATEMENTS} things at once"),), pseudonym)
    return {APPLIED: {"made": made} if made else {}}


def verified_record(
    payload: Mapping[str, object], settings: MappingSettings, pseudonym: Pseudonym
) -> Mapping[str, object]:
    """Return a valid record unchanged. Somebody else may have written it: accept only content that the rules could have
    produced."""
    applied = read(Applied, payload[APPLIED])
    if isinstance(applied, Rejected):
        return _encode_faults((NOT_OURS,), pseudonym)
    if applied.faults:
        problems = tuple(Problem(fault.path, fault.reason) for fault in applied.faults)
        is_ours = bool(applied.seal) and applied.seal == _seal(problems, pseudonym)
        return _encode_faults(problems if is_ours else (NOT_OURS,), pseudonym)
    return encode_result(decode_result(payload, settings), pseudonym)


def decode_result(payload: Mapping[str, object], settings: MappingSettings) -> Translation:
    """Translate a record back into activities."""
    applied = read(Applied, payload[APPLIED])
    if isinstance(applied, Rejected):
        return Rejected("invalid", (NOT_OURS,))
    if applied.faults:
        return Rejected("invalid", tuple(Problem(fault.path, fault.reason) for fault in applied.faults))
    rules = {rule.name: rule for rule in settings.rules}
    activities: list[Activity] = []
    for index, made in enumerate(applied.made):
        rule = rules.get(made.rule)
        one = rejected("invalid", "rule", "is none of the settings") if rule is None else activity_of(made, rule)
        if isinstance(one, Rejected):
            return within(f"{APPLIED}.made.{index}", one)
        activities.append(one)
    return tuple(activities) or NO_RULE


def _encode_faults(errors: tuple[Problem, ...], pseudonym: Pseudonym) -> Mapping[str, object]:
    problems = tuple(Problem(error.path[:LONGEST_PATH], error.reason[:LONGEST_REASON]) for error in errors[:MAX_FAULTS])
    faults = [{"path": problem.path, "reason": problem.reason} for problem in problems]
    return {APPLIED: {"faults": faults, "seal": _seal(problems, pseudonym)}}


def _seal(problems: tuple[Problem, ...], pseudonym: Pseudonym) -> str:
    """A digest that only the tenant's key can produce; "" without a key, which proves nothing. The leading blank forces
    a digest, however short the rest is."""
    try:
        return pseudonym(" " + json.dumps([[problem.path, problem.reason] for problem in problems]))
    except NoDigestKeyError:
        return ""


def _encode(activity: Activity, pseudonym: Pseudonym) -> Mapping[str, object]:
    assert isinstance(activity, GenericActivity | Voided), "rules make nothing else"
    rule = activity.native.type
    made: dict[str, object] = {
        "rule": rule,
        "id": pseudonym(activity.key.removeprefix(f"{rule}:")),
        "time": to_rfc3339(activity.time),
    }
    if isinstance(activity, Voided):
        return made
    data = dict(activity.data)
    if isinstance(answered := data.get("reply_to"), str):
        # The only member of data that could be text: the id of another statement, pseudonymised like that statement's
        # own id.
        data["reply_to"] = pseudonym(answered.removeprefix(f"{rule}:"))
    if activity.by:
        made["by"] = _encode_person(activity.by, pseudonym)
    if activity.people:
        made["people"] = [_encode_person(person, pseudonym) for person in activity.people]
    if activity.relationship:
        made["relationship"] = pseudonym(activity.relationship)
    return {**made, "data": data}


def _encode_person(person: Person, pseudonym: Pseudonym) -> Mapping[str, str]:
    identifiers = {"id": person.id, "address": person.address, "participant": person.participant}
    return {name: address_in(text) or pseudonym(text) for name, text in identifiers.items() if text}


def activity_of(made: AppliedStatement, rule: MappingRule) -> Activity | Rejected:
    """Return the activity, or Rejected("invalid") if the event catalogue does not allow it."""
    key, native = f"{rule.name}:{made.id}", Native(rule.name, truncated_native_id(made.id))
    if rule.voids:
        return Voided(key, made.time, native, f"{rule.voids}:{made.id}")
    name = str(rule.type)
    if wrong := _fault_of(name, made.data):
        return within("data", wrong)
    if not (made.by or made.people or made.relationship):
        return rejected("invalid", "people", "gives nobody")
    data = dict(made.data)
    if isinstance(answered := data.get("reply_to"), str):
        # The answered message is referenced by its key.
        data["reply_to"] = f"{rule.name}:{answered}"
    return GenericActivity(
        key=key,
        time=made.time,
        native=native,
        type=name,
        data=data,
        by=_person(made.by) if made.by else None,
        people=tuple(map(_person, made.people)),
        relationship=made.relationship,
        evidence=rule.evidence,
    )


def _person(whom: RecordedPerson) -> Person:
    return Person(whom.id, whom.address, whom.participant)


def _fault_of(name: str, data: Mapping[str, object]) -> Rejected | None:
    """Check the data against the catalogue; None if it is valid."""
    if unknown := data.keys() - member_names(name):
        return rejected("invalid", "", f"{name} has fewer members: {len(unknown)} are not known in it")
    if missing := sorted(required_members(name) - data.keys()):
        return Rejected("invalid", tuple(Problem(member, f"is required in {name}") for member in missing))
    if name == PROGRESSED and may_be_share(data["percent"]):
        return rejected("invalid", "percent", MAY_BE_SHARE)
    wrong = problems(name, data)
    return Rejected("invalid", wrong) if wrong else None
