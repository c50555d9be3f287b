"""`Calendly-Webhook-Signature: t=<seconds>,v1=<hex>`; while a key is changed there are several v1."""

from datetime import datetime

from services.ingest.sources.calendly.translation import keep, translate
from services.ingest.sources.tool import Tool
from services.ingest.sources.vendor_model import signed_at
from services.ingest.sources.verification import (
    BodyNeeded,
    Received,
    Refused,
    Verification,
    Verified,
    is_fresh,
    same,
    signed,
)

HEADER = "calendly-webhook-signature"


def verify(received: Received, secret: str, now: datetime) -> Verification:
    parts = [part.strip().partition("=") for part in received.headers.get(HEADER, "").split(",")]
    stamps = [text for name, _, text in parts if name == "t"]
    signatures = [text for name, _, text in parts if name == "v1"]
    moment = signed_at(stamps[0]) if len(stamps) == 1 else None
    if moment is None or not signatures:
        return Refused(f"{HEADER} with one t and at least one v1 is required")
    if not is_fresh(moment, now):
        return Refused("t is more than 5 minutes away from now")
    if received.is_head:
        return BodyNeeded()
    expected = signed(secret, f"{stamps[0]}.".encode() + received.body)
    if not secret or not any(same(expected, signature) for signature in signatures):
        return Refused("no v1 fits the body")
    return Verified()


TOOL = Tool(name="calendly", verify=verify, translate=translate, keep=keep)
