"""Who came to which meeting of a tool, and who left, for as long as it is not full. It knows people of the roster only;
of others nothing is kept but when somebody came or left: who it was is not known, and it may have been one of ours."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Ended, Joined, Left, Meeting, Native, Statement
from services.ingest.domain.meetings.attendance import is_there

MOST_MEETINGS = 50_000
"""Held at a time, across all tools; a meeting of two takes about 2 KB."""
MOST_VISITS = 1_000
"""Of one meeting: a gathering of many, told twice each, is still whole."""
UNIDENTIFIED = ""
"""Stands for whoever is no participant that we know."""
MOST_UNIDENTIFIED = 20
"""Comings and goings of them in one meeting: that there were any is all that counts."""


@dataclass(frozen=True)
class Visit:
    """Somebody came or left."""

    participant: str
    verb: Literal["joined", "left"]
    key: str
    time: datetime
    native: Native


@dataclass(frozen=True)
class Gathering:
    """One meeting. Order and repetition of what the tool says do not matter."""

    visits: frozenset[Visit] = frozenset()
    ends: frozenset[Ended] = frozenset()

    @property
    def people(self) -> frozenset[str]:
        """Those of ours."""
        return frozenset(visit.participant for visit in self.visits) - {UNIDENTIFIED}

    @property
    def has_unidentified(self) -> bool:
        return any(visit.participant == UNIDENTIFIED for visit in self.visits)

    def with_visit(self, visit: Visit) -> "Gathering":
        is_known = visit.participant != UNIDENTIFIED
        alike = sum((one.participant != UNIDENTIFIED) is is_known for one in self.visits)
        is_full = alike >= (MOST_VISITS if is_known else MOST_UNIDENTIFIED)
        return self if is_full else replace(self, visits=self.visits | {visit})

    def with_end(self, end: Ended) -> "Gathering":
        return self if len(self.ends) >= MOST_VISITS else replace(self, ends=self.ends | {end})

    def without(self, said: Visit | Ended) -> "Gathering":
        return replace(self, visits=self.visits - {said}, ends=self.ends - {said})

    def of(self, people: frozenset[str]) -> frozenset[Visit]:
        """All comings and goings of these people: whoever did not say that they left has left when it was over."""
        own = {visit for visit in self.visits if visit.participant in people}
        left = {
            Visit(person, "left", end.key, end.time, end.native)
            for end in self.ends
            for person in people
            if self._is_there(person, end.time)
        }
        return frozenset(own | left)

    def _is_there(self, person: str, moment: datetime) -> bool:
        return is_there(visit for visit in self.visits if visit.participant == person and visit.time <= moment)


EMPTY = Gathering()


def visit(said: Joined | Left, participant: str) -> Visit:
    verb: Literal["joined", "left"] = "joined" if isinstance(said, Joined) else "left"
    known = Visit(participant, verb, said.key, said.time, said.native)
    return known if participant else of_anybody(known, said.meeting)


def of_anybody(one: Visit, meeting: Meeting) -> Visit:
    """What tells those apart whom nobody knows would be theirs, and is not kept."""
    key = f"unidentified:{one.verb}:{meeting.id}:{meeting.instance}:{to_rfc3339(one.time)}"
    return replace(one, participant=UNIDENTIFIED, key=key)


class Presence:
    """One thread tells it at a time, any thread asks. Of too many meetings the one not heard of for longest is
    forgotten."""

    def __init__(self, most: int = MOST_MEETINGS) -> None:
        self._most = most
        self._gatherings: OrderedDict[tuple[str, Meeting], Gathering] = OrderedDict()

    def at(self, source: str, meeting: Meeting) -> Gathering:
        return self._gatherings.get((source, meeting), EMPTY)

    def apply(self, source: str, said: Statement, participant: str = UNIDENTIFIED) -> None:
        """`participant` is whom `said` is about."""
        match said:
            case Joined(meeting=meeting) | Left(meeting=meeting):
                self._keep((source, meeting), self.at(source, meeting).with_visit(visit(said, participant)))
            case Ended(meeting=meeting):
                # Even of a meeting that nobody of ours is known to be in: it may be told before who came.
                self._keep((source, meeting), self.at(source, meeting).with_end(said))
            case _:
                pass

    def _keep(self, key: tuple[str, Meeting], gathering: Gathering) -> None:
        self._gatherings.pop(key, None)
        self._gatherings[key] = gathering
        if len(self._gatherings) > self._most:
            self._gatherings.popitem(last=False)
