"""The history of one relationship as known at some time: its events, the facts they leave, and which were retracted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.events import OfRelationship
from schemas.payloads import RelationshipErased, SessionHeld
from schemas.primitives import to_micros
from services.scoring.domain.bounds import NONE
from services.scoring.domain.explaining.story import words_of
from services.scoring.domain.facts import Fact, Facts, Key, facts_of, merge_into

RETRACTED_LATER = " (retracted later)"
NEVER_RECEIVED = "a report that was retracted and never came"
Logged = tuple[int, OfRelationship]
"""An event with its position on the log."""


class StatedFact(NamedTuple):
    """A fact with the event that stated it."""

    key: Key
    event: OfRelationship
    stands: bool


@dataclass(frozen=True)
class KnownHistory:
    """`stated`: every fact once, in the order of facts. `later`: how many events were recorded after `known_at`.
    `erased`: nothing may be shown, whatever was known at the time."""

    relationship: str
    program: str
    known_at: int | None
    facts: Facts
    stated: tuple[StatedFact, ...]
    later: int
    erased: bool

    def words(self) -> dict[int, tuple[str, ...]]:
        """What happened at each instant, and what does not count."""
        stated = [(key, words_of(event) + ("" if stands else RETRACTED_LATER)) for key, event, stands in self.stated]
        marks = [(key, NEVER_RECEIVED) for key, fact in self.facts.items() if fact.position == NONE]
        found: dict[int, tuple[str, ...]] = {}
        for key, words in (*stated, *marks):
            found[key.time] = (*found.get(key.time, ()), words)
        return found

    def standing(self, upto: int) -> list[OfRelationship]:
        return [event for key, event, stands in self.stated if stands and key.time <= upto]

    def last_held(self, upto: int) -> int | None:
        """When the last session was held."""
        held = (key.time for key, event, stands in self.stated if stands and isinstance(event.data, SessionHeld))
        return max((time for time in held if time <= upto), default=None)


def known_history(relationship: str, log: Sequence[Logged], known_at: int | None) -> KnownHistory:
    """From all events of the relationship in log order: those recorded up to `known_at`."""
    known = [(n, event) for n, event in log if known_at is None or to_micros(event.recordedtime) <= known_at]
    facts: dict[Key, Fact] = {}
    first_events: dict[Key, OfRelationship] = {}
    for position, event in known:
        new_facts = facts_of(event, position)
        merge_into(facts, new_facts)
        for key, fact in new_facts.items():
            if facts[key].position == fact.position == position:
                first_events[key] = event
    return KnownHistory(
        relationship=relationship,
        # As the first fact named it; it never changes.
        program=next((event.program for position, event in known if facts_of(event, position)), ""),
        known_at=known_at,
        facts=facts,
        stated=tuple(StatedFact(key, first_events[key], facts[key].stands) for key in sorted(first_events)),
        later=len(log) - len(known),
        erased=any(isinstance(event.data, RelationshipErased) for _, event in log),
    )
