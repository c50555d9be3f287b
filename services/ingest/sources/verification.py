"""How a request of a tool proves that it comes from there."""

import hmac
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

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
class Refused:
    """Answered 401; the reason names no secret. `scheme` is how the tool proves itself, for WWW-Authenticate."""

    reason: str
    scheme: str = "Signature"


@dataclass(frozen=True)
class Handshake:
    """The tool asks whether we are who it thinks: this is the answer, and there is nothing to record."""

    body: bytes
    media_type: str = "application/json"
    status: int = 200


Verification = Verified | Refused | Handshake | BodyNeeded


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


def verify_v0(received: Received, secret: str, now: datetime, headers: Headers) -> Verified | Refused | BodyNeeded:
    signature = received.headers.get(headers.signature, "")
    stamp = received.headers.get(headers.timestamp, "")
    moment = signed_at(stamp)
    if not signature or moment is None:
        return Refused(f"{headers.signature} and {headers.timestamp} are required")
    if not is_fresh(moment, now):
        return Refused(f"{headers.timestamp} is more than 5 minutes away from now")
    if received.is_head:
        return BodyNeeded()
    if not secret or not same(f"v0={signed(secret, f'v0:{stamp}:'.encode() + received.body)}", signature):
        return Refused(f"{headers.signature} does not fit the body")
    return Verified()


BEARER, BASIC = "Bearer", "Basic"


def prove_bearer(received: Received, secret: str, _now: datetime) -> Verification:
    """`Authorization: Bearer <secret>`."""
    scheme, credentials = _authorization(received)
    if scheme != "bearer":
        return Refused("the header Authorization must say: Bearer, and the connection's secret", BEARER)
    return _compared(credentials, secret, BEARER)


def verify_basic(received: Received, secret: str, _now: datetime) -> Verification:
    """`Authorization: Basic <base64 of secret>`; the secret is `user:password`."""
    scheme, credentials = _authorization(received)
    if scheme != "basic":
        return Refused("the header Authorization must say: Basic, and the connection's user and password", BASIC)
    try:
        return _compared(b64decode(credentials, validate=True).decode(), secret, BASIC)
    except (Error, ValueError):
        return Refused("the credentials are no base64 of a user and a password", BASIC)


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
    return Refused("the credentials are not those of this connection", scheme)
