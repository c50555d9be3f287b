"""Who is paired with whom, and from when to when."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import Instant, Side

MOST_STARTS = 15
"""Of one relationship, the latest: a start names up to 200 people, and all of a record has to stay below 1 MiB."""
MOST_CHANGES = 250
"""Ends, pauses and resumptions of one relationship, the latest: years of leaves."""
MOST_RETRACTED = 200


@dataclass(frozen=True)
class Relationship:
    """As its latest start before some moment says; `ended` is the end that followed, if one did."""

    tenant: str
    id: str
    program: str
    mentors: frozenset[str]
    mentees: frozenset[str]
    coordinator: str | None
    started: datetime
    ended: datetime | None = None

    @property
    def people(self) -> frozenset[str]:
        return self.mentors | self.mentees

    def role(self, participant: str) -> Side | None:
        if participant in self.mentors:
            return "mentor"
        return "mentee" if participant in self.mentees else None

    def meets(self, present: AbstractSet[str]) -> bool:
        """Whether one of each side is there; somebody on both sides is no company for themselves."""
        mentors, mentees = self.mentors & present, self.mentees & present
        return bool(mentors and mentees) and len(mentors | mentees) > 1

    def is_over(self, moment: datetime) -> bool:
        return self.ended is not None and self.ended < moment


class FactKey(NamedTuple):
    """Which fact: copies that differ in type or time are two."""

    source: str
    id: str
    type: str
    time: Instant


def key_of(event: OfRelationship) -> FactKey:
    """Of the fact that it tells, or retracts."""
    told = event.data if isinstance(event.data, p.EventRetracted) else event
    return FactKey(told.source, told.id, told.type, told.time)


class StartedFact(NamedTuple):
    program: str
    mentors: frozenset[str]
    mentees: frozenset[str]
    coordinator: str | None


class EndedFact(NamedTuple):
    pass


class PausedFact(NamedTuple):
    pause_id: str
    begin: Instant
    until: Instant | None


class ResumedFact(NamedTuple):
    pause_id: str | None


Fact = StartedFact | EndedFact | PausedFact | ResumedFact


class Pause(NamedTuple):
    """One that has not been closed by a resume; `told` is the fact to retract where it was wrong."""

    told: FactKey
    pause_id: str
    begin: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class RelationshipHistory:
    """In the order of the log; of repeats the first stands. A retraction may come before what it retracts."""

    facts: tuple[tuple[FactKey, Fact], ...] = ()
    retracted: frozenset[FactKey] = frozenset()

    def told(self, event: OfRelationship) -> "RelationshipHistory":
        if isinstance(event.data, p.EventRetracted):
            return replace(self, retracted=self.retracted | {key_of(event)})
        fact, key = _fact(event), key_of(event)
        if fact is None or any(key == known for known, _ in self.facts):
            return self
        return replace(self, facts=(*self.facts, (key, fact)))

    def merged(self, other: "RelationshipHistory") -> "RelationshipHistory":
        """What either knows, the facts of `other` first."""
        known = {told for told, _ in other.facts}
        new = tuple((told, fact) for told, fact in self.facts if told not in known)
        return RelationshipHistory((*other.facts, *new), self.retracted | other.retracted)

    def at(self, tenant: str, relationship: str, moment: datetime) -> Relationship | None:
        """None where no start stands. Before its first start it is what it is going to be."""
        starts = sorted(
            ((key.time, fact) for key, fact in self.standing() if isinstance(fact, StartedFact)), key=lambda s: s[0]
        )
        if not starts:
            return None
        begin, start = next((s for s in reversed(starts) if s[0] <= moment), starts[0])
        following = next((time for time, _ in starts if time > begin), None)
        ends = (key.time for key, fact in self.standing() if isinstance(fact, EndedFact))
        ended = min((end for end in ends if begin <= end and not (following and end > following)), default=None)
        return Relationship(
            tenant, relationship, start.program, start.mentors, start.mentees, start.coordinator, begin, ended
        )

    def people(self) -> frozenset[str]:
        """Everybody who ever was of it."""
        facts = [fact for _, fact in self.facts if isinstance(fact, StartedFact)]
        return frozenset().union(*(fact.mentors | fact.mentees for fact in facts))

    def pauses(self) -> tuple[Pause, ...]:
        standing = self.standing()
        resumed = [(key.time, fact.pause_id) for key, fact in standing if isinstance(fact, ResumedFact)]
        return tuple(
            Pause(key, fact.pause_id, fact.begin, fact.until)
            for key, fact in standing
            if isinstance(fact, PausedFact)
            and not any(time >= key.time and closed in {None, fact.pause_id} for time, closed in resumed)
        )

    def has(self, event: OfRelationship) -> bool:
        """Whether it is told already, retracted or not, or, of a retraction, what it takes back is retracted."""
        if isinstance(event.data, p.EventRetracted):
            return key_of(event) in self.retracted
        keys = (*(key for key, _ in self.facts), *self.retracted)
        return any((key.source, key.id) == (event.source, event.id) for key in keys)

    def without(self, sources: AbstractSet[str]) -> "RelationshipHistory":
        """What others than these say."""
        facts = tuple((key, fact) for key, fact in self.facts if key.source not in sources)
        return RelationshipHistory(facts, frozenset(one for one in self.retracted if one.source not in sources))

    def standing(self) -> list[tuple[FactKey, Fact]]:
        return [(key, fact) for key, fact in self.facts if key not in self.retracted]


def bounded_history(history: RelationshipHistory, share: int = 1) -> RelationshipHistory:
    """What of it is kept: of starts, of changes and of retractions the latest that were told; one of `share` of what is
    kept usually."""
    most_starts, most_changes, most_retracted = (
        max(1, most // share) for most in (MOST_STARTS, MOST_CHANGES, MOST_RETRACTED)
    )
    starts = [told for told, fact in history.facts if isinstance(fact, StartedFact)]
    changes = [told for told, fact in history.facts if not isinstance(fact, StartedFact)]
    few = len(starts) <= most_starts and len(changes) <= most_changes
    if few and len(history.retracted) <= most_retracted:
        return history
    kept = frozenset([*starts[-most_starts:], *changes[-most_changes:]])
    facts = tuple((told, fact) for told, fact in history.facts if told in kept)
    # A retraction whose fact is gone as well may still come before it; the latest are kept.
    retracted = sorted(history.retracted, key=lambda told: told.time)[-most_retracted:]
    return replace(history, facts=facts, retracted=frozenset(retracted))


def is_overgrown(history: RelationshipHistory) -> bool:
    """Whether it has twice as much as is kept: nobody who tells of one relationship without end shall make each word
    on it cost more than the last."""
    return len(history.facts) > 2 * (MOST_STARTS + MOST_CHANGES) or len(history.retracted) > 2 * MOST_RETRACTED


def _fact(event: OfRelationship) -> Fact | None:
    match event.data:
        case p.RelationshipStarted() as data:
            return StartedFact(event.program, frozenset(data.mentors), frozenset(data.mentees), data.coordinator)
        case p.RelationshipEnded():
            return EndedFact()
        case p.RelationshipPaused() as data:
            return PausedFact(data.pause_id, data.from_ or event.time, data.until)
        case p.RelationshipResumed() as data:
            return ResumedFact(data.pause_id)
        case _:
            return None
