"""Zoom's webhooks: bookings, joins, leaves and waiting rooms, ends of runs, and signature verification. Zoom signs
every request and periodically validates the endpoint."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import WrapValidator, model_validator

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Activity, Ended, Joined, Left, Meeting, Native, Person, Translation
from services.ingest.domain.cloudevents import JSON, Parsed, read_json
from services.ingest.domain.verdict import Ignored, Rejected, rejected
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
    hmac_hex,
    verify_v0,
)
from services.ingest.sources.vendor_model import (
    AnyMaybeTime,
    Ident,
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    VendorModel,
    Word,
    blank_if_invalid,
    native_id_or_digest,
    none_if_invalid,
    read,
)
from services.ingest.sources.webhook_events import EventTranslator, WebhookEvents
from services.ingest.sources.zoom.bookings import Deletion, MeetingChange, NewMeeting, created, deleted, updated

# One that cannot be read does not make the participant unknown.
DeviceId = Annotated[MaybeIdent | None, WrapValidator(none_if_invalid)]


class _Participant(VendorModel):
    """`id` and `participant_user_id` are the account, empty for a guest; `user_id` and `participant_uuid` are valid in
    this meeting only; `email` may be empty even for colleagues. `date_time` is the time of the event, whatever its
    type."""

    id: MaybePersonId = ""
    participant_user_id: MaybePersonId = ""
    user_id: DeviceId = None
    participant_uuid: DeviceId = None
    registrant_id: MaybePersonId = ""
    email: MaybeAddress = ""
    join_time: AnyMaybeTime = None
    leave_time: AnyMaybeTime = None
    date_time: AnyMaybeTime = None

    @property
    def person(self) -> Person:
        return Person(self.participant_user_id or self.id or self.registrant_id, self.email.strip())

    @property
    def devices(self) -> frozenset[str]:
        return frozenset(filter(None, (self.participant_uuid, self.user_id)))

    @property
    def device(self) -> str:
        """Identifies one connection of one device."""
        return self.participant_uuid or self.user_id or self.person.id or self.person.address.lower()


class _MeetingRun(VendorModel):
    """One run of a meeting. `id` is a number or text and may be missing; `uuid` identifies the run and contains `/` and
    `==`. The `duration` is the scheduled one and is not read."""

    id: MaybeIdent = ""
    uuid: MaybeIdent = ""
    end_time: AnyMaybeTime = None

    @model_validator(mode="after")
    def _has_an_id(self) -> Self:
        if not self.id and not self.uuid:
            raise ValueError("needs an id or a uuid")
        return self

    @property
    def meeting(self) -> Meeting:
        return Meeting(self.id, self.uuid)


class _ParticipantRun(_MeetingRun):
    """A participant who cannot be read still joined or left, as an unknown person."""

    participant: Annotated[_Participant, blank_if_invalid(_Participant)] = _Participant()


class _WaitingParticipant(VendorModel):
    date_time: AnyMaybeTime = None
    join_time: AnyMaybeTime = None


class _WaitingRun(_MeetingRun):
    participant: Annotated[_WaitingParticipant, blank_if_invalid(_WaitingParticipant)] = _WaitingParticipant()


Run = TypeVar("Run", bound=_MeetingRun)
ActivityFactory = Callable[[str, datetime, Native, Meeting], Activity]


class _RunPayload(VendorModel, Generic[Run]):
    object: Run


class RunEvent(VendorModel, Generic[Run]):
    event: Word
    event_ts: AnyMaybeTime = None
    payload: _RunPayload[Run]

    def activity(self, factory: ActivityFactory, what: str, who: str, at: datetime | None) -> Translation:
        """`event_ts` is the fallback: Zoom sends events seconds late."""
        run, time = self.payload.object, at or self.event_ts
        if time is None:
            return rejected("invalid", "event_ts", "is required where the object has no time of its own")
        meeting = run.meeting
        key = f"{what}:{meeting.id}:{meeting.instance}:{who}:{to_rfc3339(time)}"
        return (factory(key, time, Native(self.event, native_id_or_digest(run.id or run.uuid)), meeting),)


def waiting(event: RunEvent[_WaitingRun]) -> Translation:
    """In the waiting room, until admitted or until the host comes. People who wait are not absent, but they have met
    nobody: they count as an unknown person, so that the other side is not said to have missed the meeting. Once
    admitted, they join like anybody else."""
    participant = event.payload.object.participant
    return event.activity(
        partial(Joined, person=Person()), "joined", "", participant.join_time or participant.date_time
    )


def joined(event: RunEvent[_ParticipantRun]) -> Translation:
    who = event.payload.object.participant
    factory = partial(Joined, person=who.person, devices=who.devices)
    return event.activity(factory, "joined", who.device, who.join_time or who.date_time)


def left(event: RunEvent[_ParticipantRun]) -> Translation:
    who = event.payload.object.participant
    factory = partial(Left, person=who.person, devices=who.devices)
    return event.activity(factory, "left", who.device, who.leave_time or who.date_time)


def ended(event: RunEvent[_MeetingRun]) -> Translation:
    return event.activity(Ended, "ended", "", event.payload.object.end_time)


EndEvent, ParticipantEvent, WaitingEvent = RunEvent[_MeetingRun], RunEvent[_ParticipantRun], RunEvent[_WaitingRun]


WAITING = EventTranslator(WaitingEvent, waiting)
"""People who wait, are admitted or are called by phone or room system also join; if that event is lost, this one still
shows that somebody was there. People in a breakout room have joined before."""

CONVERTED = "meeting.converted_to_webinar"

EVENTS = WebhookEvents(
    "event",
    {
        "meeting.created": EventTranslator(NewMeeting, created),
        "meeting.updated": EventTranslator(MeetingChange, updated),
        "meeting.recovered": EventTranslator(MeetingChange, updated),
        "meeting.deleted": EventTranslator(Deletion, deleted),
        "meeting.participant_joined": EventTranslator(ParticipantEvent, joined),
        "meeting.participant_left": EventTranslator(ParticipantEvent, left),
        "meeting.participant_joined_waiting_room": WAITING,
        "meeting.participant_put_in_waiting_room": WAITING,
        "meeting.participant_admitted": WAITING,
        "meeting.participant_jbh_waiting": WAITING,
        "meeting.participant_phone_callout_accepted": WAITING,
        "meeting.participant_room_system_callout_accepted": WAITING,
        "meeting.ended": EventTranslator(EndEvent, ended),
    },
    # meeting.started is not used either: the host who started it joins too. A meeting that became a webinar is neither
    # cancelled nor missed: its people may still meet there, and who joins a webinar is not read.
    lambda event: Ignored("webinar" if event.startswith("webinar.") or event == CONVERTED else "event_not_used"),
)

HEADERS = Headers("x-zm-signature", "x-zm-request-timestamp")


class _Plain(VendorModel):
    plainToken: Ident  # noqa: N815 (Zoom's name)


VALIDATION = "endpoint.url_validation"


class _Validation(VendorModel):
    event: Literal["endpoint.url_validation"]
    payload: _Plain


def verify(received: Received, secret: str, now: datetime) -> Verification:
    # Verify first: an endpoint that signs any token for anybody would sign `v0:<timestamp>:<forged body>`.
    verification = verify_v0(received, secret, now, HEADERS)
    # Validation requests are rare: do not parse every payload twice.
    if not isinstance(verification, Verified) or VALIDATION.encode() not in received.body:
        return verification
    parsed = read_json(received.body)
    asked = read(_Validation, parsed.value) if isinstance(parsed, Parsed) else parsed
    if isinstance(asked, Rejected):
        return verification
    token = asked.payload.plainToken
    return Handshake(json.dumps({"plainToken": token, "encryptedToken": hmac_hex(secret, token.encode())}).encode())


# Zoom accepts 200 and 204 as delivered (Webhook delays, devsupport.zoom.us) and stops sending after three retries.
RECORDED = Answer(200, b'{"status": 200, "reason": "recorded"}')


def split(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads:
    return RawPayloads((received.body,), received.headers.get("content-type", JSON), RECORDED)


TOOL = Tool(name="zoom", verify=verify, translate=EVENTS.translate, redact=EVENTS.redact, split=split)
