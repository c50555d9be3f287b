"""What Zoom offers: which event is read as a booking or as attendance, who joins, leaves or waits at the door, when a
run of a meeting ends, and how a request proves where it comes from. Zoom signs every request; now and then it asks the
endpoint to sign something too."""

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
    """`id` and `participant_user_id` are the account, empty for a guest; `user_id` and `participant_uuid` hold in
    this meeting only; `email` may be empty even for colleagues. `date_time` is when it happened, whatever it was."""

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
        """One way in, of one device."""
        return self.participant_uuid or self.user_id or self.person.id or self.person.address.lower()


class _ZoomRun(VendorModel):
    """`id` is a number or text, and may be missing; `uuid` is of this run, with `/` and `==` in it. The `duration`
    is the scheduled one."""

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
    """Of a participant who cannot be read somebody came or left all the same: they are not absent."""

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
        """`event_ts` comes last: what Zoom sends, it sends seconds later."""
        run, time = self.payload.object, at or self.event_ts
        if time is None:
            return rejected("invalid", "event_ts", "is required where the object has no time of its own")
        meeting = run.meeting
        key = f"{what}:{meeting.id}:{meeting.instance}:{who}:{to_rfc3339(time)}"
        return (said(key, time, Native(self.event, native_id(run.id or run.uuid)), meeting),)


def waits(told: RunEvent[_Awaited]) -> Translation:
    """Until they are let in, or until the host comes. Whoever is kept at the door was not absent, and has not met
    anybody: as with a guest whom nobody can name, nobody knows that the other side did not come. Once they are let in,
    they join like anybody else."""
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
"""Who waits, is let in or is called by phone or in a room joins too; where that is not heard, somebody was there all
the same. Whoever goes to a breakout room has joined before."""

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
    # Of all that Zoom sends hardly anything asks this: the rest is read once, when it is recorded.
    if not isinstance(proof, Verified) or VALIDATION.encode() not in received.body:
        return proof
    parsed = read_json(received.body)
    asked = read(_Validation, parsed.value) if isinstance(parsed, Parsed) else parsed
    if isinstance(asked, Rejected):
        return proof
    token = asked.payload.plainToken
    return Handshake(json.dumps({"plainToken": token, "encryptedToken": signed(secret, token.encode())}).encode())


# Zoom takes 200 and 204 for delivered (Webhook delays, devsupport.zoom.us) and stops sending after three retries.
RECORDED = Answer(200, b'{"status": 200, "reason": "recorded"}')


def take(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads:
    return RawPayloads((received.body,), received.headers.get("content-type", JSON), RECORDED)


TOOL = Tool(name="zoom", verify=verify, translate=EVENTS.translate, keep=EVENTS.keep, take=take)
