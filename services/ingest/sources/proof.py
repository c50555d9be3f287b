"""How a request of a tool proves that it comes from there."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

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
class Proven:
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


Proof = Proven | Refused | Handshake | BodyNeeded


def signed(secret: str, text: bytes) -> str:
    """HMAC-SHA256 as lower-case hexadecimal digits."""
    return hmac.new(secret.encode(), text, sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compares in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def is_fresh(signed_at: datetime, now: datetime) -> bool:
    return abs(now - signed_at) <= LONGEST_AGE
