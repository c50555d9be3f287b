"""What Zoom offers: which event is read as a booking or as attendance, and how a request proves where it comes from.
Zoom signs every request; now and then it asks the endpoint to sign something too."""

import json
from datetime import datetime
from typing import Literal

from services.ingest.domain.activity import Translation
from services.ingest.domain.cloudevents import JSON, Parsed, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import allow_list
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
from services.ingest.sources.zoom.attendance import EndEvent, ParticipantEvent, WaitingEvent, ended, joined, left, waits
from services.ingest.sources.zoom.bookings import ZoomBookingEvent, ZoomChangeEvent, created, deleted, updated


class _ZoomEvent(VendorModel):
    event: Word


AT_THE_DOOR = frozenset(
    {
        "meeting.participant_joined_waiting_room",
        "meeting.participant_put_in_waiting_room",
        "meeting.participant_admitted",
        "meeting.participant_jbh_waiting",
        "meeting.participant_phone_callout_accepted",
        "meeting.participant_room_system_callout_accepted",
        "meeting.participant_joined_breakout_room",
    }
)
"""Who waits, is let in, is called by phone or goes to a breakout room joins too; where that is not heard, somebody was
there all the same. In a breakout room they meet only who is there with them."""

READ: dict[str, type[VendorModel]] = {
    "meeting.created": ZoomBookingEvent,
    "meeting.updated": ZoomChangeEvent,
    "meeting.recovered": ZoomChangeEvent,
    "meeting.deleted": ZoomBookingEvent,
    "meeting.participant_joined": ParticipantEvent,
    "meeting.participant_left": ParticipantEvent,
    **dict.fromkeys(sorted(AT_THE_DOOR), WaitingEvent),
    "meeting.ended": EndEvent,
}
"""With which model each event is read; of any other nothing but its name is kept."""


def keep(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    envelope = read(_ZoomEvent, value)
    model = _ZoomEvent if isinstance(envelope, Rejected) else READ.get(envelope.event, _ZoomEvent)
    return allow_list(model).kept(value, pseudonym)


def translate(value: object, _settings: ToolSettings) -> Translation:
    envelope = read(_ZoomEvent, value)
    return envelope if isinstance(envelope, Rejected) else _by_event(envelope.event, value)


def _by_event(event: str, value: object) -> Translation:
    match event:
        case "meeting.created":
            return created(value)
        case "meeting.updated" | "meeting.recovered":
            return updated(value)
        case "meeting.deleted":
            return deleted(value)
        case "meeting.participant_joined":
            return joined(value)
        case "meeting.participant_left":
            return left(value)
        case "meeting.ended":
            return ended(value)
        case _ if event in AT_THE_DOOR:
            return waits(value)
        case _:
            # Also meeting.started: the host who started it joins too.
            return Ignored("webinar" if event.startswith("webinar.") else "event_not_used")


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


TOOL = Tool(name="zoom", verify=verify, translate=translate, keep=keep, take=take)
