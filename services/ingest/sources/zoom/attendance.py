"""Who was in a meeting, and when: join and leave come in any order, the end comes several times."""

from datetime import datetime
from typing import Self

from pydantic import model_validator

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.said import Ended, Joined, Left, Meeting, Native, Person, Translation
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.native import native_id
from services.ingest.sources.reading import (
    EpochMilliseconds,
    Foreign,
    MaybeAddress,
    MaybeIdent,
    MaybePersonId,
    MaybeTime,
    Word,
    read,
)


class _Participant(Foreign):
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


class _Run(Foreign):
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


class _Attended(_Run):
    participant: _Participant


class _RunPayload(Foreign):
    object: _Run


class _AttendedPayload(Foreign):
    object: _Attended


class EndEvent(Foreign):
    event: Word
    event_ts: EpochMilliseconds | None = None
    payload: _RunPayload


class ParticipantEvent(Foreign):
    event: Word
    event_ts: EpochMilliseconds | None = None
    payload: _AttendedPayload


def joined(value: object) -> Translation:
    told = read(ParticipantEvent, value)
    if isinstance(told, Rejected):
        return told
    time = _happened(told, told.payload.object.participant.join_time)
    return _attended(Joined, told, time)


def left(value: object) -> Translation:
    told = read(ParticipantEvent, value)
    if isinstance(told, Rejected):
        return told
    time = _happened(told, told.payload.object.participant.leave_time)
    return _attended(Left, told, time)


def ended(value: object) -> Translation:
    told = read(EndEvent, value)
    if isinstance(told, Rejected):
        return told
    run = told.payload.object
    time = run.end_time or told.event_ts
    if time is None:
        return _timeless()
    return (
        Ended(
            _key("ended", run.meeting, "", time), time, Native(told.event, native_id(run.id or run.uuid)), run.meeting
        ),
    )


def _happened(told: ParticipantEvent, named: datetime | None) -> datetime | None:
    """What Zoom sends, it sends seconds later."""
    return named or told.payload.object.participant.date_time or told.event_ts


def _attended(said: type[Joined] | type[Left], told: ParticipantEvent, time: datetime | None) -> Translation:
    run = told.payload.object
    who = run.participant
    if time is None:
        return _timeless()
    if who.person == Person():
        return Ignored("unidentified_guest")
    key = _key(said.__name__.lower(), run.meeting, who.presence, time)
    return (said(key, time, Native(told.event, native_id(run.id or run.uuid)), run.meeting, who.person),)


def _key(what: str, meeting: Meeting, who: str, time: datetime) -> str:
    return f"{what}:{meeting.id}:{meeting.instance}:{who}:{to_rfc3339(time)}"


def _timeless() -> Rejected:
    return rejected("invalid", "event_ts", "is required where the object has no time of its own")
