"""What Zoom offers: which event is read as a booking or as attendance, and how a request proves where it comes from.
Zoom signs every request; now and then it asks the endpoint to sign something too."""

import json
from datetime import datetime
from typing import Literal

from services.ingest.domain.cloudevents import JSON, Parsed, read_json
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.tool import (
    Answer,
    Handshake,
    Headers,
    RawPayloads,
    Received,
    Tool,
    ToolSettings,
    Verification,
    Verified,
    signed,
    verify_v0,
)
from services.ingest.sources.vendor_model import Ident, VendorModel, Word, read
from services.ingest.sources.webhook import EventReading, WebhookEvents
from services.ingest.sources.zoom.attendance import EndEvent, ParticipantEvent, WaitingEvent, ended, joined, left, waits
from services.ingest.sources.zoom.bookings import ZoomBookingEvent, ZoomChangeEvent, created, deleted, updated


class _ZoomEvent(VendorModel):
    event: Word


WAITED = EventReading(WaitingEvent, waits)
"""Who waits, is let in or is called by phone or in a room joins too; where that is not heard, somebody was there all
the same. Whoever goes to a breakout room has joined before."""

EVENTS = WebhookEvents(
    _ZoomEvent,
    {
        "meeting.created": EventReading(ZoomBookingEvent, created),
        "meeting.updated": EventReading(ZoomChangeEvent, updated),
        "meeting.recovered": EventReading(ZoomChangeEvent, updated),
        "meeting.deleted": EventReading(ZoomBookingEvent, deleted),
        "meeting.participant_joined": EventReading(ParticipantEvent, joined),
        "meeting.participant_left": EventReading(ParticipantEvent, left),
        "meeting.participant_joined_waiting_room": WAITED,
        "meeting.participant_put_in_waiting_room": WAITED,
        "meeting.participant_admitted": WAITED,
        "meeting.participant_jbh_waiting": WAITED,
        "meeting.participant_phone_callout_accepted": WAITED,
        "meeting.participant_room_system_callout_accepted": WAITED,
        "meeting.ended": EventReading(EndEvent, ended),
    },
    # Also meeting.started: the host who started it joins too.
    lambda event: Ignored("webinar" if event.startswith("webinar.") else "event_not_used"),
)

HEADERS = Headers("x-zm-signature", "x-zm-request-timestamp")


class _Plain(VendorModel):
    plainToken: Ident  # noqa: N815 (Zoom's name)


VALIDATION = "endpoint.url_validation"


class _Validation(VendorModel):
    event: Literal["endpoint.url_validation"]
    payload: _Plain


def verify(received: Received, secret: str, now: datetime) -> Verification:
    # The signature comes first: an endpoint that signs any token for anybody would sign `v0:<timestamp>:<forged body>`.
    proof = verify_v0(received, secret, now, HEADERS)
    return proof if not isinstance(proof, Verified) else _answered(received.body, secret)


def _answered(body: bytes, secret: str) -> Handshake | Verified:
    # Of all that Zoom sends hardly anything asks this: the rest is read once, when it is recorded.
    if VALIDATION.encode() not in body:
        return Verified()
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


TOOL = Tool(name="zoom", verify=verify, translate=EVENTS.translate, keep=EVENTS.keep, take=take)
