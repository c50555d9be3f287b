"""What tools said of a meeting after they had booked it. Requests of one tool come in any order: a change, or the end,
of a booking may be told before the booking, and a part of a change before an earlier one."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.ingest.domain.activity import Booked, Cancelled, Meeting, MeetingMoved, MoveRequested, Statement
from services.ingest.domain.people.relationship_history import Relationship

MOST_REVISED = 50_000
"""Meetings held at a time, across all tools: also those that are none of our business, for who meets is told by their
booking only."""
MOST_REVISIONS = 20
"""Of one meeting, the latest: people seldom change their mind so often within a day."""
MOST_BYTES = 200_000_000
"""Of all meetings, about. Most have a revision or two of two people; one that everybody is asked to has a thousand, and
a revision for each who answers."""
REVISION_BYTES, GUEST_BYTES, STRANGER_BYTES = 1_300, 50, 120
"""As measured of a revision, of each who is known to take part or to have declined, and of each of whom a digest tells
them apart from others."""


class Guests(NamedTuple):
    """Of a meeting: who is known to take part, who has declined, and how many take part of whom nobody knows who they
    are: by no address, or by one that is not in the directory, for people have several. `strangers` are the digests of
    those of them of whom anything is told: who was asked beside somebody in one version is not them in another."""

    present: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    unknown: int = 0
    strangers: frozenset[str] = frozenset()


NO_GUESTS = Guests()


class Revision(NamedTuple):
    said: Booked | MeetingMoved | Cancelled
    guests: Guests = NO_GUESTS

    @property
    def size(self) -> int:
        """In bytes, about."""
        present, declined, _, strangers = self.guests
        return REVISION_BYTES + GUEST_BYTES * (len(present) + len(declined)) + STRANGER_BYTES * len(strangers)

    def concerns(self, relationship: Relationship) -> bool:
        """A copy that was cancelled for those whom it names says nothing of who was asked in their place."""
        is_off = isinstance(self.said, Cancelled)
        return not is_off or not self.guests.present or relationship.meets(self.guests.present)

    def may_meet(self, relationship: Relationship, versions: Sequence["Revision"]) -> bool:
        """Whether each side that is not named may be somebody unknown, by this version of `versions` and those before.
        A pair that has ended has no sessions any more, whoever comes."""
        guests = self.guests
        sides = (relationship.mentors, relationship.mentees)
        missing = [side - guests.declined for side in sides if not side & guests.present]
        if relationship.is_over(self.said.time) or not all(missing):
            return False
        others = [self._others_than(side, versions) for side in missing]
        of_both = len(frozenset.intersection(*others)) if others else 0
        return all(guests.unknown > len(one) for one in others) and guests.unknown >= len(missing) + of_both

    def is_of(self, booked: Iterable[Relationship]) -> bool:
        """Whether all who are known to take part are of pairs that are booked: none of theirs is missing."""
        return self.guests.present <= frozenset[str]().union(*(one.people for one in booked))

    def _others_than(self, side: frozenset[str], versions: Sequence["Revision"]) -> frozenset[str]:
        """The strangers who are nobody of that side: they were asked beside each of it."""
        before = [one.guests for one in versions if one.said.time <= self.said.time]
        beside = (
            frozenset[str]().union(*(one.strangers for one in before if person in one.present)) for person in side
        )
        return self.guests.strangers.intersection(*beside)


class Revisions:
    """One thread tells it at a time, any thread asks. Of too many meetings, or too much of them, the one not heard of
    for longest is forgotten. It knows people of the roster, and digests of others."""

    def __init__(self, most: int = MOST_REVISED, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._of: OrderedDict[tuple[str, Meeting], tuple[Revision, ...]] = OrderedDict()
        self._shared: OrderedDict[tuple[str, Meeting], Meeting] = OrderedDict()
        self._requested: OrderedDict[tuple[str, Meeting], Meeting] = OrderedDict()

    def apply(self, source: str, said: Statement, guests: Guests = NO_GUESTS) -> None:
        """`guests` are those of a booking, of a change that names them, or of a cancelled copy. What is said of a part
        of the guests only says nothing of the meeting; whatever is no revision changes nothing."""
        match said:
            case Booked(is_partial=False) if said.starts_at < said.ends_at:
                self._keep(source, Revision(replace(said, people=(), declined=(), new=()), guests))
            case MeetingMoved() | Cancelled(is_partial=False):
                self._keep(source, Revision(replace(said, people=()), guests))
            case MoveRequested(meeting=meeting, replaces=replaced):
                self._requested[source, meeting] = replaced
                if len(self._requested) > self._most:
                    self._requested.popitem(last=False)
            case _:
                pass

    def requested(self, source: str, meeting: Meeting) -> Meeting | None:
        """In whose place it was to be, when it was asked for."""
        return self._requested.get((source, meeting))

    def after(
        self, source: str, meeting: Meeting, moment: datetime, copy_of: Meeting | None = None
    ) -> tuple[Revision, ...]:
        """What happened to the meeting after that moment, in order; the end of a whole series is that of its dates, and
        what is told of a copy is of all of them."""
        own = self.of(source, meeting, copy_of)
        of_series = self._of.get((source, Meeting(meeting.id)), ()) if meeting.instance else ()
        found = (*own, *(one for one in of_series if isinstance(one.said, Cancelled) and not one.said.is_single))
        return tuple(sorted((one for one in found if one.said.time > moment), key=_in_order))

    def of(self, source: str, *meetings: Meeting | None) -> tuple[Revision, ...]:
        """All that was told of a meeting, under whatever ids it and its copies have had."""
        shared = (self._shared.get((source, meeting)) for meeting in meetings if meeting)
        names = dict.fromkeys((*meetings, *shared))
        return tuple(one for meeting in names if meeting for one in self._of.get((source, meeting), ()))

    def _keep(self, source: str, one: Revision) -> None:
        own = source, one.said.meeting
        key = source, one.said.copy_of or self._shared.get(own) or one.said.meeting
        known = self._of.pop(key, ())
        told = [one]
        if key != own:
            # What was told of the copy before it was known to be one is of all of them.
            told += self._of.pop(own, ())
            self._shared.pop(own, None)
            self._shared[own] = key[1]
            if len(self._shared) > self._most:
                self._shared.popitem(last=False)
            self._bytes -= _size(tuple(told[1:]))
        kept = tuple(sorted(dict.fromkeys((*known, *told)), key=_in_order))[-MOST_REVISIONS:]
        self._of[key] = kept
        self._bytes += _size(kept) - _size(known)
        while len(self._of) > self._most or self._bytes > self._most_bytes:
            _, forgotten = self._of.popitem(last=False)
            self._bytes -= _size(forgotten)


def still_said(said: MeetingMoved, later: tuple[Revision, ...]) -> MeetingMoved:
    """What stands of a change when others came after it: of what they say too theirs stands."""
    moves = [as_move(one.said) for one in later if not isinstance(one.said, Cancelled)]
    starts_at: datetime | None = None if any(one.starts_at for one in moves) else said.starts_at
    lasts: timedelta | None = None if any(one.lasts for one in moves) else said.lasts
    return replace(said, starts_at=starts_at, lasts=lasts)


def as_move(said: Booked | MeetingMoved) -> MeetingMoved:
    """Of whoever takes part."""
    if isinstance(said, MeetingMoved):
        return said
    lasts, copy_of = said.ends_at - said.starts_at, said.copy_of
    moved = MeetingMoved(said.key, said.time, said.native, said.meeting, said.starts_at, lasts, copy_of=copy_of)
    return replace(moved, is_back=True)


def _size(revisions: tuple[Revision, ...]) -> int:
    return sum(one.size for one in revisions)


def _in_order(one: Revision) -> tuple[datetime, str]:
    return one.said.time, one.said.key
