"""What tools said of a meeting after they had booked it. Requests of one tool come in any order: a change, or the end,
of a booking may be told before the booking, and a part of a change before an earlier one."""

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.ingest.domain.activity import Booked, Cancelled, Meeting, MeetingMoved, Statement
from services.ingest.domain.people.relationship_history import Relationship

MOST_REVISED = 50_000
"""Meetings held at a time, across all tools: also those that are none of our business, for who meets is told by their
booking only."""
MOST_REVISIONS = 20
"""Of one meeting, the latest: people seldom change their mind so often within a day."""
MOST_BYTES = 200_000_000
"""Of all meetings, about. Most have a revision or two of two people; one that everybody is asked to has a thousand, and
a revision for each who answers."""
REVISION_BYTES, GUEST_BYTES = 1_300, 50
"""As measured of a revision, and of each who is known to take part or to have declined."""


class Guests(NamedTuple):
    """Of a meeting: who is known to take part, who has declined, and how many take part of whom nobody knows who they
    are: by no address, or by one that is not in the directory, for people have several."""

    present: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    unknown: int = 0

    def may_be(self, relationship: Relationship) -> bool:
        """Whether each side that is not named may be somebody unknown."""
        missing = [side for side in (relationship.mentors, relationship.mentees) if not side & self.present]
        return len(missing) <= self.unknown and all(side - self.declined for side in missing)


NO_GUESTS = Guests()


class Revision(NamedTuple):
    said: Booked | MeetingMoved | Cancelled
    guests: Guests = NO_GUESTS

    @property
    def size(self) -> int:
        """In bytes, about."""
        return REVISION_BYTES + GUEST_BYTES * (len(self.guests.present) + len(self.guests.declined))


class Revisions:
    """One thread tells it at a time, any thread asks. Of too many meetings, or too much of them, the one not heard of
    for longest is forgotten. It knows people of the roster only."""

    def __init__(self, most: int = MOST_REVISED, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._of: OrderedDict[tuple[str, Meeting], tuple[Revision, ...]] = OrderedDict()

    def apply(self, source: str, said: Statement, guests: Guests = NO_GUESTS) -> None:
        """`guests` are those of a booking. What is said of a part of the guests only says nothing of the meeting;
        whatever is no revision changes nothing."""
        match said:
            case Booked(is_partial=False) if said.starts_at < said.ends_at:
                nobody = replace(said, people=(), declined=(), new=())
                self._keep((source, said.meeting), Revision(nobody, guests))
            case MeetingMoved():
                self._keep((source, said.meeting), Revision(said))
            case Cancelled(is_partial=False):
                self._keep((source, said.meeting), Revision(replace(said, people=())))
            case _:
                pass

    def after(self, source: str, meeting: Meeting, moment: datetime) -> tuple[Revision, ...]:
        """What happened to the meeting after that moment, in order; the end of a whole series is that of its dates."""
        own = self._of.get((source, meeting), ())
        of_series = self._of.get((source, Meeting(meeting.id)), ()) if meeting.instance else ()
        found = (*own, *(one for one in of_series if isinstance(one.said, Cancelled)))
        return tuple(sorted((one for one in found if one.said.time > moment), key=_in_order))

    def _keep(self, key: tuple[str, Meeting], one: Revision) -> None:
        known = self._of.pop(key, ())
        kept = known if one in known else tuple(sorted((*known, one), key=_in_order))[-MOST_REVISIONS:]
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
    lasts = said.ends_at - said.starts_at
    return MeetingMoved(said.key, said.time, said.native, said.meeting, said.starts_at, lasts, is_back=True)


def _size(revisions: tuple[Revision, ...]) -> int:
    return sum(one.size for one in revisions)


def _in_order(one: Revision) -> tuple[datetime, str]:
    return one.said.time, one.said.key
