"""What is wrong with an address or a secret that somebody has configured, told before anything is sent."""

import base64
import binascii
import ipaddress
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook

from services.notify.channels.addresses import is_public

LEAST_SECRET_BYTES = 24
"""Standard Webhooks: a secret has 24 to 64 bytes."""


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """Nothing of the address is in the answer: it may be a secret."""
    try:
        parts = urlsplit(str(httpx.URL(url)))
        (parts.hostname or "").encode("idna")
    except (httpx.InvalidURL, ValueError):
        # The messages of both quote what they were given.
        return "is no address"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must be an http or https address"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or password: whoever lists the settings reads it"
    if not allow_private and _is_private(parts.hostname):
        return "is a private address"
    return None


def secret_fault(secret: str) -> str | None:
    try:
        Webhook(secret)  # the library must not refuse it when an alert is due
        enough = _secret_bytes(secret) >= LEAST_SECRET_BYTES
    except (ValueError, RuntimeError):
        enough = False
    return None if enough else f"must be whsec_ and the base64 of at least {LEAST_SECRET_BYTES} random bytes"


def _secret_bytes(secret: str) -> int:
    prefix, found, encoded = secret.partition("whsec_")
    try:
        return len(base64.b64decode(encoded + "==", validate=False)) if found and not prefix else 0
    except binascii.Error:
        return 0


def _is_private(host: str) -> bool:
    """What can be told without asking for the name; the rest is looked at before every message."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return not is_public(host)
