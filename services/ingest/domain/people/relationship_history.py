"""The history of a relationship: who is paired with whom, from when to when, and its pauses."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import Instant, Side

MAX_STARTS = 15
"""The latest starts of one relationship: a start names up to 200 people, and a record must stay below 1 MiB."""
MAX_CHANGES = 250
"""The latest ends, pauses and resumptions of one relationship: years of leaves."""
MAX_RETRACTED = 200
LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Relationship:
    """As of some moment, by its latest start before it; `ended` is the end that followed, if any."""

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
        """Whether somebody of each side is present. One person on both sides does not meet themselves."""
        mentors, mentees = self.mentors & present, self.mentees & present
        return bool(mentors and mentees) and len(mentors | mentees) > 1

    def is_over(self, moment: datetime) -> bool:
        return self.ended is not None and self.ended < moment


class FactKey(NamedTuple):
    """Identifies a fact. Copies that differ in type or time are two facts."""

    source: str
    id: str
    type: str
    time: Instant


def key_of(event: OfRelationship) -> FactKey:
    """The key of the fact that the event states or retracts."""
    stated = event.data if isinstance(event.data, p.EventRetracted) else event
    return FactKey(stated.source, stated.id, stated.type, stated.time)


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
    """A pause that no resumption has closed; `fact` is the key to retract if the pause was wrong."""

    fact: FactKey
    pause_id: str
    begin: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class RelationshipHistory:
    """Facts in the order of the log; the first of repeats counts. A retraction may precede the fact that it
    retracts."""

    facts: tuple[tuple[FactKey, Fact], ...] = ()
    retracted: frozenset[FactKey] = frozenset()

    def with_event(self, event: OfRelationship) -> "RelationshipHistory":
        if isinstance(event.data, p.EventRetracted):
            return replace(self, retracted=self.retracted | {key_of(event)})
        fact, key = _fact(event), key_of(event)
        if fact is None or any(key == existing for existing, _ in self.facts):
            return self
        return replace(self, facts=(*self.facts, (key, fact)))

    def merge(self, other: "RelationshipHistory") -> "RelationshipHistory":
        """The facts of both, those of `other` first."""
        existing = {key for key, _ in other.facts}
        new = tuple((key, fact) for key, fact in self.facts if key not in existing)
        return RelationshipHistory((*other.facts, *new), self.retracted | other.retracted)

    def at(self, tenant: str, relationship: str, moment: datetime) -> Relationship | None:
        """None if no start is effective. Before its first start, the relationship is as that start states."""
        effective = self.effective_facts()
        starts = sorted(
            ((key.time, fact) for key, fact in effective if isinstance(fact, StartedFact)), key=lambda s: s[0]
        )
        if not starts:
            return None
        begin, start = next((s for s in reversed(starts) if s[0] <= moment), starts[0])
        following = next((time for time, _ in starts if time > begin), None)
        ends = (key.time for key, fact in effective if isinstance(fact, EndedFact))
        ended = min((end for end in ends if begin <= end and not (following and end > following)), default=None)
        return Relationship(
            tenant, relationship, start.program, start.mentors, start.mentees, start.coordinator, begin, ended
        )

    def from_then_on(self, tenant: str, relationship: str, moment: datetime) -> list[tuple[Relationship, datetime]]:
        """The relationship as of the moment and of each later start, each with the next start, which replaces it."""
        starts = {key.time for key, fact in self.effective_facts() if isinstance(fact, StartedFact)}
        moments = sorted({moment, *(one for one in starts if one > moment)})
        found = {one.started: one for time in moments if (one := self.at(tenant, relationship, time))}
        return [(one, min((time for time in starts if time > begin), default=LATEST)) for begin, one in found.items()]

    def people(self) -> frozenset[str]:
        """Everybody who was ever part of the relationship."""
        facts = [fact for _, fact in self.facts if isinstance(fact, StartedFact)]
        return frozenset().union(*(fact.mentors | fact.mentees for fact in facts))

    def pauses(self) -> tuple[Pause, ...]:
        effective = self.effective_facts()
        resumed = [(key.time, fact.pause_id) for key, fact in effective if isinstance(fact, ResumedFact)]
        return tuple(
            Pause(key, fact.pause_id, fact.begin, fact.until)
            for key, fact in effective
            if isinstance(fact, PausedFact)
            and not any(time >= key.time and closed in {None, fact.pause_id} for time, closed in resumed)
        )

    def has(self, event: OfRelationship) -> bool:
        """Whether the event is in the history, retracted or not. For a retraction: whether its target is retracted."""
        if isinstance(event.data, p.EventRetracted):
            return key_of(event) in self.retracted
        keys = (*(key for key, _ in self.facts), *self.retracted)
        return any((key.source, key.id) == (event.source, event.id) for key in keys)

    def without(self, sources: AbstractSet[str]) -> "RelationshipHistory":
        """The history without the facts of these sources."""
        facts = tuple((key, fact) for key, fact in self.facts if key.source not in sources)
        return RelationshipHistory(facts, frozenset(one for one in self.retracted if one.source not in sources))

    def effective_facts(self) -> list[tuple[FactKey, Fact]]:
        """Those that are not retracted."""
        return [(key, fact) for key, fact in self.facts if key not in self.retracted]


def bounded_history(history: RelationshipHistory, share: int = 1) -> RelationshipHistory:
    """The latest starts, changes and retractions of the history, up to the limits divided by `share`."""
    most_starts, most_changes, most_retracted = (
        max(1, most // share) for most in (MAX_STARTS, MAX_CHANGES, MAX_RETRACTED)
    )
    starts = [key for key, fact in history.facts if isinstance(fact, StartedFact)]
    changes = [key for key, fact in history.facts if not isinstance(fact, StartedFact)]
    few = len(starts) <= most_starts and len(changes) <= most_changes
    if few and len(history.retracted) <= most_retracted:
        return history
    retained = frozenset([*starts[-most_starts:], *changes[-most_changes:]])
    facts = tuple((key, fact) for key, fact in history.facts if key in retained)
    # A retraction without its fact may precede it; the latest are kept.
    retracted = sorted(history.retracted, key=lambda key: key.time)[-most_retracted:]
    return replace(history, facts=facts, retracted=frozenset(retracted))


def exceeds_bounds(history: RelationshipHistory) -> bool:
    """Whether the history is twice as large as its bounds. Otherwise endless events of one relationship would make each
    one cost more than the last."""
    return len(history.facts) > 2 * (MAX_STARTS + MAX_CHANGES) or len(history.retracted) > 2 * MAX_RETRACTED


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
