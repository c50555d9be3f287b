"""Base class and field types of vendor payload models: the vendors' formats of times, zones and ids."""

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
from services.ingest.domain.cloudevents import standard_time
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

# No zone has a longer name; longer input would only bloat the error message.
LONGEST_NAME = 64
# Exchange's own name; its `tzone://Microsoft/Custom` stands for rules that the payload does not contain. CLDR no longer
# lists the Kamchatka zone of old calendars.
EXCHANGE_ZONES = {"tzone://Microsoft/Utc": "UTC", "Kamchatka Standard Time": "Asia/Kamchatka"}
# A fixed offset, as iCalendar files name it.
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)


def find_zone(name: str) -> ZoneInfo:
    """Return the zone with this IANA or Windows name (from Unicode's CLDR), in any case. Raises ValueError."""
    if len(name) > LONGEST_NAME:
        raise ValueError("is no time zone")
    return ZoneInfo(iana_zone(_zones().get(name.strip().casefold(), name)))


def zone_or_offset(name: str) -> tzinfo:
    """Return the zone with this name, or a fixed offset: `GMT+2` is two hours east. Raises ValueError."""
    found = _OFFSET.fullmatch(name.strip())
    if found is None or name.strip().casefold() in _zones():
        return find_zone(name)
    east = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(east if found[1] == "+" else -east)


@cache
def _zones() -> Mapping[str, str]:
    """IANA names by every alias, case-folded."""
    named = {**win_tz, **EXCHANGE_ZONES, **{name: name for name in available_timezones()}}
    return {name.casefold(): zone for name, zone in named.items()}


def _redact_zone(name: str, _: Pseudonym) -> str:
    try:
        zone_or_offset(name)
    except ValueError:
        return CUT
    return name


ZONE = Leaf("a time zone", _redact_zone)

# Limit of `data.origin`; no tool documented here has longer ids.
LONGEST_ID = 256
# Longer text is no time. The limit also bounds the cost of parsing absurd numbers.
LONGEST_TIME = 64
LAST_SECOND = Decimal((LAST_YEAR + 1 - 1970) * 366 * 86_400)

# In 1973; read as seconds it is beyond LAST_SECOND.
FEWEST_MILLISECONDS = 10**11

