"""Zoom signs every request; now and then it asks the endpoint to sign something too."""

import json
from datetime import datetime
from typing import Literal

from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.proof import Handshake, Proof, Proven, Received, signed
from services.ingest.sources.reading import Foreign, Ident, read
from services.ingest.sources.v0_signature import Headers, prove_v0

HEADERS = Headers("x-zm-signature", "x-zm-request-timestamp")


class _Plain(Foreign):
    plainToken: Ident  # noqa: N815 (Zoom's name)


class _Validation(Foreign):
    event: Literal["endpoint.url_validation"]
    payload: _Plain


def prove(received: Received, secret: str, now: datetime) -> Proof:
    # The signature comes first: an endpoint that signs any token for anybody would sign `v0:<timestamp>:<forged body>`.
    proof = prove_v0(received, secret, now, HEADERS)
    return proof if not isinstance(proof, Proven) else _answered(received.body, secret)


def _answered(body: bytes, secret: str) -> Handshake | Proven:
    parsed = read_json(body)
    asked = read(_Validation, parsed.value) if isinstance(parsed, Parsed) else parsed
    if isinstance(asked, Rejected):
        return Proven()
    token = asked.payload.plainToken
    return Handshake(json.dumps({"plainToken": token, "encryptedToken": signed(secret, token.encode())}).encode())
