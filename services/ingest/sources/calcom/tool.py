"""`X-Cal-Signature-256` is the hexadecimal HMAC of the body. No time is signed: only the keys stop a replay."""

from datetime import datetime

from services.ingest.sources.calcom.translation import keep, translate
from services.ingest.sources.tool import Tool
from services.ingest.sources.verification import BodyNeeded, Received, Refused, Verification, Verified, same, signed

HEADER = "x-cal-signature-256"


def verify(received: Received, secret: str, _now: datetime) -> Verification:
    signature = received.headers.get(HEADER, "")
    if not signature:
        return Refused(f"{HEADER} is required")
    if received.is_head:
        return BodyNeeded()
    # A webhook without a secret sends the words `no-secret-provided` instead, which fit no body either.
    if not secret or not same(signed(secret, received.body), signature):
        return Refused(f"{HEADER} does not fit the body")
    return Verified()


TOOL = Tool(name="calcom", verify=verify, translate=translate, keep=keep)
