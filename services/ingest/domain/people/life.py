"""What the log has told of one relationship, as far as its people and its times go, and what stands of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from services.ingest.domain.people.relationship import Relationship


class Key(NamedTuple):
    """Which fact: copies that differ in type or time are two."""

    source: str
    id: str
    type: str
    time: datetime


class Started(NamedTuple):
    program: str
    mentors: frozenset[str]
    mentees: frozenset[str]
    coordinator: str | None


class Ended(NamedTuple):
    pass


class Paused(NamedTuple):
    pause_id: str
    begin: datetime
    until: datetime | None


class Resumed(NamedTuple):
    pause_id: str | None


Fact = Started | Ended | Paused | Resumed


class Pause(NamedTuple):
    """One that has not been closed by a resume; `told` is the fact to retract where it was wrong."""

    told: Key
    pause_id: str
    begin: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Life:
    """In the order of the log; of repeats the first stands. A retraction may come before what it retracts."""

    facts: tuple[tuple[Key, Fact], ...] = ()
    retracted: frozenset[Key] = frozenset()

    def told(self, event: OfRelationship) -> "Life":
        if isinstance(event.data, p.EventRetracted):
            target = event.data
            return replace(self, retracted=self.retracted | {Key(target.source, target.id, target.type, target.time)})
        fact, key = _fact(event), Key(event.source, event.id, event.type, event.time)
        if fact is None or any(key == known for known, _ in self.facts):
            return self
        return replace(self, facts=(*self.facts, (key, fact)))

    def merged(self, other: "Life") -> "Life":
        """What either knows, the facts of `other` first."""
        known = {told for told, _ in other.facts}
        new = tuple((told, fact) for told, fact in self.facts if told not in known)
        return Life((*other.facts, *new), self.retracted | other.retracted)

    def at(self, tenant: str, relationship: str, moment: datetime) -> Relationship | None:
        """None where no start stands. Before its first start it is what it is going to be."""
        starts = sorted(
            ((key.time, fact) for key, fact in self._standing() if isinstance(fact, Started)), key=lambda s: s[0]
        )
        if not starts:
            return None
        begin, start = next((s for s in reversed(starts) if s[0] <= moment), starts[0])
        following = next((time for time, _ in starts if time > begin), None)
        ends = (key.time for key, fact in self._standing() if isinstance(fact, Ended))
        ended = min((end for end in ends if begin <= end and not (following and end > following)), default=None)
        return Relationship(
            tenant, relationship, start.program, start.mentors, start.mentees, start.coordinator, begin, ended
        )

    def people(self) -> frozenset[str]:
        """Everybody who ever was of it."""
        facts = [fact for _, fact in self.facts if isinstance(fact, Started)]
        return frozenset().union(*(fact.mentors | fact.mentees for fact in facts))

    def pauses(self) -> tuple[Pause, ...]:
        return tuple(
            Pause(key, fact.pause_id, fact.begin, fact.until)
            for key, fact in self._standing()
            if isinstance(fact, Paused) and not self._is_closed(key.time, fact.pause_id)
        )

    def _is_closed(self, since: datetime, pause_id: str) -> bool:
        return any(
            isinstance(fact, Resumed) and key.time >= since and fact.pause_id in {None, pause_id}
            for key, fact in self._standing()
        )

    def _standing(self) -> list[tuple[Key, Fact]]:
        return [(key, fact) for key, fact in self.facts if key not in self.retracted]


def _fact(event: OfRelationship) -> Fact | None:
    match event.data:
        case p.RelationshipStarted() as data:
            return Started(event.program, frozenset(data.mentors), frozenset(data.mentees), data.coordinator)
        case p.RelationshipEnded():
            return Ended()
        case p.RelationshipPaused() as data:
            return Paused(data.pause_id, data.from_ or event.time, data.until)
        case p.RelationshipResumed() as data:
            return Resumed(data.pause_id)
        case _:
            return None
