"""The smallest change that would lift the band, found by trying good acts as if they had just happened."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from services.scoring.domain.evaluation import BANDS, LOWEST_BAND, Evaluation, Moment, evaluation_of, scores_at
from services.scoring.domain.explaining.good_acts import Act, good_acts
from services.scoring.domain.explaining.knowledge import Knowledge
from services.scoring.domain.facts import Facts, facts_of, merged
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import Row
from services.scoring.domain.snapshots.timeline import Timeline

HYPOTHETICAL = 2**62
"""A position beyond every log."""
BEST_TO_WORST = (*(band for _, band in BANDS), LOWEST_BAND)


class Trial(NamedTuple):
    """What these steps would make of the score; health in millionths."""

    steps: tuple[str, ...]
    health: int
    band: str


@dataclass(frozen=True)
class Remedies:
    """`smallest`: the fewest steps that lift the band, of equally many those that raise health least; None: none does,
    or nothing needs to, as `reason` says. `singles`: what each act would do by itself, the best first."""

    smallest: Trial | None
    singles: tuple[Trial, ...] = ()
    reason: str = ""


def remedies(known: Knowledge, profiles: Profiles, row: Row, at: int) -> Remedies:
    """What would lift the band of `row`, the newest one, if it happened at `at`."""
    if row.status != "active":
        return Remedies(None, reason=f"the relationship {'has ended' if row.status == 'ended' else 'is paused'}")
    if row.evaluation.band == BEST_TO_WORST[0]:
        return Remedies(None, reason="it is in the highest band")
    acts = good_acts(known, at, profiles.at(at).weights)
    laboratory = _Laboratory(known.kept(at), profiles, at)
    singles = [laboratory.trial([act]) for act in acts]
    pairs = (laboratory.trial(pair) for pair in combinations(acts, 2))
    smallest = _smallest(singles, row.evaluation) or _smallest(pairs, row.evaluation)
    best_first = tuple(sorted(singles, key=lambda trial: (BEST_TO_WORST.index(trial.band), -trial.health)))
    if smallest is None:
        return Remedies(None, best_first, "no act by itself nor any two together lift the band")
    return Remedies(smallest, best_first)


class _Laboratory(NamedTuple):
    facts: Facts
    profiles: Profiles
    at: int

    def trial(self, acts: Sequence[Act]) -> Trial:
        facts = self.facts
        for event in (event for act in acts for event in act.events):
            facts = merged(facts, facts_of(event, HYPOTHETICAL))
        snapshot = Timeline(facts, self.profiles).at(self.at)
        evaluation = evaluation_of(snapshot, scores_at(Moment(snapshot, self.at)))
        return Trial(tuple(step for act in acts for step in act.steps), evaluation.health, evaluation.band)


def _smallest(trials: Iterable[Trial], now: Evaluation) -> Trial | None:
    lifting = (trial for trial in trials if BEST_TO_WORST.index(trial.band) < BEST_TO_WORST.index(now.band))
    return min(lifting, key=lambda trial: (len(trial.steps), trial.health), default=None)
