"""Zoom signs every request; now and then it asks the endpoint to sign something too."""

import json
from datetime import datetime
from typing import Literal

from services.ingest.domain.cloudevents.content_modes import JSON
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.tool import Answer, RawPayloads, Tool, ToolSettings
from services.ingest.sources.vendor_model import Ident, VendorModel, read
from services.ingest.sources.verification import Handshake, Headers, Received, Verification, Verified, signed, verify_v0
from services.ingest.sources.zoom.translation import keep, translate

HEADERS = Headers("x-zm-signature", "x-zm-request-timestamp")


class _Plain(VendorModel):
    plainToken: Ident  # noqa: N815 (Zoom's name)


class _Validation(VendorModel):
    event: Literal["endpoint.url_validation"]
    payload: _Plain


def verify(received: Received, secret: str, now: datetime) -> Verification:
    # The signature comes first: an endpoint that signs any token for anybody would sign `v0:<timestamp>:<forged body>`.
    proof = verify_v0(received, secret, now, HEADERS)
    return proof if not isinstance(proof, Verified) else _answered(received.body, secret)


def _answered(body: bytes, secret: str) -> Handshake | Verified:
    parsed = read_json(body)
    asked = read(_Validation, parsed.value) if isinstance(parsed, Parsed) else parsed
    if isinstance(asked, Rejected):
        return Verified()
    token = asked.payload.plainToken
    return Handshake(json.dumps({"plainToken": token, "encryptedToken": signed(secret, token.encode())}).encode())


# Zoom takes 200 and 204 for delivered (Webhook delays, devsupport.zoom.us) and stops sending after three retries.
RECORDED = Answer(200, b'{"status": 200, "reason": "recorded"}')


def take(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads:
    return RawPayloads((received.body,), received.headers.get("content-type", JSON), RECORDED)


TOOL = Tool(name="zoom", verify=verify, translate=translate, keep=keep, take=take)
