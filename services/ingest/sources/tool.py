"""What every tool is: how its requests are proven, what of them is recorded, and what is made of that; and what one
account of a tool is, a connection."""

import hmac
import json
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from services.ingest.domain.activity import Translation
from services.ingest.domain.cloudevents import JSON, Parsed, read_json, read_media_type
from services.ingest.domain.ids import NoDigestKeyError, Pseudonym, pseudonym_of
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.vendor_model import signed_at

# A signed timestamp that is older, or as far ahead, was recorded by somebody and is played back.
LONGEST_AGE = timedelta(minutes=5)


@dataclass(frozen=True)
class Received:
    """One request: header names in lower case, the query, the body as it came, and what follows the connection's
    name in the path, such as `/statements`. A tool is asked to prove the head alone first (`is_head`, the body is
    empty): no more is read of who cannot, and nothing is parsed before it is proven."""

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    path: str = ""
    is_head: bool = False


@dataclass(frozen=True)
class BodyNeeded:
    """Said of a head that is as it should be, where the proof covers the body as well, or lies in it. At most so many
    bytes of it are read before it is proven."""

    most_bytes: int = 2**20


@dataclass(frozen=True)
class Verified:
    """The body may be believed."""


@dataclass(frozen=True)
class Unverified:
    """Answered 401; the reason names no secret. `scheme` is how the tool proves itself, for WWW-Authenticate."""

    reason: str
    scheme: str = "Signature"


@dataclass(frozen=True)
class Handshake:
    """The tool asks whether we are who it thinks: this is the answer, and there is nothing to record."""

    body: bytes
    media_type: str = "application/json"
    status: int = 200


Verification = Verified | Unverified | Handshake | BodyNeeded


def signed(secret: str, text: bytes) -> str:
    """HMAC-SHA256 as lower-case hexadecimal digits."""
    return hmac.new(secret.encode(), text, sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compares in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def is_fresh(signed_at: datetime, now: datetime) -> bool:
    return abs(now - signed_at) <= LONGEST_AGE


class Headers(NamedTuple):
    """Where a tool puts the two, in lower case."""

    signature: str
    timestamp: str


def verify_v0(received: Received, secret: str, now: datetime, headers: Headers) -> Verification:
    signature = received.headers.get(headers.signature, "")
    stamp = received.headers.get(headers.timestamp, "")
    moment = signed_at(stamp)
    if not signature or moment is None:
        return Unverified(f"{headers.signature} and {headers.timestamp} are required")
    if not is_fresh(moment, now):
        return Unverified(f"{headers.timestamp} is more than 5 minutes away from now")
    version, _, digits = signature.partition("=")
    signatures = [digits] if version == "v0" else []
    return verify_body(received, secret, f"v0:{stamp}:", signatures, f"{headers.signature} does not fit the body")


def verify_body(received: Received, secret: str, stamp: str, signatures: Iterable[str], fault: str) -> Verification:
    """One of the signatures must be that of `stamp` and the body. The head alone has passed so far."""
    if received.is_head:
        return BodyNeeded()
    expected = signed(secret, stamp.encode() + received.body)
    # A connection without a secret is proven by nobody.
    is_signed = bool(secret) and any(same(expected, signature) for signature in signatures)
    return Verified() if is_signed else Unverified(fault)


BEARER, BASIC = "Bearer", "Basic"


def prove_bearer(received: Received, secret: str, _now: datetime) -> Verification:
    """`Authorization: Bearer <secret>`."""
    scheme, credentials = _authorization(received)
    if scheme != "bearer":
        return Unverified("the header Authorization must say: Bearer, and the connection's secret", BEARER)
    return _compared(credentials, secret, BEARER)


def verify_basic(received: Received, secret: str, _now: datetime) -> Verification:
    """`Authorization: Basic <base64 of secret>`; the secret is `user:password`."""
    scheme, credentials = _authorization(received)
    if scheme != "basic":
        return Unverified("the header Authorization must say: Basic, and the connection's user and password", BASIC)
    try:
        return _compared(b64decode(credentials, validate=True).decode(), secret, BASIC)
    except (Error, ValueError):
        return Unverified("the credentials are no base64 of a user and a password", BASIC)


def prove_either(received: Received, secret: str, now: datetime) -> Verification:
    """By whichever of the two the request chose."""
    scheme, _ = _authorization(received)
    return verify_basic(received, secret, now) if scheme == "basic" else prove_bearer(received, secret, now)


def _authorization(received: Received) -> tuple[str, str]:
    scheme, _, credentials = received.headers.get("authorization", "").strip().partition(" ")
    return scheme.lower(), credentials.strip()


def _compared(credentials: str, secret: str, scheme: str) -> Verification:
    # A connection without a secret is proven by nobody.
    if secret and same(credentials, secret):
        return Verified()
    return Unverified("the credentials are not those of this connection", scheme)


@dataclass(frozen=True)
class Answer:
    """Instead of the gateway's own, where a standard says what a client waits for."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RawPayloads:
    """Each of `payloads` (at least one) becomes a record, and is judged, of its own: a fault in one loses no other.
    `media_type` is theirs. `answer` is sent when all of them are acknowledged."""

    payloads: tuple[bytes, ...]
    media_type: str = JSON
    answer: Answer | None = None


# Larger than any payload documented here; a broker takes no larger record by default.
MOST_BYTES = 2**20


class ToolSettings(BaseModel):
    """Of one connection; each tool that has settings has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def as_it_came(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads:
    return RawPayloads((received.body,), received.headers.get("content-type", JSON))


def as_records(values: Iterable[object]) -> RawPayloads | Rejected:
    """Each as a record of its own; an empty list says nothing."""
    try:
        return RawPayloads(tuple(json.dumps(one, ensure_ascii=False).encode() for one in values) or (b"[]",))
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")


@dataclass(frozen=True)
class Tool:
    """`prove` gets the request, the connection's secret and now. `translate` gets what `parse` made of a body (or of
    a fetched resource) and `keep` left of it, and the connection's settings; it raises for nothing that anybody can
    send. `keep` makes of what was parsed all that may be stored, see domain/tools/allow_list.py; what it kept once,
    it keeps as it is. `take` says which records a request becomes; what it made of a request once, it leaves as it
    is. `routes` are the methods served by what follows the connection's name in the path, `media_types` what they may
    carry. `loud` are the reasons of Ignored that an operator must see. `prove_by`, where it is given, chooses the
    proof by the settings: see Connection."""

    name: str
    verify: Callable[[Received, str, datetime], Verification]
    translate: Callable[[object, ToolSettings], Translation]
    keep: Callable[[object, ToolSettings, Pseudonym], object]
    settings: type[ToolSettings] = ToolSettings
    parse: Callable[[bytes, str], Parsed | Rejected] = lambda body, _media_type: read_json(body)
    take: Callable[[Received, ToolSettings, datetime], RawPayloads | Rejected] = as_it_came
    routes: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"": frozenset({"POST"})})
    most_bytes: int = MOST_BYTES
    media_types: frozenset[str] = frozenset({JSON})
    loud: frozenset[str] = frozenset()
    verify_by: Callable[[ToolSettings], Callable[[Received, str, datetime], Verification]] | None = None


