"""The model guard: what fires because scores are computed otherwise since an instant (another model, profile or
calibration) is no news of its own. It stands in one digest, and shifts no programme."""

from dataclasses import replace
from typing import NamedTuple

from schemas.rules import OF_SCORES, Rule
from schemas.scores import ScoreRow
from services.notify.domain.lifecycle import Transition
from services.notify.domain.spans import instant
from services.notify.domain.window import StoredInstant, Window, unbroken_run, up_to

LONGEST_NAME = 40
MIDNIGHT = ("midnight",)
"""As scoring calls what no event brought about."""
BEGINS = frozenset({"fired", "unstable", "escalated"})


class ScoredBy(NamedTuple):
    """By which model, profile and calibration, and since when that is another one than before, if it ever was.
    `nightly`: whether a midnight alone brought about the row of that instant. One that comes with an event, or where a
    level is crossed, may as well show a decay."""

    by: str
    since: StoredInstant | None = None
    nightly: bool = False


def scored_after(before: ScoredBy | None, row: ScoreRow) -> ScoredBy | None:
    """With the newest row."""
    score = row.score
    if score is None:
        return before
    by = f"{score.profile} {score.model} {score.calibration}"
    if before is None:
        return ScoredBy(by)
    return before if before.by == by else ScoredBy(by, row.as_of, score.causes == MIDNIGHT)


def marked(transition: Transition, window: Window, scored: ScoredBy) -> Transition:
    """The transition, and why it is no news, if so."""
    why = None if transition.late is not None else _of_rescoring(transition, window, scored)
    return transition if why is None else replace(transition, late=why, rescored=scored.nightly)


def _of_rescoring(transition: Transition, window: Window, scored: ScoredBy) -> str | None:
    """What it rests on has been so exactly since scores are computed otherwise."""
    rule, state = transition.rule, transition.of
    if scored.since is None or transition.name not in BEGINS or rule.measure not in OF_SCORES:
        return None
    since = state.since if rule.drop is not None else _bad_since(rule, transition, window)
    if since != scored.since:
        return None
    return f"scored by {scored.by.partition(' ')[0][:LONGEST_NAME]} since {instant(scored.since)}"


def _bad_since(rule: Rule, transition: Transition, window: Window) -> StoredInstant | None:
    """Of the tier that it has come to."""
    level = next((tier.level for tier in rule.tiers if tier.urgency == transition.of.urgency), rule.tiers[-1].level)
    run = unbroken_run(up_to(window, transition.at), lambda values: rule.reaches(values, level))
    return run and run.since
