"""Activities that tools report, in terms of mentoring but about people; the roster later resolves their
relationships."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from schemas.payloads import Evidence
from services.ingest.domain.verdict import Ignored, Rejected


@dataclass(frozen=True)
class Person:
    """A person as identified by a tool. Empty means unknown; one identity suffices. `participant` is the id in our
    directory, if the tool has it; `id` is the tool's own; `address` is case-insensitive."""

    id: str = ""
    address: str = ""
    participant: str = ""


@dataclass(frozen=True)
class Native:
    """The tool's own type and id of the message: goes into `data.origin` and never contains an address."""

    type: str
    id: str


@dataclass(frozen=True)
class Meeting:
    """`id` is the tool's, stable from booking to end; `instance` distinguishes the dates of a recurring meeting, or the
    runs of a meeting that was started twice."""

    id: str
    instance: str = ""


@dataclass(frozen=True)
class Statement:
    """`key` is unique among the statements of a connection: a repeat has the same key and content, a new version has
    another key. `time` is when it happened, UTC."""

    key: str
    time: datetime
    native: Native


@dataclass(frozen=True)
class Booked(Statement):
    """A meeting is in a calendar, new or changed. `replaces` is the meeting that was moved here, if the tool gives a
    moved meeting another id. `people` are all attendees, unless it `is_partial`. Some may be unknown (empty, or not in
    the directory): they may be anybody but those who `declined`, unless they are `new`: then they replaced somebody
    else. `copy_of`: the common id of all copies, if each attendee has a copy with an id of its own."""

    meeting: Meeting
    starts_at: datetime
    ends_at: datetime
    people: tuple[Person, ...]
    replaces: Meeting | None = None
    is_partial: bool = False
    declined: tuple[Person, ...] = ()
    new: tuple[Person, ...] = ()
    copy_of: Meeting | None = None


@dataclass(frozen=True)
class MoveRequested(Statement):
    """A meeting is to replace another one when it is confirmed; the confirmation may not mention that. Until then
    nothing has changed."""

    meeting: Meeting
    replaces: Meeting


@dataclass(frozen=True)
class Cancelled(Statement):
    """`people` may be empty: then it applies to all who were booked. `starts_at` if the tool reports it. `is_partial`:
    only the pairs among `people` are cancelled; others still meet. `is_single`: only the meeting as it was before it
    became recurring, and none of its current dates. `copy_of` as in Booked."""

    meeting: Meeting
    people: tuple[Person, ...] = ()
    starts_at: datetime | None = None
    is_partial: bool = False
    copy_of: Meeting | None = None
    is_single: bool = False


@dataclass(frozen=True)
class MeetingMoved(Statement):
    """A booked meeting takes place at another time, or with other people, for a tool that reports only changes. A field
    of None is unchanged, and so are the people if there are none. It has no effect on a meeting that is not booked,
    unless it is a date `of_series`: of a series that is reported as one, so that the people of its other dates meet on
    this one. A cancelled meeting takes place again if it `is_back`, or has people. `copy_of` as in Booked."""

    meeting: Meeting
    starts_at: datetime | None = None
    lasts: timedelta | None = None
    is_back: bool = False
    copy_of: Meeting | None = None
    people: tuple[Person, ...] = ()
    of_series: bool = False


@dataclass(frozen=True)
class Missed(Statement):
    """Those in `absent` did not come to a booked meeting. `people`, which includes them, may be empty as in
    Cancelled."""

    meeting: Meeting
    absent: tuple[Person, ...]
    people: tuple[Person, ...] = ()
    evidence: Evidence = "self_reported"


@dataclass(frozen=True)
class Joined(Statement):
    """A guest or a phone may be unidentified: then the person is empty, but somebody was there. `devices` are the
    tool's names of the connection, valid in this meeting only: a tool may name the person in the join and not in the
    leave."""

    meeting: Meeting
    person: Person
    devices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Left(Statement):
    meeting: Meeting
    person: Person
    devices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ended(Statement):
    """A meeting is over for all attendees; it may be reported several times."""

    meeting: Meeting


@dataclass(frozen=True)
class GenericActivity(Statement):
    """Any other event of the catalogue: its type (`mentoring.goal.set.v1`) and its data without `by`, `evidence` and
    `origin`. It is about `relationship` if that is set, else about the pairs among `by` and `people`; without `people`
    about the only relationship of `by`. `actor` is set if neither side is the author: `by` then only identifies the
    relationship. `part` distinguishes several events of one statement for one relationship."""

    type: str
    data: Mapping[str, object]
    by: Person | None = None
    people: tuple[Person, ...] = ()
    relationship: str = ""
    evidence: Evidence = "observed"
    actor: Literal["admin", "system"] | None = None
    part: str = ""


@dataclass(frozen=True)
class Voided(Statement):
    """Retracts the statement of this connection with the key `target`; `slot` as in `event.retracted`. `by` is the
    author of that statement and `relationship` what it was about, if the tool names them: it may have been ignored."""

    target: str
    slot: str = ""
    # A tool may leave it out of a repeat, which is the same statement.
    by: Person | None = field(default=None, compare=False)
    relationship: str = ""


@dataclass(frozen=True)
class Employed(Statement):
    """The employment of a person. `left_on`: the day on which leave or exit takes effect, in `time_zone`. `back_on`:
    the day of return from leave, if known. `unsaid`: the fields that the feed does not report. `time_zone` and
    `consent` then apply only to a person who is new to the directory; with `leave`, an active person may be on
    leave."""

    participant: str
    name: str
    status: Literal["active", "leave", "exited"]
    addresses: tuple[str, ...] = ()
    identities: tuple[tuple[str, str], ...] = ()
    time_zone: str = "UTC"
    consent: bool = False
    left_on: date | None = None
    back_on: date | None = None
    unsaid: frozenset[str] = frozenset()


Activity = (
    Booked
    | MoveRequested
    | Cancelled
    | MeetingMoved
    | Missed
    | Joined
    | Left
    | Ended
    | GenericActivity
    | Voided
    | Employed
)


@dataclass(frozen=True)
class Pointer:
    """A notification without content: `resource` is to be fetched from the tool's API, in the notation of the tool's
    package."""

    resource: str


Translation = tuple[Activity, ...] | Pointer | Ignored | Rejected
"""A translated payload: its activities (never an empty tuple), a pointer, or why there are none."""
