"""The base of the models of what vendors send, and their ways to write times, zones and ids."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from tzlocal.windows_tz import win_tz

from schemas.primitives import LAST_YEAR, from_micros, iana_zone, to_utc
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import (
    ADDRESS,
    ADDRESSES,
    CUT,
    ID,
    PERSON_ID,
    TIME,
    WORD,
    Leaf,
    matching,
)
from services.ingest.domain.verdict import Problem, Rejected, explain

# No zone has a longer name; what is longer would only make a long message.
LONGEST_NAME = 64
# Exchange's own name; its `tzone://Microsoft/Custom` stands for rules that it does not tell.
# Kamchatka's zone is of old calendars, and named by CLDR no more.
EXCHANGE = {"tzone://Microsoft/Utc": "UTC", "Kamchatka Standard Time": "Asia/Kamchatka"}
# A zone without daylight saving time, as iCalendar files name it.
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)


def zone_named(name: str) -> ZoneInfo:
    """In any case. The Windows names are those of Unicode's CLDR. Raises ValueError."""
    if len(name) > LONGEST_NAME:
        raise ValueError("is no time zone")
    return ZoneInfo(iana_zone(_zones().get(name.strip().casefold(), name)))


def offset_named(name: str) -> tzinfo:
    """Of a zone, or of an offset in its place: `GMT+2` is two hours east. Raises ValueError."""
    found = _OFFSET.fullmatch(name.strip())
    if found is None or name.strip().casefold() in _zones():
        return zone_named(name)
    east = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(east if found[1] == "+" else -east)


@cache
def _zones() -> Mapping[str, str]:
    """IANA's name by any of its names, without regard to case."""
    named = {**win_tz, **EXCHANGE, **{name: name for name in available_timezones()}}
    return {name.casefold(): zone for name, zone in named.items()}


def _if_known(name: str, _: Pseudonym) -> str:
    try:
        offset_named(name)
    except ValueError:
        return CUT
    return name


ZONE = Leaf("a time zone", _if_known)

# What `data.origin` holds of an id; no tool documented here has longer ones.
LONGEST_ID = 256
# Longer text is no time. It also keeps absurd numbers from costing time.
LONGEST_TIME = 64
LAST_SECOND = Decimal((LAST_YEAR + 1 - 1970) * 366 * 86_400)

# In 1973; as seconds it is beyond LAST_SECOND.
FEWEST_MILLISECONDS = 10**11

# pydantic alone would also take "1e5" for a time, as seconds since 1970.
_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)
_HOURS_ONLY = re.compile(r"[Tt ]\d\d:\d\d[\d:.,]*[+-]\d\d$", re.ASCII)
_LEAP = re.compile(r"([Tt ]\d\d:\d\d):60([.,]\d{1,9})?(?!\d)", re.ASCII)
_DURATION = re.compile(r"P[\dYMWDTHS.,]{1,63}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)

Model = TypeVar("Model", bound=BaseModel)


class VendorModel(BaseModel):
    """The part of a tool's payload that we need; everything else in it is nobody's business."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def read(model: type[Model], value: object) -> Model | Rejected:
    """`value` is parsed JSON. Rejected("invalid") names every path at fault, as in `payload.object.id`."""
    try:
        # As `model_validate` does it, which with a small model takes half of its time to ask for options.
        found: Model = model.__pydantic_validator__.validate_python(value)
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))
    return found


def blank_if_unread(model: type[Model]) -> WrapValidator:
    """Of one entry of a list, all of whose members may be missing: null, or what is no such entry, costs none of the
    others, and it is somebody, or something, of whom nothing is told."""

    def read_or_blank(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            return model()

    return WrapValidator(read_or_blank)


def none_if_unread(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """What cannot be read costs itself: it is not said."""
    try:
        return handler(value)
    except ValidationError:
        return None


def within(path: str, fault: Rejected) -> Rejected:
    """The same fault, its paths seen from a payload that holds the value at `path`."""
    errors = (Problem(".".join(filter(None, (path, error.path))), error.reason) for error in fault.errors)
    return Rejected(fault.reason, tuple(errors))


def epoch(value: object, per_second: int = 1) -> datetime:
    """A number, or a number as text, since 1970-01-01 UTC. Raises ValueError."""
    seconds = _decimal(value) / per_second
    if not 0 <= seconds <= LAST_SECOND:
        raise ValueError("must be a time after 1970 that people live to see")
    return to_utc(from_micros(int(seconds * 1_000_000)))


def signed_at(header: str) -> datetime | None:
    """The timestamp of a signature, in whole seconds since 1970; None if it is no time."""
    try:
        return epoch(header) if header.isascii() and header.isdigit() else None
    except ValueError:
        return None


def in_zone(local: datetime, zone: tzinfo) -> datetime:
    """A wall clock's time in UTC: of an hour that comes twice the first. Raises ValueError outside of 1971 to 2199."""
    return to_utc(local.replace(tzinfo=zone))


def _decimal(value: object) -> Decimal:
    text = str(value) if isinstance(value, int | float | str) else ""
    if len(text) <= LONGEST_TIME and _NUMBER.fullmatch(text):
        return Decimal(text)
    raise ValueError("must be a number of seconds or milliseconds since 1970")


def _milliseconds(value: object) -> datetime:
    """Some write seconds in their place: as milliseconds these would be in the first months of 1970."""
    return epoch(value, 1000 if abs(_decimal(value)) >= FEWEST_MILLISECONDS else 1)


def _iso_or_epoch(value: object) -> object:
    is_number = isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)
    return _milliseconds(value) if is_number else _iso_text(value)


