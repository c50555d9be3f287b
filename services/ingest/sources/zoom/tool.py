"""Zoom signs every request; now and then it asks the endpoint to sign something too."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Self

from pydantic import model_validator

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import (
    Activity,
    Booked,
    Cancelled,
    Ended,
    Joined,
    Left,
    Meeting,
    MeetingMoved,
    Native,
    Person,
    Translation,
)
from services.ingest.domain.cloudevents import JSON, Parsed, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import allow_list
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
    EpochMilliseconds,
    Ident,
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    MaybeTime,
    VendorModel,
    Word,
    native_id,
    read,
)
from services.ingest.sources.zoom.model import NO_FIXED_TIME, RECURRING, Date, ZoomBookingEvent


class _Participant(VendorModel):
    """`id` and `participant_user_id` are the account, empty for a guest; `user_id` and `participant_uuid` hold in
    this meeting only; `email` may be empty even for colleagues. `date_time` is when it happened, whatever it was."""

    id: MaybePersonId = ""
    participant_user_id: MaybePersonId = ""
    user_id: MaybeIdent = ""
    participant_uuid: MaybeIdent = ""
    registrant_id: MaybePersonId = ""
    email: MaybeAddress = ""
    join_time: MaybeTime = None
    leave_time: MaybeTime = None
    date_time: MaybeTime = None

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
    end_time: MaybeTime = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.id and not self.uuid:
            raise ValueError("needs an id or a uuid")
        return self

    @property
    def meeting(self) -> Meeting:
        return Meeting(self.id, self.uuid)


class _Attended(_ZoomRun):
    participant: _Participant


class _AtDoor(VendorModel):
    date_time: MaybeTime = None
    join_time: MaybeTime = None


class _Awaited(_ZoomRun):
    participant: _AtDoor


class _RunPayload(VendorModel):
    object: _ZoomRun


class _AttendedPayload(VendorModel):
    object: _Attended


class _AwaitedPayload(VendorModel):
    object: _Awaited


class EndEvent(VendorModel):
    event: Word
    event_ts: EpochMilliseconds | None = None
    payload: _RunPayload


class ParticipantEvent(VendorModel):
    event: Word
    event_ts: EpochMilliseconds | None = None
    payload: _AttendedPayload


class WaitingEvent(VendorModel):
    """Somebody waits until they are let in, or until the host comes."""

    event: Word
    event_ts: EpochMilliseconds | None = None
    payload: _AwaitedPayload


def waits(value: object) -> Translation:
    """Whoever is kept at the door was not absent, and has not met anybody: as with a guest whom nobody can name, nobody
    knows that the other side did not come. Once they are let in, they join like anybody else."""
    told = read(WaitingEvent, value)
    if isinstance(told, Rejected):
        return told
    at_door = told.payload.object.participant
    return _seen(Joined, told, at_door.join_time or at_door.date_time, "", Person())


def joined(value: object) -> Translation:
    return _attended(Joined, value, lambda participant: participant.join_time)


def left(value: object) -> Translation:
    return _attended(Left, value, lambda participant: participant.leave_time)


def ended(value: object) -> Translation:
    told = read(EndEvent, value)
    if isinstance(told, Rejected):
        return told
    run = told.payload.object
    time = run.end_time or told.event_ts
    if time is None:
        return _timeless()
    key, native = _attendance_key("ended", run.meeting, "", time), Native(told.event, native_id(run.id or run.uuid))
    return (Ended(key, time, native, run.meeting),)


def _attended(
    said: type[Joined] | type[Left], value: object, named: Callable[[_Participant], datetime | None]
) -> Translation:
    told = read(ParticipantEvent, value)
    if isinstance(told, Rejected):
        return told
    who = told.payload.object.participant
    return _seen(said, told, named(who) or who.date_time, who.presence, who.person)


def _seen(
    said: type[Joined] | type[Left],
    told: ParticipantEvent | WaitingEvent,
    at: datetime | None,
    presence: str,
    person: Person,
) -> Translation:
    """`event_ts` comes last: what Zoom sends, it sends seconds later."""
    run, time = told.payload.object, at or told.event_ts
    if time is None:
        return _timeless()
    key = _attendance_key(said.__name__.lower(), run.meeting, presence, time)
    return (said(key, time, Native(told.event, native_id(run.id or run.uuid)), run.meeting, person),)


def _attendance_key(what: str, meeting: Meeting, who: str, time: datetime) -> str:
    return f"{what}:{meeting.id}:{meeting.instance}:{who}:{to_rfc3339(time)}"


def _timeless() -> Rejected:
    return rejected("invalid", "event_ts", "is required where the object has no time of its own")


def created(value: object) -> Translation:
    told = read(ZoomBookingEvent, value)
    if isinstance(told, Rejected):
        return told
    if told.payload.object.type in NO_FIXED_TIME:
        return Ignored("no_fixed_time")
    return _whole([_booked(told, date) for date in told.payload.object.dates], "no_fixed_time")


def updated(value: object) -> Translation:
    """Zoom names what has changed and what it was before; of a meeting taken back out of the trash it names all but
    those who were invited, who are seldom named anyway."""
    told = read(ZoomBookingEvent, value)
    if isinstance(told, Rejected):
        return told
    meeting = told.payload.object
    if meeting.type in NO_FIXED_TIME:
        return Ignored("no_fixed_time")
    changed = [_changed(told, date) for date in meeting.dates]
    dropped = [_cancelled(told, date) for date in (*meeting.dropped, *told.payload.replaced)]
    return _whole([*changed, *dropped], "nothing_used_has_changed")


def deleted(value: object) -> Translation:
    told = read(ZoomBookingEvent, value)
    if isinstance(told, Rejected):
        return told
    meeting = told.payload.object
    is_whole = meeting.type == RECURRING and not meeting.occurrences
    # Of a whole series that is not told by its dates, whatever lies ahead is off, and the first of them may be over.
    dates = (Date(Meeting(meeting.id), None, None),) if is_whole else (*meeting.dates, *meeting.dropped)
    return _whole([_cancelled(told, date) for date in dates], "already_over")


def _whole(said: list[Activity | None], otherwise: str) -> Translation:
    return tuple(each for each in said if each) or Ignored(otherwise)


def _booked(told: ZoomBookingEvent, date: Date) -> Booked | None:
    if not date.starts_at or not date.lasts:
        return None
    return Booked(
        key=told.key(date.meeting),
        time=told.event_ts,
        native=told.native,
        meeting=date.meeting,
        starts_at=date.starts_at,
        ends_at=date.starts_at + date.lasts,
        people=told.payload.people,
    )


def _changed(told: ZoomBookingEvent, date: Date) -> Booked | MeetingMoved | None:
    if told.payload.object.invitees and date.starts_at and date.lasts:
        return _booked(told, date)
    if not date.starts_at and not date.lasts:
        return None
    return MeetingMoved(told.key(date.meeting), told.event_ts, told.native, date.meeting, date.starts_at, date.lasts)


def _no_longer_there(told: ZoomBookingEvent) -> tuple[Date, ...]:
    """Dates that a new rhythm has replaced. Only where Zoom says that all were updated is the list of them complete."""
    payload = told.payload
    if payload.scope != "all" or not payload.object.occurrences or not payload.old_object:
        return ()
    kept = {occurrence.occurrence_id for occurrence in payload.object.occurrences}
    former = payload.old_object.occurrences or ()
    return tuple(
        Date(Meeting(payload.object.id, each.occurrence_id), payload.object.utc(each.start_time), None)
        for each in former
        if each.occurrence_id not in kept
    )


def _cancelled(told: ZoomBookingEvent, date: Date) -> Cancelled | None:
    # People tidy up: a meeting that has begun is no longer called off when it is deleted.
    if date.starts_at and date.starts_at <= told.event_ts:
        return None
    key = told.key(date.meeting)
    return Cancelled(key, told.event_ts, told.native, date.meeting, starts_at=date.starts_at)


class _ZoomEvent(VendorModel):
    event: Word


READ: dict[str, type[VendorModel]] = {
    "meeting.created": ZoomBookingEvent,
    "meeting.updated": ZoomBookingEvent,
    "meeting.recovered": ZoomBookingEvent,
    "meeting.deleted": ZoomBookingEvent,
    "meeting.participant_joined": ParticipantEvent,
    "meeting.participant_left": ParticipantEvent,
    "meeting.participant_joined_waiting_room": WaitingEvent,
    "meeting.participant_jbh_waiting": WaitingEvent,
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
        case "meeting.participant_joined_waiting_room" | "meeting.participant_jbh_waiting":
            return waits(value)
        case "meeting.ended":
            return ended(value)
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
