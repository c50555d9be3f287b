"""The signature that Slack invented and Zoom took over: HMAC-SHA256 of `v0:<timestamp>:<body>`."""

from datetime import datetime
from typing import NamedTuple

from services.ingest.sources.proof import BodyNeeded, Proven, Received, Refused, is_fresh, same, signed
from services.ingest.sources.reading import signed_at


class Headers(NamedTuple):
    """Where a tool puts the two, in lower case."""

    signature: str
    timestamp: str


def prove_v0(received: Received, secret: str, now: datetime, headers: Headers) -> Proven | Refused | BodyNeeded:
    signature = received.headers.get(headers.signature, "")
    stamp = received.headers.get(headers.timestamp, "")
    moment = signed_at(stamp)
    if not signature or moment is None:
        return Refused(f"{headers.signature} and {headers.timestamp} are required")
    if not is_fresh(moment, now):
        return Refused(f"{headers.timestamp} is more than 5 minutes away from now")
    if received.is_head:
        return BodyNeeded()
    if not secret or not same(f"v0={signed(secret, f'v0:{stamp}:'.encode() + received.body)}", signature):
        return Refused(f"{headers.signature} does not fit the body")
    return Proven()
