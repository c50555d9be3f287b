"""Builders of backtest histories: pairs that met on given days since the beginning."""

from collections.abc import Iterable, Sequence

import numpy as np

from schemas.events import OfRelationship
from schemas.programs import Profile
from services.scoring.domain.backtesting.cases import CasePlan, CaseRule, Cases, PairHistories, cases_of, histories_of
from services.scoring.domain.facts import Facts
from services.scoring.domain.profiles import Profiles
from tests.scoring.building import facts, held, micros

Days = Sequence[float]


def met(days: Iterable[float], *others: OfRelationship) -> Facts:
    return facts(*(held(day) for day in days), *others)


def pairs_of(end: float, *pairs: Facts) -> PairHistories:
    """Pairs by the names p0, p1, ...; the history ends that many days after the beginning."""
    found = histories_of({f"t/p{number:03}": pair for number, pair in enumerate(pairs)}, micros(end))
    assert found is not None
    return found


def plan(**rule: int) -> CasePlan:
    chosen = CaseRule(**rule)
    return CasePlan(chosen, Profiles((Profile(version="v", horizon_days=chosen.horizon_days),)))


def cases(histories: PairHistories, **rule: int) -> Cases:
    return cases_of(histories.span, plan(**rule), histories.pairs)


def days_of(found: Cases) -> list[float]:
    """The cut-offs, in days since the beginning."""
    return [(int(at) - micros(0)) / 86_400_000_000 for at in found.at]


def many(count: int, end: float, seed: int) -> PairHistories:
    """Pairs that meet at paces of their own and drop out at random."""
    chance = np.random.default_rng(seed)
    return pairs_of(end, *(_one(chance, end) for _ in range(count)))


def _one(chance: np.random.Generator, end: float) -> Facts:
    pace, drop = chance.gamma(2.0, 8.0) + 1, chance.beta(1.0, 8.0)
    days, at = [], float(chance.uniform(0, end / 2))
    while at < end:
        days.append(round(at, 3))
        if chance.random() < drop:
            break
        at += float(chance.exponential(pace)) + 0.01
    return met(days)