@dataclass(frozen=True)
class Kept:
    """`value` is what the payload says, parsed; `before` what it said with all that was cut."""

    payload: bytes
    media_type: str
    value: object
    before: object

    @property
    def was_cut(self) -> bool:
        return self.value != self.before

    def headers(self, connection: str) -> list[tuple[str, bytes]]:
        """Of its record on the raw topic."""
        headers = [("connection", connection.encode()), ("content-type", self.media_type.encode())]
        return [*headers, ("text_cut", b"1")] if self.was_cut else headers


@dataclass(frozen=True)
class TakenRequest:
    """What of a tool's request is recorded, each payload a record of its own, and what its sender hears then."""

    payloads: tuple[Kept, ...]
    answer: Answer | None


def is_served(content_type: str, tool: Tool) -> bool:
    """Without any the body is taken for what the tool documents, and read or refused as that."""
    if not content_type:
        return True
    media = read_media_type(content_type)
    return media.name in tool.media_types or (JSON in tool.media_types and media.is_json)


@dataclass(frozen=True)
class Connection:
    """`secret` proves requests. `api_token` is for a tool whose notifications are pointers; where it stands in a
    file, it is read anew for each use, because such tokens live for an hour and something else renews the file.
    `secret_file` is where the secret was read, None for a variable.
    `digest_key` is the installation's, see `pseudonym_of`."""

    connection_scope: ConnectionScope
    tool: Tool
    settings: ToolSettings
    secret: str
    api_token: str = ""
    api_token_file: Path | None = None
    digest_key: str = field(default="", repr=False)
    secret_file: Path | None = None

    def verify(self, received: Received, now: datetime) -> Verification:
        by_settings = self.tool.verify_by
        verify = by_settings(self.settings) if by_settings else self.tool.verify
        return verify(received, self.secret, now)

    def taken(self, received: Received, now: datetime) -> TakenRequest | Rejected:
        """What cannot be read even now is refused as a whole: it would only lie in quarantine."""
        found = self.tool.take(received, self.settings, now)
        if isinstance(found, Rejected):
            return found
        payloads: list[Kept] = []
        for payload in found.payloads:
            if len(payload) > MOST_BYTES:
                return rejected("too_large", "", f"a payload has at most {MOST_BYTES} bytes")
            kept = self.kept(payload, found.media_type)
            if isinstance(kept, Rejected):
                return kept
            payloads.append(kept)
        return TakenRequest(tuple(payloads), found.answer)

    def kept(self, payload: bytes, media_type: str) -> Kept | Rejected:
        """All that may be stored of one of its payloads. Rejected: it cannot be read, so that what may be kept of it
        cannot be told."""
        parsed = self.tool.parse(payload, media_type)
        if isinstance(parsed, Rejected):
            return parsed
        pseudonym = pseudonym_of(self.digest_key, self.connection_scope.tenant)
        try:
            value = self.tool.keep(parsed.value, self.settings, pseudonym)
        except NoDigestKeyError as missing:
            return rejected("invalid", "", f"an id {missing}")
        return Kept(json.dumps(value, ensure_ascii=False).encode(), JSON, value, parsed.value)
