"""CloudEvents on the wire: strict JSON, content types, and attributes in headers."""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.ingest.domain.verdict import Problem, Rejected, rejected

LONGEST_NAME_SHOWN = 80
# A member such as `"at":1234,` has some ten bytes. Parsing a mebibyte of `[],[],[]` takes 160 ms in one piece, during
# which no other thread runs; no valid event is so dense.
BYTES_PER_VALUE = 8
# Small texts may be as dense as they like: parsing so many values takes a millisecond.
FREE_VALUES = 10_000

_MEMBER = re.compile(r"[A-Za-z0-9_.$-]{1,64}")


@dataclass(frozen=True)
class Parsed:
    value: object


def read_json(raw: bytes) -> Parsed | Rejected:
    """One JSON value, or Rejected("malformed") with the position of the fault. Takes time linear in the length."""
    if is_too_dense(raw):
        return _malformed(
            f"holds more than one value for {BYTES_PER_VALUE} bytes: this is no text that describes anything"
        )
    try:
        # RFC 8259 8.1: a byte order mark must not be written, and a reader may ignore it.
        text = raw.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_unique_names, parse_constant=_no_number, parse_float=_finite_number)
        if "\\u" in text:
            _check_surrogates(value)
    except UnicodeDecodeError as broken:
        return _malformed(f"is not UTF-8: {broken.reason} at byte {broken.start}")
    except RecursionError:
        return _malformed("is nested too deeply")
    except _QuotingError as broken:
        return rejected("malformed", "", f"is not valid JSON: {broken}", f"is not valid JSON: {broken.stored}")
    except ValueError as broken:
        return _malformed(f"is not valid JSON: {str(broken).partition(';')[0]}")
    return Parsed(value)


class _QuotingError(ValueError):
    """`stored`: the message without a quotation of the sender."""

    def __init__(self, words: str, stored: str) -> None:
        super().__init__(words)
        self.stored = stored


def _malformed(words: str) -> Rejected:
    return rejected("malformed", "", words)


def is_too_dense(raw: bytes) -> bool:
    """Checked before parsing, by counting commas and closing brackets. Brackets that are never closed are not counted:
    parsing ends where they are nested too deeply."""
    allowed = FREE_VALUES + len(raw) // BYTES_PER_VALUE
    # No text has more values than bytes.
    return len(raw) > FREE_VALUES and len(raw) - len(raw.translate(None, b",]}")) > allowed


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _QuotingError(
            f"the name {twice[:LONGEST_NAME_SHOWN]!r} appears twice in one object", "a name appears twice in one object"
        )
    return members


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _finite_number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _QuotingError(f"{text[:LONGEST_NAME_SHOWN]} is too large a number", "a number is too large")
    return number


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as half:
        raise ValueError("it holds half a character (a lone surrogate)") from half


STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
# JSON is exchanged in UTF-8 (RFC 8259), which includes ASCII.
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
# A longer value is no content type, and parsing it costs time.
LONGEST = 1_000
# A parameter as in RFC 9110, 5.6.6: its value is a token or a quoted string. It matches after a semicolon only, and no
# two alternatives have a common beginning, so that no text takes long to match.
WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
PARAMETER = re.compile(rf"""(?:^|;)\s*({WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))""", re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MediaType(NamedTuple):
    """Both in lower case; `name` is empty if there is no readable one."""

    name: str
    charset: str

    @property
    def is_json(self) -> bool:
        """As CloudEvents define it: `*/json` or `*/*+json`."""
        return self.name.endswith(("/json", "+json")) and self.charset in CHARSETS


def read_media_type(content_type: str) -> MediaType:
    """Never raises. Parameters that are not in the form of RFC 9110 are ignored, including other forms of `charset`."""
    name, _, parameters = content_type[:LONGEST].partition(";")
    name, charset = name.strip().lower(), ""
    if parameters:
        # The first one counts. A quoted value may contain separators.
        charsets = (found for found in PARAMETER.findall(parameters) if found[0].lower() == "charset")
        _, quoted, token = next(charsets, ("", "", ""))
        charset = (ESCAPED.sub(r"\1", quoted) or token).strip().lower()
    return MediaType(name, charset or "utf-8")


ENCODED = "data_base64"


def normal_form(event: Mapping[str, object]) -> Mapping[str, object] | Rejected:
    """A null member is unset. The content type of any JSON (`text/json`, `application/vnd.acme+json; charset=utf-8`)
    becomes `application/json`. Data of another type stay as they are, and validation of the event refuses them. Leap
    seconds (RFC 3339) and offsets without minutes (ISO 8601) are rewritten in the form that the schemas accept."""
    members = dict(event)
    if None in members.values():
        members = {name: value for name, value in event.items() if value is not None}
    declared = members.get("datacontenttype", JSON)
    if declared == JSON or (isinstance(declared, str) and read_media_type(declared).is_json):
        if "datacontenttype" in members:
            members["datacontenttype"] = JSON
        if ENCODED in members and (refused := _decode_data(members)):
            return refused
    rewritten = _rewritten_times(members, TIMES[:1])
    data = members.get("data")
    if isinstance(data, dict) and (in_data := _rewritten_times(data, TIMES)):
        rewritten["data"] = {**data, **in_data}
    return {**members, **rewritten} if rewritten else members


# The first is the only one of the envelope; the data of some type has each of them.
TIMES = ("time", "started_at", "starts_at", "ends_at", "from", "until")
_LEAP_SECOND = re.compile(r"([Tt ]\d\d:\d\d):60([.,]\d{1,9})?(?!\d)", re.ASCII)
_HOUR_OFFSET = re.compile(r"[Tt ]\d\d:\d\d[\d:.,]*[+-]\d\d$", re.ASCII)


def standard_time(text: str) -> str:
    """A date and time in the form that datetime and pydantic read; any other text as it is, or as invalid as before."""
    # A minute with a leap second has second 60, which datetime cannot hold.
    time = _LEAP_SECOND.sub(r"\1:59.999999", text)
    # ISO 8601 and PostgreSQL leave out the minutes of an offset if they are zero.
    return f"{time}:00" if _HOUR_OFFSET.search(time) else time


def _rewritten_times(members: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    """The times among them that need another form, which nearly no event has: this is on the hot path of each."""
    rewritten: dict[str, object] = {}
    for name in names:
        if name not in members:
            continue
        written = members[name]
        # RFC 3339 separates fractions by a point alone.
        if isinstance(written, str) and (written[-3:-2] in {"+", "-"} or ":60" in written) and "," not in written:
            rewritten[name] = standard_time(written)
    return rewritten


def _decode_data(members: dict[str, object]) -> Rejected | None:
    """Puts the data in the place of their encoded form."""
    if "data" in members:
        return rejected("invalid", ENCODED, "data is there too; an event has one of them")
    encoded = members.pop(ENCODED)
    if not isinstance(encoded, str):
        return rejected("invalid", ENCODED, "is no text")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return rejected("invalid", ENCODED, "is no base64")
    data = read_json(raw)
    if isinstance(data, Rejected):
        return Rejected(
            "invalid",
            tuple(
                Problem(ENCODED, f"decoded, it {error.reason}", f"decoded, it {error.stored or error.reason}")
                for error in data.errors
            ),
        )
    members["data"] = data.value
    return None


# These are no headers in binary mode: they are the body and its content type.
NO_HEADER = frozenset({"", "data", "datacontenttype", ENCODED})
LONGEST_HEADER_SHOWN = 80


def read_attributes(headers: Iterable[tuple[str, bytes]], prefix: str) -> Mapping[str, object] | Rejected:
    """The attributes in the headers with this prefix. Header names are in lower case, values in UTF-8. Other headers
    are ignored, and the names of attributes are not validated here."""
    found: dict[str, object] = {}
    for header, value in headers:
        if not header.startswith(prefix):
            continue
        name, shown = header.removeprefix(prefix), header[:LONGEST_HEADER_SHOWN]
        if name in found:
            return rejected("malformed", shown, "is there twice")
        if name in NO_HEADER:
            return rejected("malformed", shown, "is no attribute of a CloudEvent in binary mode")
        try:
            found[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            return rejected("malformed", shown, "is not UTF-8")
    return found


def read_binary(attributes: Mapping[str, object], content_type: str | None, body: bytes) -> Parsed | Rejected:
    """The event in structured form. Without a content type the data are JSON, as all of ours are."""
    data = read_json(body)
    if isinstance(data, Rejected):
        return Rejected(data.reason, tuple(Problem("data", error.reason, error.stored) for error in data.errors))
    declared: dict[str, object] = {} if content_type is None else {"datacontenttype": content_type}
    return Parsed({**attributes, **declared, "data": data.value})


CONTENT_TYPE = "content-type"
PREFIX = "ce_"
LONGEST_SHOWN = 200


def read_record(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Parsed | Rejected:
    """One event in structured form, not yet admitted. Header names are case-insensitive, as in the official SDKs. JSON
    without any `ce_` header is an event in structured mode whose sender has not set its content type."""
    # A header without a value is unset, as a null attribute is.
    present = [(name.lower(), content) for name, content in headers if content is not None]
    content_type = _content_type(present)
    attributes = read_attributes(present, PREFIX)
    if isinstance(content_type, Rejected):
        return content_type
    if value is None:
        return rejected("malformed", "", "a record without a value (a tombstone) is no event")
    declared = JSON if content_type is None else content_type
    media = read_media_type(declared)
    if media.name.startswith("application/cloudevents"):
        # In structured mode, attributes may be repeated in headers, which are ignored.
        return read_json(value) if media.name == STRUCTURED and media.is_json else _unsupported(declared)
    if isinstance(attributes, Rejected):
        return attributes
    if not media.is_json:
        return _unsupported(declared)
    return read_binary(attributes, content_type, value) if attributes else read_json(value)


def _content_type(headers: list[tuple[str, bytes]]) -> str | Rejected | None:
    found = [value for name, value in headers if name == CONTENT_TYPE]
    if len(found) > 1:
        return rejected("malformed", CONTENT_TYPE, "is there twice")
    try:
        return found[0].decode("utf-8") if found else None
    except UnicodeDecodeError:
        return rejected("malformed", CONTENT_TYPE, "is not UTF-8")


def _unsupported(content_type: str) -> Rejected:
    words = f"is {content_type[:LONGEST_SHOWN]!r}; send {STRUCTURED}, or {JSON} with the attributes in ce_ headers"
    stored = f"is none that is read; send {STRUCTURED}, or {JSON} with the attributes in ce_ headers, both in UTF-8"
    return rejected("malformed", CONTENT_TYPE, f"{words}, both in UTF-8", stored)
