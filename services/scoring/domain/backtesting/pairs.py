"""Pairs: all that is known of a relationship, when its two were in contact, and what live scoring saw of it."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.scoring.domain.backtesting.measures import Floats
from services.scoring.domain.bounds import DAY, ONE
from services.scoring.domain.evaluation import Moment, features, scores_of
from services.scoring.domain.facts import Facts
from services.scoring.domain.kinds import CONTACTS, FactKind
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import FEATURES
from services.scoring.domain.timeline import Timeline


class HistorySpan(NamedTuple):
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
class PairHistories:
    """The pairs that were ever in contact."""

    pairs: tuple[Pair, ...]
    span: HistorySpan


def histories_of(facts: Mapping[str, Facts], end: int) -> PairHistories | None:
    """`end`: the last instant of which anything is known. None if nobody was ever in contact. Nothing is learnt from
    a relationship that was erased."""
    pairs = tuple(pair for pair in _pairs(facts) if pair.contacts)
    if not pairs:
        return None
    return PairHistories(pairs, HistorySpan(min(pair.contacts[0] for pair in pairs), end))


def _pairs(facts: Mapping[str, Facts]) -> Iterable[Pair]:
    for name in sorted(facts):
        known = facts[name]
        if any(key.kind == FactKind.ERASED for key in known):
            continue
        contacts = sorted(key.time for key, fact in known.items() if key.kind in CONTACTS and fact.stands)
        yield Pair(name, known, tuple(contacts), tuple(sorted({time // DAY for time in contacts})))


class Sight:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self._timeline = Timeline(facts, profiles)

    def is_watched(self, begin: int, end: int) -> bool:
        """Whether the pair was neither paused nor ended in between, as the facts up to `end` tell: what a leave or a
        planned end does is no fading."""
        snapshot = self._timeline.at(end)
        return snapshot.is_open(end) and not any(
            low < end and begin < high for low, high in snapshot.frame.pauses.spans
        )

    def scores(self, instants: Sequence[int]) -> tuple[Floats, Floats]:
        """A row per instant: the unit features of the risk, in the order of score.FEATURES; and health in points."""
        moments = [Moment(self._timeline.at(at), at) for at in instants]
        found = scores_of(moments)
        rows = [features(moment.snapshot, scores) for moment, scores in zip(moments, found, strict=True)]
        health = np.array([scores.health / ONE for scores in found], dtype=np.float64)
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES)), health
