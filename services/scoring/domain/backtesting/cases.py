"""Cases: a pair at a cut-off, what was known of it then, and whether no contact came in the horizon after it; and their
split in time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from services.scoring.domain.backtesting.calibration import Examples
from services.scoring.domain.backtesting.measures import Floats
from services.scoring.domain.backtesting.pairs import HistorySpan, Pair, Sight
from services.scoring.domain.bounds import DAY
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import FEATURES


@dataclass(frozen=True)
class CaseRule:
    """Which instants are judged. A pair is one to be watched if it has met often enough, and not too long ago."""

    every_days: int = 14
    horizon_days: int = 30
    least_contact_days: int = 3
    active_days: int = 90

    @property
    def horizon(self) -> int:
        return self.horizon_days * DAY


class Past(NamedTuple):
    """Contacts as BG/NBD counts them: contact days after the first, days from the first to the last one, and days from
    the first one until now."""

    repeats: Floats
    recency: Floats
    age: Floats


@dataclass(frozen=True)
class Cases(Examples):
    """Besides what is learnt from: what scoring saw, days since the last contact, and the contacts."""

    health: Floats
    silence: Floats
    repeats: Floats
    recency: Floats
    age: Floats

    @property
    def past(self) -> Past:
        return Past(self.repeats, self.recency, self.age)


class CasePlan(NamedTuple):
    """How a history becomes cases."""

    rule: CaseRule
    profiles: Profiles


def cases_of(span: HistorySpan, plan: CasePlan, pairs: Iterable[Pair]) -> Cases:
    found = [_of_pair(number, pair, span, plan) for number, pair in enumerate(pairs)]
    found = [cases for cases in found if cases is not None]
    if not found:
        none, whole = np.zeros(0), np.zeros(0, dtype=np.int64)
        return Cases(np.zeros((0, len(FEATURES))), none, whole, whole, *[none] * 5)
    return Cases(*(np.concatenate([getattr(cases, column.name) for cases in found]) for column in fields(Cases)))


def past_at(days: tuple[int, ...], day: int) -> tuple[float, float, float]:
    """Of contact days up to `day`, as in `Past`."""
    return len(days) - 1, days[-1] - days[0], day - days[0]


def _of_pair(number: int, pair: Pair, span: HistorySpan, plan: CasePlan) -> Cases | None:
    horizon = plan.rule.horizon
    cut_offs = list(_cut_offs(pair, span, plan.rule))
    if not cut_offs:
        return None
    sight = Sight(pair.facts, plan.profiles)
    cut_offs = [at for at in cut_offs if sight.is_watched(at, at + horizon)]
    if not cut_offs:
        return None
    features, health = sight.scores(cut_offs)
    past = np.array([past_at(pair.days[: pair.days_upto(at)], at // DAY) for at in cut_offs], dtype=np.float64)
    return Cases(
        features,
        np.array([pair.contacts_upto(at) == pair.contacts_upto(at + horizon) for at in cut_offs], dtype=np.float64),
        np.full(len(cut_offs), number, dtype=np.int64),
        np.array(cut_offs, dtype=np.int64),
        health,
        np.array([(at - pair.contacts[pair.contacts_upto(at) - 1]) / DAY for at in cut_offs]),
        *past.T,
    )


def _cut_offs(pair: Pair, span: HistorySpan, rule: CaseRule) -> Iterator[int]:
    """Midnights, the same for all pairs, whose horizon lies within the span."""
    if len(pair.days) < rule.least_contact_days:
        return
    origin, step = span.begin // DAY, rule.every_days
    first = -(-(pair.days[rule.least_contact_days - 1] - origin) // step)
    last = min(pair.contacts[-1] + rule.active_days * DAY, span.end - rule.horizon)
    for at in range((origin + max(1, first) * step) * DAY, last + 1, step * DAY):
        seen = pair.contacts_upto(at)
        met = pair.days_upto(at) >= rule.least_contact_days
        if met and at - pair.contacts[seen - 1] <= rule.active_days * DAY:
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
