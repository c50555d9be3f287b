"""Commands that people give about alerts, on `mentoring.alert-commands`, and the silences that result.

The only free text is a coordinator's note of one line. It is shown on the board and in the messages of its alert
only."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.alerts import DedupKey, SubjectKind
from schemas.primitives import EventId, Id, Instant, Message, TimeOfDay
from schemas.scores import Name

ClosingReason = Literal["acted", "knew", "agreed_pause", "data_wrong", "no_reply"]
NoteText = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1F\x7F-\x9F]*$")]
MAX_PROGRAMS = 200


class Acknowledge(Message):
    """Somebody is looking after the alert. Without `until` this holds for three working days."""

    kind: Literal["acknowledge"]
    until: Instant | None = None
    note: NoteText = ""


class Unacknowledge(Message):
    kind: Literal["unacknowledge"]


class Snooze(Message):
    """Sends nothing before `until`. With wake on change, it ends earlier if the condition gets worse."""

    kind: Literal["snooze"]
    until: Instant
    wakes_on: Literal["date", "change"] = "date"
    note: NoteText = ""


class Assign(Message):
    """Assigns the alert. Without an assignee it is unassigned."""

    kind: Literal["assign"]
    assignee: Id | None = None


class AddNote(Message):
    kind: Literal["note"]
    note: NoteText


class Vote(Message):
    """Whether the alert was useful, and how it ended."""

    kind: Literal["vote"]
    useful: bool
    reason: ClosingReason


class PutSilence(Message):
    """Notifications that match every given field are not sent until then; the end of an alert is always sent."""

    kind: Literal["silence"]
    silence: Id
    program: Id | None = None
    relationship: Id | None = None
    rule: Name | None = None
    until: Instant
    note: NoteText = ""


class EndSilence(Message):
    kind: Literal["unsilence"]
    silence: Id


class SwitchOff(Message):
    """Unsubscribes the actor from mails that match every given field. With no field given only P1 is still sent."""

    kind: Literal["switch_off"]
    rule: Name | None = None
    relationship: Id | None = None


class SwitchOn(Message):
    """Reverts a `switch_off` with the same fields."""

    kind: Literal["switch_on"]
    rule: Name | None = None
    relationship: Id | None = None


class DigestAt(Message):
    """When the actor receives the digest, in their time zone; without `at` at the common time."""

    kind: Literal["digest_at"]
    at: TimeOfDay | None = None


class OpensWith(Message):
    """Which alerts the board shows first for the actor: those assigned to them, those of programmes that name them, or
    all that they may see."""

    kind: Literal["opens_with"]
    scope: Literal["mine", "team", "all"]


OnAlert = Acknowledge | Unacknowledge | Snooze | Assign | AddNote | Vote
Act = OnAlert | PutSilence | EndSilence | SwitchOff | SwitchOn | DigestAt | OpensWith


class AlertReference(Message):
    """The alert that is meant. `dedup_key` names the episode that the person saw."""

    subject_kind: SubjectKind = "relationship"
    subject: Id
    rule: Name
    dedup_key: DedupKey


class AlertCommand(Message):
    """One action of one person. `id` is the idempotency key. `programs`: the programmes on whose alerts the person may
    act, as vouched for by the component that authenticated them; None means all of the tenant. `alert` is omitted if
    the action concerns silences or the person's own settings."""

    id: EventId
    tenant: Id
    by: Id
    at: Instant
    programs: Annotated[tuple[Id, ...], Field(max_length=MAX_PROGRAMS)] | None = None
    alert: AlertReference | None = None
    act: Annotated[Act, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _names_an_alert_where_it_is_about_one(self) -> Self:
        if (self.alert is not None) != isinstance(self.act, OnAlert):
            raise ValueError("`alert` is required, and left out where the act is about silences or settings")
        return self


class AlertSilence(Message):
    """A silence, as stored on `mentoring.notify-state`. An expired silence is replaced by a tombstone."""

    id: Id
    tenant: Id
    program: Id | None = None
    relationship: Id | None = None
    rule: Name | None = None
    by: Id
    since: Instant
    until: Instant
    note: NoteText = ""
