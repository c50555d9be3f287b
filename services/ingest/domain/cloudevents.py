"""CloudEvents on the wire: JSON without its traps, what a content type announces, and attributes read from headers."""

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
# A member such as `"at":1234,` has some ten bytes. Reading a mebibyte of `[],[],[]` takes 160 ms in one piece, during
# which no other thread runs; what is this dense describes nothing of ours.
BYTES_PER_VALUE = 8
# Small texts may be as dense as they like: reading so many values takes a millisecond.
FREE_VALUES = 10_000

_MEMBER = re.compile(r"[A-Za-z0-9_.$-]{1,64}")


@dataclass(frozen=True)
class Parsed:
    value: object


def read_json(raw: bytes) -> Parsed | Rejected:
    """One JSON value, or Rejected("malformed") that says where it breaks. Takes time in proportion to the length."""
    if is_too_dense(raw):
        return _malformed(
            f"holds more than one value for {BYTES_PER_VALUE} bytes: this is no text that describes anything"
        )
    try:
        # RFC 8259 8.1: nobody shall write a byte order mark, and everybody may read over it.
        text = raw.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_named_once, parse_constant=_no_number, parse_float=_finite_number)
        if "\\u" in text:
            _whole_characters(value)
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
    """`stored`: the same without what was sent."""

    def __init__(self, words: str, stored: str) -> None:
        super().__init__(words)
        self.stored = stored


def _malformed(words: str) -> Rejected:
    return rejected("malformed", "", words)


def is_too_dense(raw: bytes) -> bool:
    """Before anything is built. What is opened and never closed is told apart: reading ends where it is too deep."""
    allowed = FREE_VALUES + len(raw) // BYTES_PER_VALUE
    # None can hold more values than bytes.
    return len(raw) > FREE_VALUES and len(raw) - len(raw.translate(None, b",]}")) > allowed


def _named_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
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


def _whole_characters(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as half:
        raise ValueError("it holds half a character (a lone surrogate)") from half


STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
# JSON is exchanged in UTF-8 (RFC 8259), of which ASCII is a part.
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
# A longer one is no content type, and parsing it costs time.
LONGEST = 1_000
# A parameter as in RFC 9110, 5.6.6: its value is a token or a quoted string. It is looked for after a semicolon only,
# and no alternative begins as another does, so that no text takes long to read.
WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
PARAMETER = re.compile(rf"""(?:^|;)\s*({WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))""", re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MediaType(NamedTuple):
    """Both in lower case; `name` is empty where there is none that can be read."""

    name: str
    charset: str

    @property
    def is_json(self) -> bool:
        """As CloudEvents define it: `*/json` or `*/*+json`."""
        return self.name.endswith(("/json", "+json")) and self.charset in CHARSETS


def read_media_type(content_type: str) -> MediaType:
    """Never raises. What is no parameter as RFC 9110 writes them says nothing, other forms of `charset` included."""
    name, _, parameters = content_type[:LONGEST].partition(";")
    name, charset = name.strip().lower(), ""
    if parameters:
        # The first that is named. A quoted value may hold what separates parameters elsewhere.
        named = (found for found in PARAMETER.findall(parameters) if found[0].lower() == "charset")
        _, quoted, token = next(named, ("", "", ""))
        charset = (ESCAPED.sub(r"\1", quoted) or token).strip().lower()
    return MediaType(name, charset or "utf-8")


ENCODED = "data_base64"


def normal_form(event: Mapping[str, object]) -> Mapping[str, object] | Rejected:
    """A member of null is unset. JSON by any name (`text/json`, `application/vnd.acme+json; charset=utf-8`) is
    `application/json`; data of another type stay as they are, and are refused by what validates the event. Leap
    seconds, which RFC 3339 has, and offsets of hours only are written as models read them."""
    found = _of_json(event)
    if isinstance(found, Rejected):
        return found
    data = found.get("data")
    known = _with_known_times(found)
    return {**known, "data": _with_known_times(data)} if isinstance(data, dict) else known


# Of an event, and of the data of any.
TIMES = ("time", "started_at", "starts_at", "ends_at", "from", "until")
# A minute that a leap second ends has 61, which clocks of computers do not know.
_LEAP = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d):60(?:\.\d{1,9})?(?!\d)", re.ASCII)
# ISO 8601 and PostgreSQL leave out minutes that are none.
_HOURS_ONLY = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d)?(?:\.\d{1,9})?[+-]\d\d", re.ASCII)


def _with_known_times(members: Mapping[str, object]) -> Mapping[str, object]:
    known: dict[str, object] = {}
    for name in TIMES:
        written = members.get(name)
        if isinstance(written, str) and (written[-3:-2] in {"+", "-"} or ":60" in written):
            clock = _LEAP.sub(r"\1:59.999999", written, count=1)
            known[name] = f"{clock}:00" if _HOURS_ONLY.fullmatch(clock) else clock
    return {**members, **known} if known else members


def _of_json(event: Mapping[str, object]) -> Mapping[str, object] | Rejected:
    given = dict(event)
    if None in given.values():
        given = {name: value for name, value in event.items() if value is not None}
    declared = given.get("datacontenttype", JSON)
    if declared != JSON and (not isinstance(declared, str) or not read_media_type(declared).is_json):
        return given
    if "datacontenttype" in given:
        given["datacontenttype"] = JSON
    return _decoded(given) if ENCODED in given else given


def _decoded(given: dict[str, object]) -> Mapping[str, object] | Rejected:
    if "data" in given:
        return rejected("invalid", ENCODED, "data is there too; an event has one of them")
    encoded = given.pop(ENCODED)
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
    return {**given, "data": data.value}


# They are said by other means in binary mode, or nothing is said.
NO_HEADER = frozenset({"", "data", "datacontenttype", ENCODED})
LONGEST_HEADER_SHOWN = 80


def read_attributes(headers: Iterable[tuple[str, bytes]], prefix: str) -> Mapping[str, object] | Rejected:
    """Of the headers with this prefix, in lower case; their values are UTF-8. Other headers are left alone, and whether
    an attribute may be called so is not judged here."""
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
    """The event in structured form. Without a content type the data are taken as JSON, which all of ours are."""
    data = read_json(body)
    if isinstance(data, Rejected):
        return Rejected(data.reason, tuple(Problem("data", error.reason, error.stored) for error in data.errors))
    declared: dict[str, object] = {} if content_type is None else {"datacontenttype": content_type}
    return Parsed({**attributes, **declared, "data": data.value})


CONTENT_TYPE = "content-type"
PREFIX = "ce_"
LONGEST_SHOWN = 200


def read_record(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Parsed | Rejected:
    """One event in structured form, not yet judged. Header names are taken in any case, as the official SDKs do.
    JSON without any `ce_` header is an event in structured mode whose sender has not set its content type."""
    # A header of no value says nothing, as an attribute of null does.
    given = [(name.lower(), said) for name, said in headers if said is not None]
    content_type = _content_type(given)
    attributes = read_attributes(given, PREFIX)
    if isinstance(content_type, Rejected):
        return content_type
    if value is None:
        return rejected("malformed", "", "a record without a value (a tombstone) is no event")
    declared = JSON if content_type is None else content_type
    media = read_media_type(declared)
    if media.name.startswith("application/cloudevents"):
        # Attributes repeated in headers are allowed in structured mode, and say nothing there.
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
