"""What Zoom sends of who is in a meeting, and what that says of attendance: who joins, leaves or waits at the door, and
when a run of a meeting ends."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import model_validator

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Ended, Joined, Left, Meeting, Native, Person, Translation
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.vendor_model import (
    AnyMaybeTime,
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    VendorModel,
    Word,
    blank_if_unread,
    native_id,
)


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


class _RunPayload(VendorModel):
    object: _ZoomRun


class _AttendedPayload(VendorModel):
    object: _Attended


class _AwaitedPayload(VendorModel):
    object: _Awaited


class EndEvent(VendorModel):
    event: Word
    event_ts: AnyMaybeTime = None
    payload: _RunPayload


class ParticipantEvent(VendorModel):
    event: Word
    event_ts: AnyMaybeTime = None
    payload: _AttendedPayload


class WaitingEvent(VendorModel):
    """Somebody waits until they are let in, or until the host comes."""

    event: Word
    event_ts: AnyMaybeTime = None
    payload: _AwaitedPayload


def waits(told: WaitingEvent) -> Translation:
    """Whoever is kept at the door was not absent, and has not met anybody: as with a guest whom nobody can name, nobody
    knows that the other side did not come. Once they are let in, they join like anybody else."""
    at_door = told.payload.object.participant
    return _seen(Joined, told, at_door.join_time or at_door.date_time, "", Person())


def joined(told: ParticipantEvent) -> Translation:
    who = told.payload.object.participant
    return _seen(Joined, told, who.join_time or who.date_time, who.presence, who.person)


def left(told: ParticipantEvent) -> Translation:
    who = told.payload.object.participant
    return _seen(Left, told, who.leave_time or who.date_time, who.presence, who.person)


def ended(told: EndEvent) -> Translation:
    run = told.payload.object
    time = run.end_time or told.event_ts
    if time is None:
        return _timeless()
    key, native = _attendance_key("ended", run.meeting, "", time), Native(told.event, native_id(run.id or run.uuid))
    return (Ended(key, time, native, run.meeting),)


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
