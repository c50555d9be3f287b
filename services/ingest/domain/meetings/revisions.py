"""The revisions of a meeting after its booking. A tool's requests arrive in any order: a change or cancellation may
arrive before the booking, and a partial change before an earlier one."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.ingest.domain.activity import Booked, Cancelled, Meeting, MeetingMoved, MoveRequested, Statement
from services.ingest.domain.people.relationship_history import Relationship

MAX_REVISED = 50_000
"""Meetings in memory, across all tools, including those of no pair: only the booking shows who meets."""
MAX_REVISIONS = 20
"""Of one meeting, the latest: people rarely change their minds more often within a day."""
MAX_BYTES = 200_000_000
"""Of all meetings, approximately. Most have a revision or two of two people; a meeting with everybody invited has a
thousand guests and a revision for each answer."""
REVISION_BYTES, GUEST_BYTES, STRANGER_BYTES = 1_300, 50, 120
"""Measured per revision, per guest who is known to take part or to have declined, and per stranger with a digest."""


class Guests(NamedTuple):
    """Guests of a meeting: participants who take part, those who declined, and the number of unidentified guests:
    without an address, or with one that is missing from the directory, because people have several. `strangers` are
    digests of the unidentified guests with an id or address: a stranger who was invited next to somebody in one version
    is not that person in another."""

    present: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    unknown: int = 0
    strangers: frozenset[str] = frozenset()


NO_GUESTS = Guests()


class Revision(NamedTuple):
    activity: Booked | MeetingMoved | Cancelled
    guests: Guests = NO_GUESTS

    @property
    def size(self) -> int:
        """In bytes, approximately."""
        present, declined, _, strangers = self.guests
        return REVISION_BYTES + GUEST_BYTES * (len(present) + len(declined)) + STRANGER_BYTES * len(strangers)

    def concerns(self, relationship: Relationship) -> bool:
        """A cancelled copy for the guests that it names says nothing about those invited in their place."""
        is_off = isinstance(self.activity, Cancelled)
        return not is_off or not self.guests.present or relationship.meets(self.guests.present)

    def may_meet(self, relationship: Relationship, versions: Sequence["Revision"]) -> bool:
        """Whether each side that is not named may be an unidentified guest, according to this and earlier versions of
        `versions`. A relationship that has ended has no sessions any more."""
        guests = self.guests
        sides = (relationship.mentors, relationship.mentees)
        missing = [side - guests.declined for side in sides if not side & guests.present]
        if relationship.is_over(self.activity.time) or not all(missing):
            return False
        others = [self._strangers_not_of(side, versions) for side in missing]
        of_both = len(frozenset.intersection(*others)) if others else 0
        return all(guests.unknown > len(one) for one in others) and guests.unknown >= len(missing) + of_both

    def is_of(self, booked: Iterable[Relationship]) -> bool:
        """Whether all identified participants belong to pairs that are booked: none of their pairs is missing."""
        return self.guests.present <= frozenset[str]().union(*(one.people for one in booked))

    def _strangers_not_of(self, side: frozenset[str], versions: Sequence["Revision"]) -> frozenset[str]:
        """The strangers who cannot be anybody of that side: each of its people was invited next to them."""
        before = [one.guests for one in versions if one.activity.time <= self.activity.time]
        beside = (
            frozenset[str]().union(*(one.strangers for one in before if person in one.present)) for person in side
        )
        return self.guests.strangers.intersection(*beside)


class Revisions:
    """One writer thread; readable from any thread. Over its limits it evicts the meeting that was updated longest ago.
    It stores participants of the roster, and digests of strangers."""

    def __init__(self, most: int = MAX_REVISED, most_bytes: int = MAX_BYTES) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._revisions: OrderedDict[tuple[str, Meeting], tuple[Revision, ...]] = OrderedDict()
        self._shared: OrderedDict[tuple[str, Meeting], Meeting] = OrderedDict()
        self._requested: OrderedDict[tuple[str, Meeting], Meeting] = OrderedDict()

    def apply(self, source: str, activity: Statement, guests: Guests = NO_GUESTS) -> None:
        """Apply an activity. `guests` are those of a booking, of a change that names them, or of a cancelled copy. A
        partial view of the guests and anything that is no revision change nothing."""
        match activity:
            case Booked(is_partial=False) if activity.starts_at < activity.ends_at:
                self._keep(source, Revision(replace(activity, people=(), declined=(), new=()), guests))
            case MeetingMoved() | Cancelled(is_partial=False):
                self._keep(source, Revision(replace(activity, people=()), guests))
            case MoveRequested(meeting=meeting, replaces=replaced):
                self._requested[source, meeting] = replaced
                if len(self._requested) > self._most:
                    self._requested.popitem(last=False)
            case _:
                pass

    def requested_meeting(self, source: str, meeting: Meeting) -> Meeting | None:
        """Return the meeting that a move request wants to replace."""
        return self._requested.get((source, meeting))

    def after(
        self, source: str, meeting: Meeting, moment: datetime, copy_of: Meeting | None = None
    ) -> tuple[Revision, ...]:
        """Return the meeting's revisions after that time, in order. The cancellation of a series applies to its dates,
        and revisions of a copy apply to all copies."""
        own = self.for_meetings(source, meeting, copy_of)
        of_series = self._revisions.get((source, Meeting(meeting.id)), ()) if meeting.instance else ()
        found = (
            *own,
            *(one for one in of_series if isinstance(one.activity, Cancelled) and not one.activity.is_single),
        )
        return tuple(sorted((one for one in found if one.activity.time > moment), key=_in_order))

    def for_meetings(self, source: str, *meetings: Meeting | None) -> tuple[Revision, ...]:
        """Return all revisions of a meeting under every id that it and its copies have had."""
        shared = (self._shared.get((source, meeting)) for meeting in meetings if meeting)
        names = dict.fromkeys((*meetings, *shared))
        return tuple(one for meeting in names if meeting for one in self._revisions.get((source, meeting), ()))

    def _keep(self, source: str, one: Revision) -> None:
        own = source, one.activity.meeting
        key = source, one.activity.copy_of or self._shared.get(own) or one.activity.meeting
        previous = self._revisions.pop(key, ())
        revisions = [one]
        if key != own:
            # Revisions of the copy from before its shared id was known apply to all copies.
            revisions += self._revisions.pop(own, ())
            self._shared.pop(own, None)
            self._shared[own] = key[1]
            if len(self._shared) > self._most:
                self._shared.popitem(last=False)
            self._bytes -= _size(tuple(revisions[1:]))
        latest = tuple(sorted(dict.fromkeys((*previous, *revisions)), key=_in_order))[-MAX_REVISIONS:]
        self._revisions[key] = latest
        self._bytes += _size(latest) - _size(previous)
        while len(self._revisions) > self._most or self._bytes > self._most_bytes:
            _, forgotten = self._revisions.popitem(last=False)
            self._bytes -= _size(forgotten)


def remaining_move(activity: MeetingMoved, later: tuple[Revision, ...]) -> MeetingMoved:
    """Return what remains of a move after later ones: values that a later revision also sets are dropped."""
    moves = [as_move(one.activity) for one in later if not isinstance(one.activity, Cancelled)]
    starts_at: datetime | None = None if any(one.starts_at for one in moves) else activity.starts_at
    lasts: timedelta | None = None if any(one.lasts for one in moves) else activity.lasts
    return replace(activity, starts_at=starts_at, lasts=lasts)


def as_move(activity: Booked | MeetingMoved) -> MeetingMoved:
    """Convert a booking to a move of those who take part."""
    if isinstance(activity, MeetingMoved):
        return activity
    lasts, copy_of = activity.ends_at - activity.starts_at, activity.copy_of
    moved = MeetingMoved(
        activity.key, activity.time, activity.native, activity.meeting, activity.starts_at, lasts, copy_of=copy_of
    )
    return replace(moved, is_back=True)


def _size(revisions: tuple[Revision, ...]) -> int:
    return sum(one.size for one in revisions)


def _in_order(one: Revision) -> tuple[datetime, str]:
    return one.activity.time, one.activity.key
