"""The scalar types of all messages: ids that cannot carry names, UTC instants, exact millionths. Also describes their
patterns in words, because a regular expression does not tell people what to write."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    WithJsonSchema,
)

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Earlier years have negative epochs and, before 1000, no four digits; the latest ones overflow when converted to UTC.
FIRST_YEAR, LAST_YEAR = 1971, 2199
_ISO = TypeAdapter(datetime).serializer.to_python


def to_utc(moment: datetime) -> datetime:
    """Raises ValueError outside of the years on which text, databases and Python's arithmetic agree."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return moment.astimezone(UTC)


def to_rfc3339(moment: datetime) -> str:
    """Format as RFC 3339 with exactly six fractional digits, so that equal instants have equal text. `moment` is
    UTC."""
    # Called several times per event: pydantic takes a third of isoformat's time, and omits a fraction of zero.
    text: str = _ISO(moment, mode="json")
    return f"{text[:26]}Z" if text[19:20] == "." else f"{text[:19]}.000000Z"


def to_micros(moment: datetime) -> int:
    """Return the whole microseconds since 1970-01-01 UTC, exactly."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


Instant = Annotated[
    AwareDatetime,
    AfterValidator(to_utc),
    PlainSerializer(to_rfc3339, return_type=str, when_used="json"),
    # JSON Schema validators need not check formats, but all check patterns: the pattern requires a UTC offset.
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": r"([Zz]|[+\-][0-9]{2}:[0-9]{2})$"}),
]


def _without_zone(at: time) -> time:
    if at.tzinfo is not None:
        raise ValueError("a time of day has no zone of its own")
    return at


TimeOfDay = Annotated[
    time,
    AfterValidator(_without_zone),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$"}),
]
"""A time of day in the time zone of the person it concerns."""

# Neither pattern allows "@" or blanks: an id or a code cannot hold an address or free text.
# "/" is excluded because tenant/relationship is the Kafka key.
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}$")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
# CloudEvents forbids control characters in all attributes; a source must not have blanks either.
EventId = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1F\x7F-\x9F]*$")]
SourceUri = Annotated[str, Field(pattern=r"^[!-~]{1,512}$")]

# Integers fit into 64 bits, in every database and every language.
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]

Side = Literal["mentor", "mentee"]
Rating = Annotated[int, Field(ge=1, le=5)]


class Message(BaseModel):
    """A message on the wire: frozen, and unknown fields are refused. Strict: `"5"` is not a number and `5` is not a
    time. Read it with `validate_json`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        populate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )


def is_empty(value: object) -> bool:
    """For `exclude_if`: a field that was added later is omitted while it is empty, since older readers refuse unknown
    fields, and would drop the whole record."""
    return not value


# Entries of the system's list that are no zones: one stands for the machine's own zone, the other for an unset one.
PSEUDO_ZONES = frozenset({"localtime", "Factory"})


def iana_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is no IANA time zone")
    return name


@cache
def _zones() -> frozenset[str]:
    # `available_timezones` walks a folder of 600 files at every call.
    return frozenset(available_timezones()) - PSEUDO_ZONES


# The longest zone name has half as many characters.
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(iana_zone)]


def _pattern(annotated: Any) -> str:  # noqa: ANN401 (an Annotated type)
    """Return the pattern of the first annotation that has one."""
    notes = [note for one in annotated.__metadata__ for note in (one, *getattr(one, "metadata", ()))]
    return next(str(note.pattern) for note in notes if getattr(note, "pattern", None))


PATTERN_WORDS: Mapping[str, str] = {
    _pattern(Id): "an id: 1 to 128 letters, digits and . _ : - , the first a letter or digit; no blank, @ or /",
    _pattern(Code): "a code: lower-case letters, digits and _ only, at most 64, the first a letter",
    _pattern(EventId): "an id without control characters",
    _pattern(SourceUri): "a URI or path of 1 to 512 visible ASCII characters, without blanks",
    r"^mentoring\.[a-z_]+\.[a-z_]+\.v[0-9]+$": "a type such as mentoring.session.held.v1",
    r"^[^@\s]+@[^@\s]+$": "an e-mail address alone: no name around it, no blank",
    r"^[0-9a-f]{64}$": "a SHA-256 in lower-case hex",
    r"([Zz]|[+\-][0-9]{2}:[0-9]{2})$": "a time with its offset: 2026-03-31T16:30:00Z or 2026-03-31T16:30:00+02:00",
}
_NAMED = re.compile(r"^String should match pattern '(?P<pattern>.*)'$", re.DOTALL)


def pattern_in_words(message: str) -> str:
    """Replace pydantic's message about a pattern by our description of it, if there is one."""
    found = _NAMED.match(message)
    words = PATTERN_WORDS.get(found["pattern"]) if found else None
    return f"must be {words}" if words else message
