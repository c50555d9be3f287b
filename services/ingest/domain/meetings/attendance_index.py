"""Who joined and left each meeting of a tool, as far as its activities have said so."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Ended, Joined, Left, Meeting, Native, Statement
from services.ingest.domain.ids import digest
from services.ingest.domain.meetings.attendance import is_present

MAX_MEETINGS = 50_000
"""Limit across all tools; a meeting of two takes about 2 KB."""
MAX_VISITS = 1_000
"""Limit of one meeting: a large meeting, with each event reported twice, still fits."""
UNIDENTIFIED = ""
"""Stands for anybody who is no known participant."""
MAX_UNIDENTIFIED = 20
"""Joins and leaves of unidentified people in one meeting: only their presence counts."""


@dataclass(frozen=True)
class Visit:
    """A join or a leave. `devices` are digests of the tool's names of the connection."""

    participant: str
    verb: Literal["joined", "left"]
    key: str
    time: datetime
    native: Native
    devices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MeetingAttendance:
    """The attendance of one meeting. Order and repetition of a tool's events do not matter. `session` is the session of
    the first event on the log: later events belong to it, whatever was booked meanwhile."""

    visits: frozenset[Visit] = frozenset()
    ends: frozenset[Ended] = frozenset()
    session: str = ""

    @property
    def people(self) -> frozenset[str]:
        """The identified participants."""
        return frozenset(visit.participant for visit in self.visits) - {UNIDENTIFIED}

    @property
    def has_unidentified(self) -> bool:
        return any(visit.participant == UNIDENTIFIED for visit in self.visits)

    def with_visit(self, visit: Visit) -> "MeetingAttendance":
        is_identified = visit.participant != UNIDENTIFIED
        alike = sum((one.participant != UNIDENTIFIED) is is_identified for one in self.visits)
        is_full = alike >= (MAX_VISITS if is_identified else MAX_UNIDENTIFIED)
        return self if is_full else replace(self, visits=self.visits | {visit})

    def with_end(self, end: Ended) -> "MeetingAttendance":
        return self if len(self.ends) >= MAX_VISITS else replace(self, ends=self.ends | {end})

    def without(self, activity: Visit | Ended) -> "MeetingAttendance":
        return replace(self, visits=self.visits - {activity}, ends=self.ends - {activity})

    def participant_on(self, devices: frozenset[str]) -> str:
        """Return the participant who joined or left on one of these devices; UNIDENTIFIED if there is none, or if
        several did."""
        found = {visit.participant for visit in self.visits if visit.devices & devices} - {UNIDENTIFIED}
        return found.pop() if len(found) == 1 else UNIDENTIFIED

    def visits_of(self, people: frozenset[str]) -> frozenset[Visit]:
        """Return all joins and leaves of these people; somebody without a leave left at the end of the meeting."""
        visits = {self._attributed(visit) for visit in self.visits}
        own = {visit for visit in visits if visit.participant in people}
        left = {
            Visit(person, "left", end.key, end.time, end.native)
            for end in self.ends
            for person in people
            if is_present(visit for visit in visits if visit.participant == person and visit.time <= end.time)
        }
        return frozenset(own | left)

    def _attributed(self, visit: Visit) -> Visit:
        """Without an identity of its own, a visit belongs to whoever was identified on the same device."""
        if visit.participant != UNIDENTIFIED or not visit.devices:
            return visit
        return replace(visit, participant=self.participant_on(visit.devices))


EMPTY = MeetingAttendance()


def visit_of(activity: Joined | Left, participant: str) -> Visit:
    verb: Literal["joined", "left"] = "joined" if isinstance(activity, Joined) else "left"
    devices = frozenset(digest("device", one) for one in activity.devices)
    found = Visit(participant, verb, activity.key, activity.time, activity.native, devices)
    return found if participant else anonymise(found, activity.meeting)


def anonymise(one: Visit, meeting: Meeting) -> Visit:
    """Drop the identity of an unidentified visitor, which would be personal data."""
    key = f"unidentified:{one.verb}:{meeting.id}:{meeting.instance}:{to_rfc3339(one.time)}"
    return replace(one, participant=UNIDENTIFIED, key=key)


class AttendanceIndex:
    """Attendance by meeting. One writer thread; readable from any thread. It stores participants of the roster only; of
    anybody else only the time of the join or leave, because they may be a participant. Over its limit it evicts the
    meeting that was updated longest ago."""

    def __init__(self, most: int = MAX_MEETINGS) -> None:
        self._most = most
        self._attendances: OrderedDict[tuple[str, Meeting], MeetingAttendance] = OrderedDict()

    def at(self, source: str, meeting: Meeting) -> MeetingAttendance:
        return self._attendances.get((source, meeting), EMPTY)

    def apply(self, source: str, activity: Statement, participant: str = UNIDENTIFIED, session: str = "") -> None:
        """`participant` is the person of the activity, `session` the session of its events, empty if none were
        emitted."""
        match activity:
            case Joined(meeting=meeting) | Left(meeting=meeting):
                attendance = self.at(source, meeting).with_visit(visit_of(activity, participant))
            case Ended(meeting=meeting):
                # Also for a meeting without known participants: the end may arrive before the joins.
                attendance = self.at(source, meeting).with_end(activity)
            case _:
                return
        self._attendances.pop((source, meeting), None)
        self._attendances[source, meeting] = replace(attendance, session=attendance.session or session)
        if len(self._attendances) > self._most:
            self._attendances.popitem(last=False)
