"""The common interface of all tools: how a tool verifies requests, which records it makes of them, and how it
translates records. A Connection is one account of a tool."""

import hmac
import json
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from schemas.primitives import FIRST_YEAR, LAST_YEAR
from services.ingest.domain.activity import Translation
from services.ingest.domain.cloudevents import JSON, Parsed, read_json, read_media_type
from services.ingest.domain.ids import NoDigestKeyError, Pseudonym, pseudonym_of
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.vendor_model import LAST_SECOND, LONGEST_TIME

# Replay protection: reject a signature whose timestamp is further than this from now, in the past or in the future.
LONGEST_AGE = timedelta(minutes=5)


@dataclass(frozen=True)
class Received:
    """One request: header names in lower case, query, raw body, and the path after the connection's name, such as
    `/statements`. The gateway first asks the tool to verify the head alone (`is_head`, empty body): it reads no more of
    an unauthenticated request, and parses nothing before verification."""

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    path: str = ""
    is_head: bool = False


@dataclass(frozen=True)
class BodyNeeded:
    """The head is valid, but the signature covers the body, or the secret is in the body. The gateway reads at most
    `most_bytes` of it before verification."""

    most_bytes: int = 2**20


@dataclass(frozen=True)
class Verified:
    """The request is authentic."""


@dataclass(frozen=True)
class Unverified:
    """Answered with 401; the reason contains no secret. `scheme` is the authentication scheme for WWW-Authenticate."""

    reason: str
    scheme: str = "Signature"


@dataclass(frozen=True)
class Handshake:
    """The tool checks that the endpoint is ours: send this response and record nothing."""

    body: bytes
    media_type: str = "application/json"
    status: int = 200


Verification = Verified | Unverified | Handshake | BodyNeeded


def hmac_hex(secret: str, text: bytes) -> str:
    """HMAC-SHA256 as lower-case hexadecimal digits."""
    return hmac.new(secret.encode(), text, sha256).hexdigest()


def constant_time_equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def signed_at(header: str) -> datetime | None:
    """Parse a signature's timestamp in whole seconds since 1970; None if it is not one."""
    seconds = int(header) if header.isascii() and header.isdigit() and len(header) <= LONGEST_TIME else 0
    if seconds > LAST_SECOND:
        return None
    found = datetime.fromtimestamp(seconds, UTC)
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else None


class Headers(NamedTuple):
    """Names of the tool's signature and timestamp headers, in lower case."""

    signature: str
    timestamp: str


def verify_v0(received: Received, secret: str, now: datetime, headers: Headers) -> Verification:
    signature = received.headers.get(headers.signature, "")
    stamp = received.headers.get(headers.timestamp, "")
    moment = signed_at(stamp)
    if not signature or moment is None:
        return Unverified(f"{headers.signature} and {headers.timestamp} are required")
    if abs(now - moment) > LONGEST_AGE:
        return Unverified(f"{headers.timestamp} is more than 5 minutes away from now")
    version, _, digits = signature.partition("=")
    signatures = [digits] if version == "v0" else []
    return verify_body(received, secret, f"v0:{stamp}:", signatures, f"{headers.signature} does not fit the body")


def verify_body(received: Received, secret: str, stamp: str, signatures: Iterable[str], fault: str) -> Verification:
    """Require one of the signatures to be that of `stamp` and the body. Return BodyNeeded for the head alone."""
    if received.is_head:
        return BodyNeeded()
    expected = hmac_hex(secret, stamp.encode() + received.body)
    # Nothing can verify against an empty secret.
    is_signed = bool(secret) and any(constant_time_equal(expected, signature) for signature in signatures)
    return Verified() if is_signed else Unverified(fault)


BEARER, BASIC = "Bearer", "Basic"


def verify_bearer(received: Received, secret: str, _now: datetime) -> Verification:
    """Verify `Authorization: Bearer <secret>`."""
    scheme, credentials = _authorization(received)
    if scheme != "bearer":
        return Unverified("the header Authorization must say: Bearer, and the connection's secret", BEARER)
    return _check_credentials(credentials, secret, BEARER)


def verify_basic(received: Received, secret: str, _now: datetime) -> Verification:
    """Verify `Authorization: Basic <base64 of secret>`; the secret is `user:password`."""
    scheme, credentials = _authorization(received)
    if scheme != "basic":
        return Unverified("the header Authorization must say: Basic, and the connection's user and password", BASIC)
    try:
        return _check_credentials(b64decode(credentials, validate=True).decode(), secret, BASIC)
    except (Error, ValueError):
        return Unverified("the credentials are no base64 of a user and a password", BASIC)


def verify_bearer_or_basic(received: Received, secret: str, now: datetime) -> Verification:
    scheme, _ = _authorization(received)
    return verify_basic(received, secret, now) if scheme == "basic" else verify_bearer(received, secret, now)


def _authorization(received: Received) -> tuple[str, str]:
    scheme, _, credentials = received.headers.get("authorization", "").strip().partition(" ")
    return scheme.lower(), credentials.strip()


def _check_credentials(credentials: str, secret: str, scheme: str) -> Verification:
    # Nothing can verify against an empty secret.
    if secret and constant_time_equal(credentials, secret):
        return Verified()
    return Unverified("the credentials are not those of this connection", scheme)


