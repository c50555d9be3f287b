"""What people ask of alerts, on `mentoring.alert-commands`, and the silences that come of it.

Free text is a coordinator's note, of one line; it is shown on the board and in the messages of its alert only."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.alerts import DedupKey, SubjectKind
from schemas.primitives import EventId, Id, Instant, Message, TimeOfDay
from schemas.scores import Name

ClosingReason = Literal["acted", "knew", "agreed_pause", "data_wrong", "no_reply"]
NoteText = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1F\x7F-\x9F]*$")]
MOST_PROGRAMS = 200


class Acknowledge(Message):
    """Somebody looks after it. Without `until` for three working days."""

    kind: Literal["acknowledge"]
    until: Instant | None = None
    note: NoteText = ""


class Unacknowledge(Message):
    kind: Literal["unacknowledge"]


class Snooze(Message):
    """Nothing is sent before `until`; where it wakes on a change, before it gets worse."""

    kind: Literal["snooze"]
    until: Instant
    wakes_on: Literal["date", "change"] = "date"
    note: NoteText = ""


class Assign(Message):
    """Without an assignee nobody has it."""

    kind: Literal["assign"]
    assignee: Id | None = None


class AddNote(Message):
    kind: Literal["note"]
    note: NoteText


class Vote(Message):
    """Whether the alert was of use, and what became of it."""

    kind: Literal["vote"]
    useful: bool
    reason: ClosingReason


class PutSilence(Message):
    """What matches all that is given is not sent until then; its end always is."""

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
    """Whoever acts wants no more mails of what matches all that is given; of nothing given: none but P1."""

    kind: Literal["switch_off"]
    rule: Name | None = None
    relationship: Id | None = None


class SwitchOn(Message):
    """Takes back what was switched off in the same words."""

    kind: Literal["switch_on"]
    rule: Name | None = None
    relationship: Id | None = None


class DigestAt(Message):
    """When whoever acts wants the digest, in their zone; without `at` when everybody gets it."""

    kind: Literal["digest_at"]
    at: TimeOfDay | None = None


class OpensWith(Message):
    """Which alerts the board opens with for whoever acts: what they hold, those of programmes that name them, or all
    that they may see."""

    kind: Literal["opens_with"]
    scope: Literal["mine", "team", "all"]


OnAlert = Acknowledge | Unacknowledge | Snooze | Assign | AddNote | Vote
Act = OnAlert | PutSilence | EndSilence | SwitchOff | SwitchOn | DigestAt | OpensWith


class AlertReference(Message):
    """Which alert is meant: `dedup_key` names the episode that the person saw."""

    subject_kind: SubjectKind = "relationship"
    subject: Id
    rule: Name
    dedup_key: DedupKey


class AlertCommand(Message):
    """One act of one person. `id` is the idempotency key. `programs`: on whose alerts the person may act, as whoever
    let the person in vouches; None: on all of the tenant. `alert` is left out where the act is about silences
    or the person's own settings."""

    id: EventId
    tenant: Id
    by: Id
    at: Instant
    programs: Annotated[tuple[Id, ...], Field(max_length=MOST_PROGRAMS)] | None = None
    alert: AlertReference | None = None
    act: Annotated[Act, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _names_an_alert_where_it_is_about_one(self) -> Self:
        if (self.alert is not None) != isinstance(self.act, OnAlert):
            raise ValueError("`alert` is required, and left out where the act is about silences or settings")
        return self


class AlertSilence(Message):
    """A silence as it stands on `mentoring.notify-state`; one that is over is replaced by nothing."""

    id: Id
    tenant: Id
    program: Id | None = None
    relationship: Id | None = None
    rule: Name | None = None
    by: Id
    since: Instant
    until: Instant
    note: NoteText = ""
