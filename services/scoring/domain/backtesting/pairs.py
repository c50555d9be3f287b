"""Pairs: all that is known of a relationship, and when its two were in contact."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.scoring.domain.bounds import DAY
from services.scoring.domain.facts import Facts
from services.scoring.domain.kinds import CONTACTS, Kind


class Span(NamedTuple):
    """From the first contact to the last instant of which anything is known, in microseconds."""

    begin: int
    end: int


@dataclass(frozen=True)
class Pair:
    """`contacts` are the times of its standing contacts, `days` the days since 1970 that have one; both ascend."""

    name: str
    facts: Facts
    contacts: tuple[int, ...]
    days: tuple[int, ...]

    def contacts_upto(self, at: int) -> int:
        return bisect_right(self.contacts, at)

    def days_upto(self, at: int) -> int:
        """Contact days with a contact at or before this instant."""
        seen = self.contacts_upto(at)
        return bisect_right(self.days, self.contacts[seen - 1] // DAY) if seen else 0

    def next_contact(self, after: int) -> int | None:
        seen = self.contacts_upto(after)
        return self.contacts[seen] if seen < len(self.contacts) else None


@dataclass(frozen=True)
class Histories:
    """The pairs that were ever in contact."""

    pairs: tuple[Pair, ...]
    span: Span


def histories_of(facts: Mapping[str, Facts], end: int) -> Histories | None:
    """`end`: the last instant of which anything is known. None if nobody was ever in contact. Nothing is learnt from
    a relationship that was erased."""
    pairs = tuple(pair for pair in _pairs(facts) if pair.contacts)
    if not pairs:
        return None
    return Histories(pairs, Span(min(pair.contacts[0] for pair in pairs), end))


def _pairs(facts: Mapping[str, Facts]) -> Iterable[Pair]:
    for name in sorted(facts):
        known = facts[name]
        if any(key.kind == Kind.ERASED for key in known):
            continue
        contacts = sorted(key.time for key, fact in known.items() if key.kind in CONTACTS and fact.stands)
        yield Pair(name, known, tuple(contacts), tuple(sorted({time // DAY for time in contacts})))
