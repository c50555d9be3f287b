"""Pairs: the facts of a relationship, its contacts, and what live scoring would have seen. Cases: a pair at a cut-off,
its features then, and whether no contact came in the horizon after it; and their split in time."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np

from services.scoring.domain.backtesting.measures import Bools, Floats, Ints
from services.scoring.domain.bounds import DAY, ONE
from services.scoring.domain.evaluation import Moment, features, scores_of
from services.scoring.domain.facts import Facts
from services.scoring.domain.kinds import CONTACTS, FactKind
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import FEATURES
from services.scoring.domain.timeline import Timeline


class HistorySpan(NamedTuple):
    """From the first contact to the last known instant, in microseconds."""

    begin: int
    end: int


@dataclass(frozen=True)
class Pair:
    """`contacts`: the times of the standing contacts; `days`: the days since 1970 that have one; both ascending."""

    name: str
    facts: Facts
    contacts: tuple[int, ...]
    days: tuple[int, ...]

    def contacts_upto(self, at: int) -> int:
        return bisect_right(self.contacts, at)

    def days_upto(self, at: int) -> int:
        """How many contact days have a contact at or before this instant."""
        count = self.contacts_upto(at)
        return bisect_right(self.days, self.contacts[count - 1] // DAY) if count else 0

    def next_contact(self, after: int) -> int | None:
        count = self.contacts_upto(after)
        return self.contacts[count] if count < len(self.contacts) else None


Track = Callable[[Sequence[Pair], str], Iterable[Pair]]
"""Iterates over the pairs and shows the progress under a name."""


@dataclass(frozen=True)
class PairHistories:
    """The pairs that were ever in contact."""

    pairs: tuple[Pair, ...]
    span: HistorySpan


def histories_of(facts: Mapping[str, Facts], end: int) -> PairHistories | None:
    """`end`: the last known instant. None if no pair was ever in contact. Erased relationships are left out."""
    pairs = []
    for name, facts_of_pair in sorted(facts.items()):
        contacts = sorted(key.time for key, fact in facts_of_pair.items() if key.kind in CONTACTS and fact.stands)
        if contacts and not any(key.kind == FactKind.ERASED for key in facts_of_pair):
            pairs.append(Pair(name, facts_of_pair, tuple(contacts), tuple(sorted({time // DAY for time in contacts}))))
    if not pairs:
        return None
    return PairHistories(tuple(pairs), HistorySpan(min(pair.contacts[0] for pair in pairs), end))


class ScoringView:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self._timeline = Timeline(facts, profiles)

    def is_watched(self, begin: int, end: int) -> bool:
        """Whether the pair was neither paused nor ended in between, by the facts up to `end`: a leave or a planned end
        is no fading."""
        snapshot = self._timeline.at(end)
        return snapshot.is_open(end) and not any(
            low < end and begin < high for low, high in snapshot.frame.pauses.spans
        )

    def scores(self, instants: Sequence[int]) -> tuple[Floats, Floats]:
        """A row per instant: the unit features of the risk, in the order of score.FEATURES; and health in points."""
        moments = [Moment(self._timeline.at(at), at) for at in instants]
        found = scores_of(moments)
        rows = [features(moment.snapshot.features, scores) for moment, scores in zip(moments, found, strict=True)]
        health = np.array([scores.health / ONE for scores in found], dtype=np.float64)
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES)), health


@dataclass(frozen=True)
class CaseRule:
    """Which instants become cases. A pair is watched if it has met often enough, and not too long ago."""

    every_days: int = 14
    horizon_days: int = 30
    least_contact_days: int = 3
    active_days: int = 90

    @property
    def horizon(self) -> int:
        return self.horizon_days * DAY


class ContactSummary(NamedTuple):
    """Contacts as BG/NBD counts them: contact days after the first, days from the first to the last, and days from the
    first until now."""

    repeats: Floats
    recency: Floats
    age: Floats


@dataclass(frozen=True)
class Examples:
    """Columns, a row per case: the unit features in the order of FEATURES, 1.0 where no contact came, the number of the
    pair, the cut-off in microseconds."""

    features: Floats
    faded: Floats
    pair: Ints
    at: Ints

    def where(self, chosen: Bools) -> Self:
        return type(self)(*(getattr(self, column.name)[chosen] for column in fields(self)))

    @property
    def count(self) -> int:
        return len(self.at)

    @property
    def pairs(self) -> int:
        return len(np.unique(self.pair))

    @property
    def both_happened(self) -> bool:
        """Some pairs met again and some did not: otherwise nothing can be learnt or evaluated."""
        return 0 < float(self.faded.sum()) < self.count


@dataclass(frozen=True)
class Cases(Examples):
    """In addition to the examples: health, days since the last contact, and the contact summary."""

    health: Floats
    silence: Floats
    repeats: Floats
    recency: Floats
    age: Floats

    @property
    def summary(self) -> ContactSummary:
        return ContactSummary(self.repeats, self.recency, self.age)


class CasePlan(NamedTuple):
    """How a history becomes cases."""

    rule: CaseRule
    profiles: Profiles


def cases_of(span: HistorySpan, plan: CasePlan, pairs: Iterable[Pair]) -> Cases:
    no_values, no_numbers, horizon = np.zeros(0), np.zeros(0, dtype=np.int64), plan.rule.horizon
    found = [Cases(np.zeros((0, len(FEATURES))), no_values, no_numbers, no_numbers, *[no_values] * 5)]
    for number, pair in enumerate(pairs):
        cut_offs = list(_cut_offs(pair, span, plan.rule))
        if not cut_offs:
            continue
        scoring_view = ScoringView(pair.facts, plan.profiles)
        cut_offs = [at for at in cut_offs if scoring_view.is_watched(at, at + horizon)]
        if not cut_offs:
            continue
        features, health = scoring_view.scores(cut_offs)
        summary = np.array(
            [contact_summary(pair.days[: pair.days_upto(at)], at // DAY) for at in cut_offs], dtype=np.float64
        )
        faded = [pair.contacts_upto(at) == pair.contacts_upto(at + horizon) for at in cut_offs]
        silence = np.array([(at - pair.contacts[pair.contacts_upto(at) - 1]) / DAY for at in cut_offs])
        of_pair, instants = np.full(len(cut_offs), number, dtype=np.int64), np.array(cut_offs, dtype=np.int64)
        outcome = np.array(faded, dtype=np.float64)
        found.append(Cases(features, outcome, of_pair, instants, health, silence, *summary.T))
    return Cases(*(np.concatenate([getattr(cases, column.name) for cases in found]) for column in fields(Cases)))


def contact_summary(days: tuple[int, ...], day: int) -> tuple[float, float, float]:
    """Of contact days up to `day`, as in ContactSummary."""
    return len(days) - 1, days[-1] - days[0], day - days[0]


def _cut_offs(pair: Pair, span: HistorySpan, rule: CaseRule) -> Iterator[int]:
    """Midnights, the same for all pairs, whose horizon lies within the span."""
    if len(pair.days) < rule.least_contact_days:
        return
    origin, step = span.begin // DAY, rule.every_days
    first = -(-(pair.days[rule.least_contact_days - 1] - origin) // step)
    last = min(pair.contacts[-1] + rule.active_days * DAY, span.end - rule.horizon)
    for at in range((origin + max(1, first) * step) * DAY, last + 1, step * DAY):
        count = pair.contacts_upto(at)
        met = pair.days_upto(at) >= rule.least_contact_days
        if met and at - pair.contacts[count - 1] <= rule.active_days * DAY:
            yield at


@dataclass(frozen=True)
class TimeSplit:
    """`at` in microseconds. The outcome of an earlier case is known before `at`."""

    at: int
    earlier: Cases
    later: Cases


def split(cases: Cases, span: HistorySpan, share: float, horizon: int) -> TimeSplit:
    """Cases whose horizon ends within the first `share` of the span, and those whose cut-off lies after it."""
    at = span.begin + round(share * (span.end - span.begin))
    return TimeSplit(at, cases.where(cases.at + horizon <= at), cases.where(cases.at >= at))
