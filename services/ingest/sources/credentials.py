"""Proof by a secret that is sent along: a bearer token, or a user and a password."""

from base64 import b64decode
from binascii import Error
from datetime import datetime

from services.ingest.sources.proof import Proof, Proven, Received, Refused, same

BEARER, BASIC = "Bearer", "Basic"


def prove_bearer(received: Received, secret: str, _now: datetime) -> Proof:
    """`Authorization: Bearer <secret>`."""
    scheme, credentials = _authorization(received)
    if scheme != "bearer":
        return Refused("the header Authorization must say: Bearer, and the connection's secret", BEARER)
    return _compared(credentials, secret, BEARER)


def prove_basic(received: Received, secret: str, _now: datetime) -> Proof:
    """`Authorization: Basic <base64 of secret>`; the secret is `user:password`."""
    scheme, credentials = _authorization(received)
    if scheme != "basic":
        return Refused("the header Authorization must say: Basic, and the connection's user and password", BASIC)
    try:
        return _compared(b64decode(credentials, validate=True).decode(), secret, BASIC)
    except (Error, ValueError):
        return Refused("the credentials are no base64 of a user and a password", BASIC)


def prove_either(received: Received, secret: str, now: datetime) -> Proof:
    """By whichever of the two the request chose."""
    scheme, _ = _authorization(received)
    return prove_basic(received, secret, now) if scheme == "basic" else prove_bearer(received, secret, now)


def _authorization(received: Received) -> tuple[str, str]:
    scheme, _, credentials = received.headers.get("authorization", "").strip().partition(" ")
    return scheme.lower(), credentials.strip()


def _compared(credentials: str, secret: str, scheme: str) -> Proof:
    # A connection without a secret is proven by nobody.
    if secret and same(credentials, secret):
        return Proven()
    return Refused("the credentials are not those of this connection", scheme)
