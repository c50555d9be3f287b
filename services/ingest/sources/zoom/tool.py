"""Zoom's webhooks: bookings, joins, leaves and waiting rooms, ends of runs, and signature verification. Zoom signs
every request and periodically validates the endpoint."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import model_validator

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
    signed,
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
    blank_if_unread,
    native_id,
    read,
)
from services.ingest.sources.webhook_events import EventReading, WebhookEvents
from services.ingest.sources.zoom.bookings import Deletion, MeetingChange, NewMeeting, created, deleted, updated


class _Participant(VendorModel):
    """`id` and `participant_user_id` are the account, empty for a guest; `user_id` and `participant_uuid` are valid in
    this meeting only; `email` may be empty even for colleagues. `date_time` is the time of the event, whatever its
    type."""

    id: MaybePersonId = ""
    participant_user_id: MaybePersonId = ""
    user_id: MaybeIdent = ""
    participant_uuid: MaybeIdent = ""
    registrant_id: MaybePersonId = ""
    email: MaybeAddress = ""
    join_time: AnyMaybeTime = None
    leave_time: AnyMaybeTime = None
    date_time: AnyMaybeTime = None

    @property
    def person(self) -> Person:
        return Person(self.participant_user_id or self.id or self.registrant_id, self.email.strip())

    @property
    def presence(self) -> str:
        """Identifies one connection of one device."""
        return self.participant_uuid or self.user_id or self.person.id or self.person.address.lower()


class _ZoomRun(VendorModel):
    """One run of a meeting. `id` is a number or text and may be missing; `uuid` identifies the run and contains `/` and
    `==`. The `duration` is the scheduled one and is not read."""

    id: MaybeIdent = ""
    uuid: MaybeIdent = ""
    end_time: AnyMaybeTime = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.id and not self.uuid:
            raise ValueError("needs an id or a uuid")
        return self

    @property
    def meeting(self) -> Meeting:
        return Meeting(self.id, self.uuid)


class _Attended(_ZoomRun):
    """A participant who cannot be read still joined or left, as an unknown person."""

    participant: Annotated[_Participant, blank_if_unread(_Participant)] = _Participant()


class _AtDoor(VendorModel):
    date_time: AnyMaybeTime = None
    join_time: AnyMaybeTime = None


class _Awaited(_ZoomRun):
    participant: Annotated[_AtDoor, blank_if_unread(_AtDoor)] = _AtDoor()


Run = TypeVar("Run", bound=_ZoomRun)
Said = Callable[[str, datetime, Native, Meeting], Activity]


class _OfRun(VendorModel, Generic[Run]):
    object: Run


class RunEvent(VendorModel, Generic[Run]):
    event: Word
    event_ts: AnyMaybeTime = None
    payload: _OfRun[Run]

    def says(self, said: Said, what: str, who: str, at: datetime | None) -> Translation:
        """`event_ts` is the fallback: Zoom sends events seconds late."""
        run, time = self.payload.object, at or self.event_ts
        if time is None:
            return rejected("invalid", "event_ts", "is required where the object has no time of its own")
        meeting = run.meeting
        key = f"{what}:{meeting.id}:{meeting.instance}:{who}:{to_rfc3339(time)}"
        return (said(key, time, Native(self.event, native_id(run.id or run.uuid)), meeting),)


def waits(told: RunEvent[_Awaited]) -> Translation:
    """In the waiting room, until admitted or until the host comes. People who wait are not absent, but they have met
    nobody: they count as an unknown person, so that the other side is not said to have missed the meeting. Once
    admitted, they join like anybody else."""
    door = told.payload.object.participant
    return told.says(partial(Joined, person=Person()), "joined", "", door.join_time or door.date_time)


def joined(told: RunEvent[_Attended]) -> Translation:
    who = told.payload.object.participant
    return told.says(partial(Joined, person=who.person), "joined", who.presence, who.join_time or who.date_time)


def left(told: RunEvent[_Attended]) -> Translation:
    who = told.payload.object.participant
    return told.says(partial(Left, person=who.person), "left", who.presence, who.leave_time or who.date_time)


def ended(told: RunEvent[_ZoomRun]) -> Translation:
    return told.says(Ended, "ended", "", told.payload.object.end_time)


EndEvent, ParticipantEvent, WaitingEvent = RunEvent[_ZoomRun], RunEvent[_Attended], RunEvent[_Awaited]


WAITED = EventReading(WaitingEvent, waits)
"""People who wait, are admitted or are called by phone or room system also join; if that event is lost, this one still
shows that somebody was there. People in a breakout room have joined before."""

EVENTS = WebhookEvents(
    "event",
    {
        "meeting.created": EventReading(NewMeeting, created),
        "meeting.updated": EventReading(MeetingChange, updated),
        "meeting.recovered": EventReading(MeetingChange, updated),
        "meeting.deleted": EventReading(Deletion, deleted),
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
    # meeting.started is not used either: the host who started it joins too.
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
    # Verify first: an endpoint that signs any token for anybody would sign `v0:<timestamp>:<forged body>`.
    proof = verify_v0(received, secret, now, HEADERS)
    # Validation requests are rare: do not parse every payload twice.
    if not isinstance(proof, Verified) or VALIDATION.encode() not in received.body:
        return proof
    parsed = read_json(received.body)
    asked = read(_Validation, parsed.value) if isinstance(parsed, Parsed) else parsed
    if isinstance(asked, Rejected):
        return proof
    token = asked.payload.plainToken
    return Handshake(json.dumps({"plainToken": token, "encryptedToken": signed(secret, token.encode())}).encode())


# Zoom accepts 200 and 204 as delivered (Webhook delays, devsupport.zoom.us) and stops sending after three retries.
RECORDED = Answer(200, b'{"status": 200, "reason": "recorded"}')


def take(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads:
    return RawPayloads((received.body,), received.headers.get("content-type", JSON), RECORDED)


TOOL = Tool(name="zoom", verify=verify, translate=EVENTS.translate, keep=EVENTS.keep, take=take)