def _iso_text(value: object) -> object:
    if isinstance(value, str) and len(value) <= LONGEST_TIME and _DATE_AND_TIME.match(value):
        # A minute that a leap second ends has 61, which clocks of computers do not know.
        known = _LEAP.sub(r"\1:59.999999", value)
        # ISO 8601 and PostgreSQL leave out minutes that are none.
        return f"{known}:00" if _HOURS_ONLY.search(known) else known
    raise ValueError("must be a date and a time as in 2026-03-01T10:00:00Z")


def _iso_duration(value: object) -> object:
    # pydantic alone would also take 5400 and "01:30:00".
    if isinstance(value, str) and len(value) <= LONGEST_TIME and value.startswith("P"):
        return value
    raise ValueError("must be an ISO 8601 duration as in PT1H30M")


def _no_text(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 (pydantic reads ValueError)
    return value


def _utc_if_bare(moment: datetime) -> datetime:
    return to_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _bare(moment: datetime) -> datetime:
    if moment.tzinfo:
        raise ValueError("must be a local time, without a zone")
    return moment


# Of an object that some leave out and some send as null or, from PHP, as an empty list:
# `result: Annotated[Result, NULL_IS_EMPTY] = Result()`.
NULL_IS_EMPTY = BeforeValidator(lambda value: {} if value in (None, []) else value)
# Of what is said by a text alone: `""` says nothing.
NONE_IF_EMPTY = BeforeValidator(lambda value: None if value == "" else value)
BLANK_IF_NULL = BeforeValidator(lambda value: "" if value is None else value)
# Of a list: what is null in it stands for nothing, and the rest is read.
WITHOUT_NULLS = BeforeValidator(
    lambda value: [one for one in value if one is not None] if isinstance(value, list) else value
)
# Ids that some send as a number and some as text are text.
AS_TEXT = BeforeValidator(lambda value: str(value) if type(value) is int else value)

# Each says what of its text is kept, see services/ingest/domain/tools/allow_list.py.
# Text that is there: an id, as text or as a whole number.
Ident = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AS_TEXT, ID]
# The same where missing, null and "" all mean that the tool does not say it: `name: MaybeIdent = ""`.
MaybeIdent = Annotated[str, Field(max_length=LONGEST_ID), AS_TEXT, BLANK_IF_NULL, ID]
# Of a person; some tools use addresses for them. Empty as above.
MaybePersonId = Annotated[str, Field(max_length=LONGEST_ID), AS_TEXT, BLANK_IF_NULL, PERSON_ID]
Address = Annotated[str, Field(min_length=1), ADDRESS]
MaybeAddress = Annotated[str, BLANK_IF_NULL, ADDRESS]
MaybeAddresses = Annotated[str, BLANK_IF_NULL, ADDRESSES]
# What kind of thing it is, in the tool's own words, which never hold a blank.
Word = Annotated[str, Field(min_length=1), WORD]
MaybeWord = Annotated[str, BLANK_IF_NULL, WORD]
# Text to compare with; empty as above. It does not say what of it is kept: no allow-list is made of it.
MaybeText = Annotated[str, BLANK_IF_NULL]
# ISO 8601 with a zone, in UTC.
Zoned = Annotated[AwareDatetime, BeforeValidator(_iso_text), AfterValidator(to_utc), TIME]
# ISO 8601, in UTC; without a zone it is UTC already.
ZonedOrUtc = Annotated[datetime, BeforeValidator(_iso_text), AfterValidator(_utc_if_bare)]
# The same where missing, null and "" all mean that the tool does not say it: `start: MaybeTime = None`.
MaybeTime = Annotated[ZonedOrUtc | None, NONE_IF_EMPTY]
# The same of a time without which the rest can be told, be it ISO 8601 or since 1970: one that cannot be read is not
# said either.
AnyMaybeTime = Annotated[
    Annotated[datetime, BeforeValidator(_iso_or_epoch), AfterValidator(_utc_if_bare)] | None,
    WrapValidator(none_if_unread),
]
# ISO 8601 without a zone: the zone stands elsewhere, see `in_zone`.
Local = Annotated[datetime, BeforeValidator(_iso_text), AfterValidator(_bare)]
# ISO 8601, with or without a zone: then it stands beside it.
AnyTime = Annotated[datetime, BeforeValidator(_iso_text)]
EpochMilliseconds = Annotated[datetime, BeforeValidator(_milliseconds)]
# ISO 8601. A year has 365 days and a month 30: the standards let both be said, and no session lasts so long.
Duration = Annotated[timedelta, BeforeValidator(_iso_duration), Leaf("a duration", matching(_DURATION))]
# As JSON has it: no text, and no bool, which Python counts among the numbers.
Number = Annotated[float, BeforeValidator(_no_text)]

DIGEST_BYTES = 16


def native_id(text: str) -> str:
    """The tool's id, or a digest of it where it is too long or might be an address."""
    if len(text) <= LONGEST_ID and "@" not in text:
        return text
    return blake2b(text.encode(errors="replace"), digest_size=DIGEST_BYTES).hexdigest()
