"""Conversion of tools' values to the event catalogue: scales, ids, and the data of each event type."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Annotated, NamedTuple, Self, get_args

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.events import ADMIN_TYPES, OfRelationship, type_of
from schemas.payloads import OneSided, Payload
from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Activity, Person, Translation
from services.ingest.domain.ids import digest
from services.ingest.domain.tools.cells import is_missing_day
from services.ingest.domain.verdict import WORDS, Ignored, Problem, Rejected, explain, rejected
from services.ingest.sources.vendor_model import within

FEEDBACK = "mentoring.feedback.given.v1"
PROGRESSED = "mentoring.goal.progressed.v1"
# Range of `rating` in check-ins and pulses (schemas.payloads).
LOWEST, HIGHEST = 1, 5
RATED = frozenset({"mentoring.checkin.answered.v1", "mentoring.pulse.answered.v1"})
MEASURED = RATED | {FEEDBACK, PROGRESSED}
# Limit of `data.minutes`.
LONGEST_SESSION = timedelta(days=1)
Bound = Annotated[float, Field(ge=-1e9, le=1e9)]


class Parties(NamedTuple):
    """The author of an action, the other people concerned, and the relationship if the tool names it."""

    by: Person
    others: tuple[Person, ...] = ()
    relationship: str = ""


class Scale(BaseModel):
    """The lowest and the highest number that could have been chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min: Bound
    max: Bound

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must be below max")
        return self

    def contains(self, number: float) -> bool:
        return self.min <= number <= self.max

    def share(self, number: float) -> float:
        """Map the number to 0 (lowest) to 1 (highest)."""
        return (number - self.min) / (self.max - self.min)


def check_scale(number: float, scale: Scale, path: str) -> Rejected | None:
    """Return None for a number on the scale."""
    if scale.contains(number):
        return None
    return rejected("invalid", path, f"must lie on the scale from {scale.min:g} to {scale.max:g}")


MAY_BE_SHARE = "must be a percentage; less than one percent may be a share (0.4 for 40)"


def may_be_share(percent: object) -> bool:
    """Whether a percentage could also be a share, judged by its value alone."""
    return isinstance(percent, int | float) and not isinstance(percent, bool) and 0 < percent < 1


def session_data(started: datetime, lasted: timedelta | None, path: str) -> Mapping[str, object] | Rejected:
    """Return the session's start and, if known, its duration as members of `data`."""
    if lasted and not timedelta(0) < lasted <= LONGEST_SESSION:
        return rejected("invalid", path, "a session lasts longer than nothing and at most 24 hours")
    minutes = {"minutes": lasted / timedelta(minutes=1)} if lasted else {}
    return {"started_at": to_rfc3339(started), **minutes}


def to_catalogue_scale(name: str, number: float, scale: Scale) -> Mapping[str, object]:
    """Return the members of `data` for a number on `scale`, for an event type of MEASURED. Feedback keeps its own
    scale. A rating is mapped to 1 to 5 and rounded half up; progress becomes a percentage."""
    if name == FEEDBACK:
        return {"rating": number, "scale_min": scale.min, "scale_max": scale.max}
    if name == PROGRESSED:
        return {"percent": scale.share(number) * 100}
    return {"rating": int(LOWEST + scale.share(number) * (HIGHEST - LOWEST) + 0.5)}


EMPTY = Ignored("empty")


def combine(parts: Iterable[tuple[str, Translation]]) -> Translation:
    """Combine the translations of a payload's parts, given with their paths. The first rejected part rejects the
    payload; if all parts are ignored, the first reason is returned."""
    activities: list[Activity] = []
    ignored: list[Ignored] = []
    for path, part in parts:
        match part:
            case Rejected():
                return within(path, part)
            case Ignored():
                ignored.append(part)
            case tuple():
                activities += part
            case _:
                raise TypeError("a tool whose payloads have several parts sends no pointers")
    return tuple(activities) or (ignored[0] if ignored else EMPTY)


# Author and provenance are set outside the data.
ENVELOPE_MEMBERS = frozenset({"by", "evidence", "origin"})
# Retractions follow from Voided; tools cannot emit them directly.
RETRACTED = "mentoring.event.retracted.v1"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}", re.ASCII)
# Limit of `data.origin`.
LONGEST_NATIVE_ID = 256
SCALAR_TYPES = frozenset({str, int, float, date, AwareDatetime})
# A day, a midnight as JavaScript writes a day, or a day with an offset (allowed by XML Schema).
_DAY_OR_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)([Tt ]00:00(:00([.,]0{1,9})?)?)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
# Only JSON's number syntax: 007 and 1,5 are ambiguous.
_NUMBER_TEXT = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?", re.ASCII)
# Low enough that `session.held` finds `mentoring.session.held.v1`.
SIMILARITY_CUTOFF = 0.5


def validate_type(name: str) -> str:
    if name in _payloads():
        return name
    close = get_close_matches(name[:100], _payloads(), cutoff=SIMILARITY_CUTOFF)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"there is no type {name!r} that a tool may send{hint}")


ToolEventType = Annotated[str, AfterValidator(validate_type)]


