"""Validation of alert rules: by their grammar, and by the levels that a profile watches."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import assert_never

from schemas.programs import WatchLevels
from schemas.rules import (
    LEVELLED,
    LONGEST_HOLD,
    MAX_TIERS,
    NO_TIME,
    SCORE_MEASURES,
    Drawdown,
    Measure,
    Rule,
    hours,
    more_urgent,
)

MAX_POINTS = 100
HEALTH_MEASURES = frozenset({"health", "drawdown"})
"""Measures for which a score that rests on too few facts is ignored."""
MIN_GAP = {"health": 5.0, "risk": 0.05, "share": 0.02, "watermark": 0.5, "lag": 0.5}
"""The minimum distance between firing and clearing level: within it a value fluctuates from day to day without
meaning."""
MIN_REGAINED = 0.1
MILLIONTH = 1e-6
"""Levels are multiples of it."""


def problems(rules: Sequence[Rule], watch: WatchLevels) -> list[str]:
    """Return why these rules cannot be used; empty if they can."""
    twice = [f"{name}: there are two rules of this name" for name, n in Counter(r.name for r in rules).items() if n > 1]
    found = [(rule, problem) for rule in rules for problem in (*faults(rule), *unwatched(rule, watch))]
    return twice + [f"{rule.name}: {problem}" for rule, problem in found]


def faults(rule: Rule) -> list[str]:
    """Return why the rule cannot be used, regardless of the levels that a profile watches."""
    found = _faults_of_all(rule)
    match rule.measure:
        case "health" | "risk":
            return found + _faults_of_levels(rule)
        case "drawdown":
            return found + _faults_of_a_fall(rule, rule.drop)
        case "contact":
            return [*found, "needs an age"] if rule.age is None else found
        case "share" | "watermark" | "lag":
            return found + _faults_of_a_subject(rule)
        case "support":
            return found
        case _:
            assert_never(rule.measure)


def _faults_of_all(rule: Rule) -> list[str]:
    found = [] if 1 <= len(rule.tiers) <= MAX_TIERS else [f"needs 1 to {MAX_TIERS} tiers"]
    if rule.least_confidence and rule.measure not in HEALTH_MEASURES:
        found.append("only rules of health wait for confidence: the others need no facts to be of use")
    if not NO_TIME <= rule.keep <= LONGEST_HOLD:
        found.append(f"keep: {hours(rule.keep)} does not lie between 0 h and {hours(LONGEST_HOLD)}")
    if rule.is_urgent and rule.keep:
        found.append("keep: a request for support that is resolved is over")
    if rule.min_points != 1 and rule.measure not in SCORE_MEASURES:
        found.append(f"min_points: one row says all that there is to say of {rule.measure}")
    elif not 1 <= rule.min_points <= MAX_POINTS:
        found.append(f"min_points: {rule.min_points} does not lie between 1 and {MAX_POINTS}")
    return found


def _faults_of_levels(rule: Rule) -> list[str]:
    most = 100 if rule.measure == "health" else 1
    found = [
        f"{level:g} is no {rule.measure}: it lies between 0 and {most}" for level in rule.levels if not 0 < level < most
    ]
    found += [
        f"a hold of {hours(hold)} does not lie between 0 h and the window of {hours(LONGEST_HOLD)}"
        for hold in (*(tier.hold for tier in rule.tiers), rule.clear_hold)
        if not timedelta(0) <= hold < LONGEST_HOLD
    ]
    return found + _disorder(rule)


def _faults_of_a_fall(rule: Rule, drop: Drawdown | None) -> list[str]:
    if drop is None or len(rule.tiers) != 1:
        return ["needs a window and one tier"]
    found = []
    if not 0 < rule.tiers[0].level < 100:  # noqa: PLR2004 (points of health)
        found.append(f"{rule.tiers[0].level:g} is no fall of health: it lies between 0 and 100 points")
    if drop.window <= NO_TIME or min(rule.tiers[0].hold, rule.clear_hold) < NO_TIME:
        found.append("a window is longer than 0 h, and no hold is below it")
    elif rule.longest_hold > LONGEST_HOLD:
        found.append(f"the window and the longer hold are {hours(rule.longest_hold)}, over {hours(LONGEST_HOLD)}")
    if not MIN_REGAINED <= drop.regained <= 1:
        found.append(f"to clear must be stricter than not to fire: a share of {MIN_REGAINED} to 1 is to be regained")
    if not drop.window < drop.settles:
        found.append("a new level settles after the window: before, the fall would fire again")
    return found


def _faults_of_a_subject(rule: Rule) -> list[str]:
    if len(rule.tiers) != 1:
        return ["needs one tier"]
    found = _disorder(rule)
    if rule.clear_level <= 0 or (rule.measure == "share" and rule.tiers[0].level > 1):
        found.append(f"{rule.tiers[0].level:g} and {rule.clear_level:g} are no {rule.measure}")
    if min(rule.tiers[0].hold, rule.clear_hold) < NO_TIME or max(rule.tiers[0].hold, rule.clear_hold) > LONGEST_HOLD:
        found.append(f"a hold lies between 0 h and {hours(LONGEST_HOLD)}")
    if rule.measure == "share" and (
        rule.shift is None or rule.shift.least < 1 or rule.shift.fall <= 0 or not rule.shift.window > NO_TIME
    ):
        found.append("needs the least count of pairs, and a fall of the median within a window, all above 0")
    if rule.shift is not None and rule.shift.window > LONGEST_HOLD:
        found.append(f"the window lies between 0 h and {hours(LONGEST_HOLD)}")
    return found


def unwatched(rule: Rule, watch: WatchLevels) -> list[str]:
    """Return the levels whose crossing emits no row, so that the rule would fire late."""
    if rule.measure not in LEVELLED:
        return []
    watched = watch.health if rule.measure == "health" else watch.risk
    return [
        f"{level:g} is no watch level of {rule.measure} ({', '.join(f'{w:g}' for w in watched)})"
        for level in rule.levels
        if level not in watched
    ]


def _disorder(rule: Rule) -> list[str]:
    """Each tier must be worse and more urgent than the one before; clearing must be stricter than not firing."""
    found = []
    for mild, severe in zip(rule.tiers, rule.tiers[1:], strict=False):
        if not _worse(rule.measure, severe.level, mild.level) or not more_urgent(severe.urgency, mild.urgency):
            found.append("each tier must be worse and more urgent than the one before")
    gap = MIN_GAP[rule.measure]
    if any(not _worse(rule.measure, tier.level, rule.clear_level, gap) for tier in rule.tiers):
        found.append(f"the clear level must be stricter than every tier: better by a gap of at least {gap:g}")
    return found


def _worse(measure: Measure, one: float, other: float, gap: float = MILLIONTH) -> bool:
    """Levels are decimal fractions: a difference within half a millionth of the gap counts as the gap."""
    better = other - one if measure == "health" else one - other
    return better > gap - MILLIONTH / 2
