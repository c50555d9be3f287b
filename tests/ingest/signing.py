"""Signatures and other proofs of each tool's requests."""

import hmac
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256

from services.ingest.sources.tool import hmac_hex
from tests.ingest.tooling import sign_slack, sign_zoom

SECRET = "somebody:a secret of all these tools"
JSON = {"content-type": "application/json"}


def headers_of(tool: str, body: bytes) -> dict[str, str]:
    return {**JSON, **SIGNED[tool](body)}


def _calendly(body: bytes) -> dict[str, str]:
    stamp = str(round(time.time()))
    return {"calendly-webhook-signature": f"t={stamp},v1={hmac_hex(SECRET, f'{stamp}.'.encode() + body)}"}


def _calcom(body: bytes) -> dict[str, str]:
    return {"x-cal-signature-256": hmac_hex(SECRET, body)}


def _typeform(body: bytes) -> dict[str, str]:
    digest = b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
    return {"typeform-signature": f"sha256={digest}"}


def _house(body: bytes) -> dict[str, str]:
    return {"x-signature": f"sha256={hmac_hex(SECRET, body)}", **_bearer(body)}


def _xapi(_: bytes) -> dict[str, str]:
    return {"authorization": f"Basic {b64encode(SECRET.encode()).decode()}", "x-experience-api-version": "1.0.3"}


def _bearer(_: bytes) -> dict[str, str]:
    return {"authorization": f"Bearer {SECRET}"}


SIGNED: Mapping[str, Callable[[bytes], dict[str, str]]] = {
    "zoom": lambda body: sign_zoom(body, SECRET),
    "google_calendar": _bearer,
    "microsoft_graph": _bearer,
    "calendly": _calendly,
    "calcom": _calcom,
    "slack": lambda body: sign_slack(body, SECRET),
    "typeform": _typeform,
    "xapi": _xapi,
    "caliper": _bearer,
    "hr": _bearer,
    "mapping": _house,
}
