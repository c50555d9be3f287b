"""What Zoom sends of who is in a meeting, and what that says of attendance: who joins, leaves or waits at the door, and
when a run of a meeting ends."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Generic, Self, TypeVar

from pydantic import model_validator

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Activity, Ended, Joined, Left, Meeting, Native, Person, Translation
from services.ingest.domain.verdict import rejected
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
