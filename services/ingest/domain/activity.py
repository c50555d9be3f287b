"""What a tool says, in words of mentoring but still about people: the roster knows later which relationship it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from schemas.payloads import Evidence
from services.ingest.domain.verdict import Ignored, Rejected


@dataclass(frozen=True)
class Person:
    """Someone as a tool knows them. Empty is unknown; one that is known suffices. `participant` is the id in our
    directory, where the tool says it; `id` is the tool's own; `address` is compared without regard to case."""

    id: str = ""
    address: str = ""
    participant: str = ""


@dataclass(frozen=True)
class Native:
    """How the tool calls what it sent: goes into `data.origin` and never holds an address."""

    type: str
    id: str


@dataclass(frozen=True)
class Meeting:
    """`id` is the tool's, stable from booking to end; `instance` tells one date of a recurring meeting, or one run of
    a meeting started twice, from the others."""

    id: str
    instance: str = ""


@dataclass(frozen=True)
class Statement:
    """`key` tells it from everything else that this connection says: a repeat has the same key and the same content,
    a new version has another. `time` is when it happened, UTC."""

    key: str
    time: datetime
    native: Native


@dataclass(frozen=True)
class Booked(Statement):
    """A meeting stands in a calendar, new or changed: the roster knows which. `replaces` is the meeting that was moved
    here, where the tool gives a moved meeting another id. Nobody else takes part than `people`. Of them some may be
    unknown (empty, or by what the directory does not know): they may be anybody but those who `declined`, unless they
    are `new`: then they took the place of somebody else. If it `is_partial`, nothing is said of others. `copy_of`: what
    every copy of it is called, where each of those who take part has one, under an id of its own."""

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
    """A meeting is to take the place of another one once it is confirmed, which may not say so any more. Until then
    nothing has changed."""

    meeting: Meeting
    replaces: Meeting


@dataclass(frozen=True)
class Cancelled(Statement):
    """`people` may be empty: then it is of those who were booked. `starts_at` where the tool says it. `is_partial`: of
    the pairs among `people` only; others meet all the same. `is_single`: of the meeting as it was before it recurred,
    and of none of the dates that it has now. `copy_of` as in Booked."""

    meeting: Meeting
    people: tuple[Person, ...] = ()
    starts_at: datetime | None = None
    is_partial: bool = False
    copy_of: Meeting | None = None
    is_single: bool = False


@dataclass(frozen=True)
class MeetingMoved(Statement):
    """A booked meeting takes place at another time, or with other people: for a tool that says only what changed. None
    stays as it was, and so do the people where none are named. Of a meeting that nobody knows to be booked it says
    nothing, unless it is a date `of_series`: of a series that is told as a whole, so that whoever meets on its other
    dates meets on this one. One that was called off takes place again if it `is_back`, or names people. `copy_of` as in
    Booked."""

    meeting: Meeting
    starts_at: datetime | None = None
    lasts: timedelta | None = None
    is_back: bool = False
    copy_of: Meeting | None = None
    people: tuple[Person, ...] = ()
    of_series: bool = False


@dataclass(frozen=True)
class Missed(Statement):
    """Those in `absent` did not come to a booked meeting. `people` (with them) may be empty, as in Cancelled."""

    meeting: Meeting
    absent: tuple[Person, ...]
    people: tuple[Person, ...] = ()
    evidence: Evidence = "self_reported"


@dataclass(frozen=True)
class Joined(Statement):
    """Who a guest or a phone is may be unknown: then the person is empty, and somebody was there all the same."""

    meeting: Meeting
    person: Person


@dataclass(frozen=True)
class Left(Statement):
    meeting: Meeting
    person: Person


@dataclass(frozen=True)
class Ended(Statement):
    """A meeting is over, whoever was there; it may be told several times."""

    meeting: Meeting


@dataclass(frozen=True)
class GenericActivity(Statement):
    """Any other event of the catalogue: its type (`mentoring.goal.set.v1`) and its data without `by`, `evidence` and
    `origin`. It is about `relationship` if that is given, else about the pairs among `by` and `people`. With nobody
    but `by`, it is about their only relationship. `actor` is set where neither of the two said it: `by` then only
    tells whose relationship it is. `part` tells what one statement says of one relationship several times apart."""

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
    """What this connection said under `target` (a key) shall stand no more; `slot` as in `event.retracted`."""

    target: str
    slot: str = ""


@dataclass(frozen=True)
class Employed(Statement):
    """A person of the directory. `left_on`: leave or exit takes effect that day, in `time_zone`; `back_on`: the day
    they are back from leave, where it is known. `unsaid`: of `time_zone` and `consent`, what the feed does not speak
    of, so that it holds only of somebody of whom nothing is known yet; of `leave`, so that who is active may be on
    one."""

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
    """The notification holds nothing itself: `resource` is what has to be fetched from the tool's API, in the words of
    the tool's package."""

    resource: str


Translation = tuple[Activity, ...] | Pointer | Ignored | Rejected
"""A payload as a whole: what it says (never an empty tuple), or why it says nothing."""
