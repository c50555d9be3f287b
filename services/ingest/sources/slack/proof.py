"""Slack signs every request, also the one that asks whether the URL is ours."""

import json
from datetime import datetime
from typing import Literal

from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.proof import Handshake, Proof, Proven, Received
from services.ingest.sources.reading import Foreign, Ident, read
from services.ingest.sources.v0_signature import Headers, prove_v0

HEADERS = Headers("x-slack-signature", "x-slack-request-timestamp")


class _Verification(Foreign):
    type: Literal["url_verification"]
    challenge: Ident


def prove(received: Received, secret: str, now: datetime) -> Proof:
    proof = prove_v0(received, secret, now, HEADERS)
    return proof if not isinstance(proof, Proven) else _answered(received.body)


def _answered(body: bytes) -> Handshake | Proven:
    parsed = read_json(body)
    asked = read(_Verification, parsed.value) if isinstance(parsed, Parsed) else parsed
    return Proven() if isinstance(asked, Rejected) else Handshake(json.dumps({"challenge": asked.challenge}).encode())