# Cached: every event is checked against these, and the number of types is fixed.
@cache
def member_names(name: str) -> frozenset[str]:
    """Return all member names that the data of this type may have."""
    return frozenset(_fields(name)) - ENVELOPE_MEMBERS


@cache
def required_members(name: str) -> frozenset[str]:
    return frozenset(field for field, is_required in _fields(name).items() if is_required) - ENVELOPE_MEMBERS


def is_one_sided(name: str) -> bool:
    return issubclass(_payloads()[name], OneSided)


def check_members(name: str, given: Collection[str], derived: Iterable[str] = ()) -> None:
    """Raise ValueError unless `given` and `derived` (members that the tool's record provides) form valid data of this
    type."""
    if unknown := sorted(set(given) - member_names(name)):
        existing = ", ".join(sorted(member_names(name))) or "no members"
        raise ValueError(f"data.{unknown[0]} is not known in {name}: it has {existing}")
    if missing := sorted(required_members(name) - set(given) - set(derived)):
        raise ValueError(f"data.{missing[0]} is required in {name}")


def normalise_data(
    name: str, data: Mapping[str, object], time_of: Callable[[object], datetime | Rejected]
) -> Mapping[str, object] | Rejected:
    """Convert the data to the types of this event type: parse times with `time_of`, turn a midnight into its day, and
    turn integers into text for ids (databases number their rows). Empty optional members are dropped."""
    normalised: dict[str, object] = {}
    for member, value in data.items():
        kind = _scalar_types(name).get(member)
        if kind is AwareDatetime and value != "":
            at = time_of(value)
            if isinstance(at, Rejected):
                return within(member, at)
            normalised[member] = to_rfc3339(at)
        elif kind is date:
            normalised[member] = _normalise_day(value)
        else:
            normalised[member] = _normalise_text(value) if kind is str else value
    return {member: value for member, value in normalised.items() if value != "" or member in required_members(name)}


def parse_numbers(name: str, data: Mapping[str, object]) -> Mapping[str, object]:
    """Parse the members that are numbers in this event type. For sources that send text only."""
    numbers = {member for member, kind in _scalar_types(name).items() if kind in (int, float)}
    return {member: _parse_number(value) if member in numbers else value for member, value in data.items()}


def problems(name: str, data: Mapping[str, object]) -> tuple[Problem, ...]:
    """Return the faults of an event's data, each with its path; empty if it is valid."""
    try:
        # The side of the author (`by`) is resolved later; this check accepts any.
        _payloads()[name].model_validate_json(json.dumps({**data, "by": "mentor"}))
    except ValidationError as invalid:
        # The sender chose the name of an unknown member, and it may be personal text: report only its parent's path.
        return tuple(
            Problem(one.path.rpartition(".")[0], "holds a member that is not known here")
            if one.reason == WORDS["extra_forbidden"]
            else one
            for one in explain(invalid)
        )
    except (RecursionError, TypeError, ValueError):
        return (Problem("", "holds what cannot be written as JSON"),)
    return ()


def as_id(text: str) -> str:
    """Return the text if it is a valid id, otherwise a digest: no address and no free text becomes an id."""
    return text if ID.fullmatch(text) else digest("native", text)


def truncated_native_id(text: str) -> str:
    """Return the tool's own id, or its digest if it may be an address."""
    return digest("native", text) if "@" in text else text[:LONGEST_NATIVE_ID]


@cache
def _payloads() -> Mapping[str, type[Payload]]:
    found = {type_of(model): model.model_fields["data"].annotation for model in get_args(OfRelationship)}
    excluded = ADMIN_TYPES | {RETRACTED}
    return {name: data for name, data in found.items() if name not in excluded}


@cache
def _scalar_types(name: str) -> Mapping[str, object]:
    """Map each member that holds text, a number, a day or a time, or a list of these, to that type."""
    fields = _payloads()[name].model_fields.items()
    kinds = {field.alias or attribute: _type_arguments(field.annotation) & SCALAR_TYPES for attribute, field in fields}
    return {member: kind for member, found in kinds.items() for kind in found}


def _type_arguments(annotation: object) -> frozenset[object]:
    return frozenset({annotation}).union(*map(_type_arguments, get_args(annotation)))


def _parse_number(value: object) -> object:
    is_number = isinstance(value, str) and _NUMBER_TEXT.fullmatch(value.strip())
    return json.loads(str(value)) if is_number else value


def _normalise_day(value: object) -> object:
    """Return "" for a placeholder of a missing day; return anything that is no day as it is."""
    if not isinstance(value, str):
        return value
    found = _DAY_OR_MIDNIGHT.fullmatch(value.strip())
    day = found[1] if found else value.strip()
    return "" if is_missing_day(day) else day if found else value


def _normalise_text(value: object) -> object:
    if isinstance(value, list):
        return [_normalise_text(one) for one in value]
    return str(value) if type(value) is int else value


def _fields(name: str) -> Mapping[str, bool]:
    """Map each wire name to whether the field is required."""
    fields = _payloads()[name].model_fields.items()
    return {field.alias or attribute: field.is_required() for attribute, field in fields}
