"""What to do: the act that answers the costliest cause, found by trying good acts as if they had just happened."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.scoring.domain.evaluation import evaluation_of
from services.scoring.domain.explaining.good_acts import CAP, Act, good_acts
from services.scoring.domain.explaining.knowledge import Knowledge
from services.scoring.domain.facts import facts_of, merged
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import BAND_BEGINS, BANDS, BEST_CAPPED, Evaluation, HistoryRow
from services.scoring.domain.timeline import Timeline

HYPOTHETICAL = 2**62
"""A position beyond every log."""
BEST_TO_WORST = BANDS[::-1]


class Trial(NamedTuple):
    """What these steps would make of the score; health and risk in millionths."""

    steps: tuple[str, ...]
    health: int
    band: str
    risk: int


@dataclass(frozen=True)
class Remedies:
    """`first`: what answers the costliest cause that any act answers; where that alone does not lift the band, with one
    more act if the two do. None: nothing does, or nothing needs to, as `reason` says. `singles`: what each act would do
    by itself, the best first; none that lowers the score is among them."""

    first: Trial | None
    cause: str = ""
    singles: tuple[Trial, ...] = ()
    reason: str = ""


def remedies(known: Knowledge, profiles: Profiles, row: HistoryRow, at: int, causes: Sequence[str]) -> Remedies:
    """What would do the relationship of `row`, the newest one, good if it happened at `at`. `causes`: the parts of
    health that lack most, the costliest first."""
    now = row.evaluation
    if row.status != "active":
        return Remedies(None, reason=f"the relationship {'has ended' if row.status == 'ended' else 'is paused'}")
    if now.band == BEST_TO_WORST[0]:
        return Remedies(None, reason="it is in the highest band")
    kept = known.kept(at)

    def trial_of(acts: Sequence[Act]) -> Trial:
        facts = kept
        for event in (event for act in acts for event in act.events):
            facts = merged(facts, facts_of(event, HYPOTHETICAL))
        snapshot = Timeline(facts, profiles).at(at)
        found = evaluation_of(snapshot, snapshot.scores(at))
        return Trial(tuple(step for act in acts for step in act.steps), found.health, found.band, found.risk)

    present = trial_of([])
    tried = [(act, trial_of([act])) for act in good_acts(known, at, profiles.at(at).weights)]
    harmless = {t: act for act, t in tried if t.health >= present.health and t.risk <= present.risk}
    offered = {trial: act for trial, act in harmless.items() if trial[1:] != present[1:]}
    singles = tuple(sorted(offered, key=lambda t: (BEST_TO_WORST.index(t.band), -t.health, t.risk)))
    for cause in _costliest_first(now, causes):
        answers = [trial for trial in singles if cause in offered[trial].answers]
        if answers:
            pairs = ([offered[answers[0]], act] for trial, act in harmless.items() if trial is not answers[0])
            lifting = _lifting(answers[:1], now) or _lifting(map(trial_of, pairs), now)
            return Remedies(lifting or answers[0], cause, singles)
    return Remedies(None, singles=singles, reason="no act by itself raises the score")


def _costliest_first(now: Evaluation, causes: Sequence[str]) -> list[str]:
    """What caps the band comes first where nothing else holds it down; and whatever an act may answer comes last."""
    rest = [part.name for part in now.parts if part.name not in causes]
    binding = now.caps and now.health >= BAND_BEGINS[BEST_CAPPED]
    return [*([CAP] if binding else []), *causes, *([] if binding or not now.caps else [CAP]), *rest]


def _lifting(trials: Iterable[Trial], now: Evaluation) -> Trial | None:
    """Of those that lift the band the one of fewest steps, of equally many that which raises health most."""
    lifting = (trial for trial in trials if BEST_TO_WORST.index(trial.band) < BEST_TO_WORST.index(now.band))
    return min(lifting, key=lambda trial: (len(trial.steps), -trial.health), default=None)
