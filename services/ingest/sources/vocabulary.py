"""What tools' numbers and words become: scales, ids, and the data of known types of events."""

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
from services.ingest.domain.verdict import WORDS, Ignored, Problem, Rejected, explain, rejected
from services.ingest.sources.vendor_model import within

FEEDBACK = "mentoring.feedback.given.v1"
PROGRESSED = "mentoring.goal.progressed.v1"
# Of `rating` in check-ins and pulses (schemas.payloads).
LOWEST, HIGHEST = 1, 5
RATED = frozenset({"mentoring.checkin.answered.v1", "mentoring.pulse.answered.v1"})
MEASURED = RATED | {FEEDBACK, PROGRESSED}
# Of `data.minutes`.
LONGEST_SESSION = timedelta(days=1)
Bound = Annotated[float, Field(ge=-1e9, le=1e9)]


class Circle(NamedTuple):
    """Who says or does something, whom else it concerns, and in which relationship, where that is said."""

    by: Person
    others: tuple[Person, ...] = ()
    relationship: str = ""


class Scale(BaseModel):
    """From the lowest to the highest number that could have been chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min: Bound
    max: Bound

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must be below max")
        return self

    def holds(self, number: float) -> bool:
        return self.min <= number <= self.max

    def share(self, number: float) -> float:
        """From 0 at the lowest to 1 at the highest."""
        return (number - self.min) / (self.max - self.min)


def off_scale(number: float, scale: Scale, path: str) -> Rejected | None:
    """None for a number that lies on it."""
    if scale.holds(number):
        return None
    return rejected("invalid", path, f"must lie on the scale from {scale.min:g} to {scale.max:g}")


MAY_BE_SHARE = "must be a percentage; less than one percent may be a share (0.4 for 40)"


def may_be_share(percent: object) -> bool:
    """Of a percentage that nothing but itself tells of."""
    return isinstance(percent, int | float) and not isinstance(percent, bool) and 0 < percent < 1


def session_data(started: datetime, lasted: timedelta | None, path: str) -> Mapping[str, object] | Rejected:
    """When a session began and, where that is said, how long it lasted, as members of its data."""
    if lasted and not timedelta(0) < lasted <= LONGEST_SESSION:
        return rejected("invalid", path, "a session lasts longer than nothing and at most 24 hours")
    minutes = {"minutes": lasted / timedelta(minutes=1)} if lasted else {}
    return {"started_at": to_rfc3339(started), **minutes}


def on_our_scale(name: str, number: float, scale: Scale) -> Mapping[str, object]:
    """The members of data that a number on `scale` stands for in an event of a type of MEASURED. Feedback keeps its
    scale. A rating is stretched to 1 to 5 and rounded, half up; progress becomes a percentage."""
    if name == FEEDBACK:
        return {"rating": number, "scale_min": scale.min, "scale_max": scale.max}
    if name == PROGRESSED:
        return {"percent": scale.share(number) * 100}
    return {"rating": int(LOWEST + scale.share(number) * (HIGHEST - LOWEST) + 0.5)}


EMPTY = Ignored("empty")


def as_one(parts: Iterable[tuple[str, Translation]]) -> Translation:
    """`parts` are translations and their paths. The first that is at fault rejects the whole; if none says anything,
    the first reason stands for all."""
    said: list[Activity] = []
    ignored: list[Ignored] = []
    for path, part in parts:
        match part:
            case Rejected():
                return within(path, part)
            case Ignored():
                ignored.append(part)
            case tuple():
                said += part
            case _:
                raise TypeError("no tool that sends several things sends pointers")
    return tuple(said) or (ignored[0] if ignored else EMPTY)


# Whom it is about and how we know it is said beside the data, not in it.
NOT_SAID = frozenset({"by", "evidence", "origin"})
# Retractions follow from what a tool voids; ours are nobody's to say.
RETRACTED = "mentoring.event.retracted.v1"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}", re.ASCII)
# Of `data.origin`.
LONGEST_NATIVE_ID = 256
KINDS = frozenset({str, int, float, date, AwareDatetime})
# A day, also as JavaScript writes one, or with the offset that XML Schema lets a day have.
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)([Tt ]00:00(:00([.,]0{1,9})?)?)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
NO_DAY = "0000-00-00"
# As JSON has it: in 007 and 1,5 nobody knows what is meant.
_IN_QUOTES = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?", re.ASCII)
# Low enough that `session.held` finds `mentoring.session.held.v1`.
LIKENESS = 0.5


def known_type(name: str) -> str:
    if name in _payloads():
        return name
    close = get_close_matches(name[:100], _payloads(), cutoff=LIKENESS)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"there is no type {name!r} that a tool may say{hint}")


SayableType = Annotated[str, AfterValidator(known_type)]


# Every event is checked by these, and there are as many as types.
@cache
def members(name: str) -> frozenset[str]:
    """All that the data of this type may hold."""
    return frozenset(_fields(name)) - NOT_SAID


@cache
def required(name: str) -> frozenset[str]:
    return frozenset(field for field, is_required in _fields(name).items() if is_required) - NOT_SAID


def is_one_sided(name: str) -> bool:
    return issubclass(_payloads()[name], OneSided)


def check_members(name: str, given: Collection[str], derived: Iterable[str] = ()) -> None:
    """Raises ValueError unless `given`, with what the tool itself says, is data of this type."""
    if unknown := sorted(set(given) - members(name)):
        known = ", ".join(sorted(members(name))) or "no members"
        raise ValueError(f"data.{unknown[0]} is not known in {name}: it has {known}")
    if missing := sorted(required(name) - set(given) - set(derived)):
        raise ValueError(f"data.{missing[0]} is required in {name}")


def as_meant(
    name: str, data: Mapping[str, object], time_of: Callable[[object], datetime | Rejected]
) -> Mapping[str, object] | Rejected:
    """The same data as the type has it: times as `time_of` reads them, midnights as the days that they begin, and
    whole numbers as text where it has an id, for databases count. What may be missing, and is empty, is missing."""
    meant: dict[str, object] = {}
    for member, value in data.items():
        kind = _kinds(name).get(member)
        if kind is AwareDatetime and value != "":
            at = time_of(value)
            if isinstance(at, Rejected):
                return within(member, at)
            meant[member] = to_rfc3339(at)
        elif kind is date:
            meant[member] = _as_day(value)
        else:
            meant[member] = _as_text(value) if kind is str else value
    return {member: value for member, value in meant.items() if value != "" or member in required(name)}


def with_numbers(name: str, data: Mapping[str, object]) -> Mapping[str, object]:
    """The same data, from where there is nothing but text, with numbers where the type has them."""
    numbers = {member for member, kind in _kinds(name).items() if kind in (int, float)}
    return {member: _as_number(value) if member in numbers else value for member, value in data.items()}


def problems(name: str, data: Mapping[str, object]) -> tuple[Problem, ...]:
    """What is wrong with the data of an event, each with its path in it; empty if nothing is."""
    try:
        # Which side speaks is found out later, and any will do here.
        _payloads()[name].model_validate_json(json.dumps({**data, "by": "mentor"}))
    except ValidationError as invalid:
        # A member that nobody knows is named by whoever sent it, in any words: only where it stands is told.
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
    """The text itself where it is an id, else a digest: neither an address nor free text becomes one."""
    return text if ID.fullmatch(text) else digest("native", text)


def native_id(text: str) -> str:
    """As the tool calls it, unless that could be an address."""
    return digest("native", text) if "@" in text else text[:LONGEST_NATIVE_ID]


@cache
def _payloads() -> Mapping[str, type[Payload]]:
    found = {type_of(model): model.model_fields["data"].annotation for model in get_args(OfRelationship)}
    closed = ADMIN_TYPES | {RETRACTED}
    return {name: data for name, data in found.items() if name not in closed}


@cache
def _kinds(name: str) -> Mapping[str, object]:
    """Of the members that are text, numbers, days or times, or lists of them."""
    fields = _payloads()[name].model_fields.items()
    kinds = {field.alias or attribute: _parts(field.annotation) & KINDS for attribute, field in fields}
    return {member: kind for member, found in kinds.items() for kind in found}


def _parts(annotation: object) -> frozenset[object]:
    return frozenset({annotation}).union(*map(_parts, get_args(annotation)))


def _as_number(value: object) -> object:
    is_one = isinstance(value, str) and _IN_QUOTES.fullmatch(value.strip())
    return json.loads(str(value)) if is_one else value


def _as_day(value: object) -> object:
    """Empty where there is none."""
    found = _MIDNIGHT.fullmatch(value.strip()) if isinstance(value, str) else None
    return value if found is None else "" if found[1] == NO_DAY else found[1]


def _as_text(value: object) -> object:
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return str(value) if type(value) is int else value


def _fields(name: str) -> Mapping[str, bool]:
    """Whether each is required, by the name that stands on the wire."""
    fields = _payloads()[name].model_fields.items()
    return {field.alias or attribute: field.is_required() for attribute, field in fields}