# pydantic alone would also accept "1e5" as seconds since 1970.
_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)
_DURATION = re.compile(r"P[\dYMWDTHS.,]{1,63}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)

Model = TypeVar("Model", bound=BaseModel)


class VendorModel(BaseModel):
    """The part of a tool's payload that we need; all other members are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def read(model: type[Model], value: object) -> Model | Rejected:
    """Validate parsed JSON. Rejected("invalid") names every faulty path, such as `payload.object.id`."""
    try:
        # What `model_validate` does; for a small model, half of that function's time is option handling.
        found: Model = model.__pydantic_validator__.validate_python(value)
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))
    return found


def blank_if_invalid(model: type[Model]) -> WrapValidator:
    """For an entry of a list whose members are all optional: null or an unreadable entry becomes an empty model and
    does not reject the rest of the list."""

    def read_or_blank(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            return model()

    return WrapValidator(read_or_blank)


def none_if_invalid(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """Turn a value that cannot be read into None, without rejecting the payload."""
    try:
        return handler(value)
    except ValidationError:
        return None


def within(path: str, fault: Rejected) -> Rejected:
    """Return the same fault with its paths prefixed by `path`."""
    errors = (Problem(".".join(filter(None, (path, error.path))), error.reason) for error in fault.errors)
    return Rejected(fault.reason, tuple(errors))


def epoch(value: object, per_second: int = 1) -> datetime:
    """Parse a number, or a number as text, since 1970-01-01 UTC. Raises ValueError."""
    seconds = _decimal(value) / per_second
    if not 0 <= seconds <= LAST_SECOND:
        raise ValueError("must be a time after 1970 that people live to see")
    return to_utc(from_micros(int(seconds * 1_000_000)))


def in_zone(local: datetime, zone: tzinfo) -> datetime:
    """Convert local time to UTC, an ambiguous hour to its first occurrence. Raises ValueError outside of 1971 to
    2199."""
    return to_utc(local.replace(tzinfo=zone))


def _decimal(value: object) -> Decimal:
    text = str(value) if isinstance(value, int | float | str) else ""
    if len(text) <= LONGEST_TIME and _NUMBER.fullmatch(text):
        return Decimal(text)
    raise ValueError("must be a number of seconds or milliseconds since 1970")


def _milliseconds(value: object) -> datetime:
    """Some senders write seconds instead: read as milliseconds, those would fall into the first months of 1970."""
    return epoch(value, 1000 if abs(_decimal(value)) >= FEWEST_MILLISECONDS else 1)


def _iso_or_epoch(value: object) -> object:
    is_number = isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)
    return _milliseconds(value) if is_number else _iso_text(value)


def _iso_text(value: object) -> object:
    if isinstance(value, str) and len(value) <= LONGEST_TIME and _DATE_AND_TIME.match(value):
        return standard_time(value)
    raise ValueError("must be a date and a time as in 2026-03-01T10:00:00Z")


def _iso_duration(value: object) -> object:
    # pydantic alone would also accept 5400 and "01:30:00".
    if isinstance(value, str) and len(value) <= LONGEST_TIME and value.startswith("P"):
        return value
    raise ValueError("must be an ISO 8601 duration as in PT1H30M")


def _reject_text(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 (pydantic reads ValueError)
    return value


def _utc_if_naive(moment: datetime) -> datetime:
    return to_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _require_naive(moment: datetime) -> datetime:
    if moment.tzinfo:
        raise ValueError("must be a local time, without a zone")
    return moment


# For an object that some senders omit and others send as null or, from PHP, as an empty list: `result:
# Annotated[Result, NULL_IS_EMPTY] = Result()`.
NULL_IS_EMPTY = BeforeValidator(lambda value: {} if value in (None, []) else value)
# For text where `""` means absent.
NONE_IF_EMPTY = BeforeValidator(lambda value: None if value == "" else value)
BLANK_IF_NULL = BeforeValidator(lambda value: "" if value is None else value)
# For a list: drop null entries and read the rest.
WITHOUT_NULLS = BeforeValidator(
    lambda value: [one for one in value if one is not None] if isinstance(value, list) else value
)
# Some senders write ids as numbers and some as text.
AS_TEXT = BeforeValidator(lambda value: str(value) if type(value) is int else value)

# Each type names what of its text is stored, see services/ingest/domain/tools/allow_list.py. Ident is a required id, as
# text or as a whole number.
Ident = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AS_TEXT, ID]
# An optional id where missing, null and "" all mean absent: `name: MaybeIdent = ""`.
MaybeIdent = Annotated[str, Field(max_length=LONGEST_ID), AS_TEXT, BLANK_IF_NULL, ID]
# An optional id of a person; some tools use addresses.
MaybePersonId = Annotated[str, Field(max_length=LONGEST_ID), AS_TEXT, BLANK_IF_NULL, PERSON_ID]
Address = Annotated[str, Field(min_length=1), ADDRESS]
MaybeAddress = Annotated[str, BLANK_IF_NULL, ADDRESS]
MaybeAddresses = Annotated[str, BLANK_IF_NULL, ADDRESSES]
# A kind or type in the tool's own terms, which never contain blanks.
Word = Annotated[str, Field(min_length=1), WORD]
MaybeWord = Annotated[str, BLANK_IF_NULL, WORD]
# Optional text to compare with. It has no leaf, so no allow-list can be made of it.
MaybeText = Annotated[str, BLANK_IF_NULL]
# ISO 8601 with a zone, in UTC.
Zoned = Annotated[AwareDatetime, BeforeValidator(_iso_text), AfterValidator(to_utc), TIME]
# ISO 8601, in UTC; without a zone it is taken as UTC.
ZonedOrUtc = Annotated[datetime, BeforeValidator(_iso_text), AfterValidator(_utc_if_naive)]
# An optional time where missing, null and "" all mean absent: `start: MaybeTime = None`.
MaybeTime = Annotated[ZonedOrUtc | None, NONE_IF_EMPTY]
# An optional time as ISO 8601 or since 1970, for events that are usable without it: an unreadable time counts as
# absent.
AnyMaybeTime = Annotated[
    Annotated[datetime, BeforeValidator(_iso_or_epoch), AfterValidator(_utc_if_naive)] | None,
    WrapValidator(none_if_invalid),
]
# ISO 8601 without a zone; the zone is in another member, see `in_zone`.
Local = Annotated[datetime, BeforeValidator(_iso_text), AfterValidator(_require_naive)]
# ISO 8601, with or without a zone; if it has none, the zone is in another member.
AnyTime = Annotated[datetime, BeforeValidator(_iso_text)]
EpochMilliseconds = Annotated[datetime, BeforeValidator(_milliseconds)]
# ISO 8601. A year counts 365 days and a month 30: the standard allows both units, and no session lasts that long.
Duration = Annotated[timedelta, BeforeValidator(_iso_duration), Leaf("a duration", matching(_DURATION))]
# A JSON number: no text, and no bool, which Python counts among the numbers.
Number = Annotated[float, BeforeValidator(_reject_text)]

DIGEST_BYTES = 16


def native_id_or_digest(text: str) -> str:
    """Return the tool's id, or a digest of it where it is too long or might be an address."""
    if len(text) <= LONGEST_ID and "@" not in text:
        return text
    return blake2b(text.encode(errors="replace"), digest_size=DIGEST_BYTES).hexdigest()