@dataclass(frozen=True)
class Answer:
    """Replaces the gateway's own response where a standard specifies what the client expects."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RawPayloads:
    """Each of `payloads` (at least one) becomes a record of its own, so that one invalid payload does not affect the
    others. `media_type` applies to all of them. `answer` is sent once all records are acknowledged."""

    payloads: tuple[bytes, ...]
    media_type: str = JSON
    answer: Answer | None = None


# Larger than any payload documented here; a broker's default record limit is the same.
MAX_BYTES = 2**20


class ToolSettings(BaseModel):
    """Settings of one connection; a tool with settings has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def single_payload(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads:
    return RawPayloads((received.body,), received.headers.get("content-type", JSON))


def payload_per_value(values: Iterable[object]) -> RawPayloads | Rejected:
    """Encode each value as a record of its own; an empty list becomes the single record `[]`."""
    try:
        return RawPayloads(tuple(json.dumps(one, ensure_ascii=False).encode() for one in values) or (b"[]",))
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")


@dataclass(frozen=True)
class Tool:
    """`verify` receives the request, the connection's secret and the current time. `verify_by`, if given, chooses the
    verification by the connection's settings.

    `split` decides which records a request becomes; it must leave its own output unchanged. `parse` decodes a record.
    `redact` reduces the parsed value to what may be stored (see domain/tools/allow_list.py) and is idempotent.
    `translate` receives the redacted value (of a record or of a fetched resource) and the settings; it must not raise
    for any input that a sender can produce.

    `routes` maps the path after the connection's name to the methods served there; `media_types` are the accepted
    content types. `operator_reasons` are the reasons of Ignored that an operator must see."""

    name: str
    verify: Callable[[Received, str, datetime], Verification]
    translate: Callable[[object, ToolSettings], Translation]
    redact: Callable[[object, ToolSettings, Pseudonym], object]
    settings: type[ToolSettings] = ToolSettings
    parse: Callable[[bytes, str], Parsed | Rejected] = lambda body, _media_type: read_json(body)
    split: Callable[[Received, ToolSettings, datetime], RawPayloads | Rejected] = single_payload
    routes: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"": frozenset({"POST"})})
    most_bytes: int = MAX_BYTES
    media_types: frozenset[str] = frozenset({JSON})
    operator_reasons: frozenset[str] = frozenset()
    verify_by: Callable[[ToolSettings], Callable[[Received, str, datetime], Verification]] | None = None


@dataclass(frozen=True)
class RedactedPayload:
    """A payload reduced to what may be stored. `value` is its parsed content, `original` the parsed content before
    redaction."""

    payload: bytes
    media_type: str
    value: object
    original: object

    @property
    def was_cut(self) -> bool:
        return self.value != self.original

    def headers(self, connection: str) -> list[tuple[str, bytes]]:
        headers = [("connection", connection.encode()), ("content-type", self.media_type.encode())]
        return [*headers, ("text_cut", b"1")] if self.was_cut else headers


@dataclass(frozen=True)
class AcceptedRequest:
    """The payloads of a tool's request to record, each as a record of its own, and the response to its sender."""

    payloads: tuple[RedactedPayload, ...]
    answer: Answer | None


def is_served(content_type: str, tool: Tool) -> bool:
    """Accept a missing Content-Type: the body is then parsed as the type that the tool documents."""
    if not content_type:
        return True
    media = read_media_type(content_type)
    return media.name in tool.media_types or (JSON in tool.media_types and media.is_json)


@dataclass(frozen=True)
class Connection:
    """One account of a tool. `secret` verifies requests. `api_token` is for a tool whose notifications are pointers; a
    token in `api_token_file` is read again for each use, because such tokens expire within an hour and another process
    renews the file. `secret_file` is the file the secret was read from, None for an environment variable. `digest_key`
    is the installation's, see `pseudonym_of`."""

    connection_scope: ConnectionScope
    tool: Tool
    settings: ToolSettings
    secret: str
    api_token: str = ""
    api_token_file: Path | None = None
    digest_key: str = field(default="", repr=False)
    secret_file: Path | None = None

    @cached_property
    def _pseudonym(self) -> Pseudonym:
        """To derive the tenant's key takes as long as to redact a small payload."""
        return pseudonym_of(self.digest_key, self.connection_scope.tenant)

    def verify(self, received: Received, now: datetime) -> Verification:
        by_settings = self.tool.verify_by
        verify = by_settings(self.settings) if by_settings else self.tool.verify
        return verify(received, self.secret, now)

    def accept(self, received: Received, now: datetime) -> AcceptedRequest | Rejected:
        """Split and redact a request. Reject the whole request if any payload cannot be parsed: it would only end up in
        the dead letters."""
        found = self.tool.split(received, self.settings, now)
        if isinstance(found, Rejected):
            return found
        payloads: list[RedactedPayload] = []
        for payload in found.payloads:
            if len(payload) > MAX_BYTES:
                return rejected("too_large", "", f"a payload has at most {MAX_BYTES} bytes")
            redacted = self.redact(payload, found.media_type)
            if isinstance(redacted, Rejected):
                return redacted
            payloads.append(redacted)
        return AcceptedRequest(tuple(payloads), found.answer)

    def redact(self, payload: bytes, media_type: str) -> RedactedPayload | Rejected:
        """Reduce one payload to what may be stored. Rejected if it cannot be parsed, because redaction needs the parsed
        value."""
        parsed = self.tool.parse(payload, media_type)
        if isinstance(parsed, Rejected):
            return parsed
        try:
            value = self.tool.redact(parsed.value, self.settings, self._pseudonym)
        except NoDigestKeyError as missing:
            return rejected("invalid", "", f"an id {missing}")
        return RedactedPayload(json.dumps(value, ensure_ascii=False).encode(), JSON, value, parsed.value)
