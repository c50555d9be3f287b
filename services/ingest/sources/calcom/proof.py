"""`X-Cal-Signature-256` is the hexadecimal HMAC of the body. No time is signed: only the keys stop a replay."""

from datetime import datetime

from services.ingest.sources.proof import BodyNeeded, Proof, Proven, Received, Refused, same, signed

HEADER = "x-cal-signature-256"


def prove(received: Received, secret: str, _now: datetime) -> Proof:
    signature = received.headers.get(HEADER, "")
    if not signature:
        return Refused(f"{HEADER} is required")
    if received.is_head:
        return BodyNeeded()
    # A webhook without a secret sends the words `no-secret-provided` instead, which fit no body either.
    if not secret or not same(signed(secret, received.body), signature):
        return Refused(f"{HEADER} does not fit the body")
    return Proven()
