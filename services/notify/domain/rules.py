"""When a relationship needs a person: alert rules as versioned data, and what makes a rule valid."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from schemas.alerts import Urgency
from schemas.programs import WatchLevels
from services.notify.domain.window import WINDOW, Values

Measure = Literal["health", "risk"]

LOW_CONFIDENCE = 0.25
"""Below it a health score rests on too few facts to call somebody for (scoring.md)."""
MOST_TIERS = 2
"""One escalation per episode: its transition has one name, hence one delivery id."""
_RANK = {"P1": 1, "P2": 2, "P3": 3}


@dataclass(frozen=True)
class Tier:
    """Fires when the value has been at the level or past it for `hold` of active time."""

    level: float
    hold: timedelta
    urgency: Urgency


@dataclass(frozen=True)
class Rule:
    """Tiers from mild to severe. Clears when the value has been past `clear_level` for `clear_hold` of active time;
    the level itself still counts as firing for a tier, and not yet as clear."""

    name: str
    version: str
    measure: Measure
    tiers: tuple[Tier, ...]
    clear_level: float
    clear_hold: timedelta
    least_confidence: float

    def reaches(self, values: Values, level: float) -> bool:
        """A row of low confidence reaches nothing."""
        if values.confidence < self.least_confidence:
            return False
        return values.health <= level if self.measure == "health" else values.risk >= level

    def clears(self, values: Values) -> bool:
        if values.confidence < self.least_confidence:
            return False
        return values.health > self.clear_level if self.measure == "health" else values.risk < self.clear_level


HEALTH_LOW = Rule(
    name="health_low",
    version="1",
    measure="health",
    tiers=(
        # Watch levels of scoring. A day rides out a meeting that is entered late; the critical band waits 6 h only.
        Tier(level=40, hold=timedelta(hours=24), urgency="P3"),
        Tier(level=25, hold=timedelta(hours=6), urgency="P2"),
    ),
    # Back in the band "steady" for two days: one good meeting between two bad weeks closes nothing.
    clear_level=50,
    clear_hold=timedelta(hours=48),
    least_confidence=LOW_CONFIDENCE,
)
DISENGAGING = Rule(
    name="disengaging",
    version="1",
    measure="risk",
    # More likely than two in three to fall silent for the horizon, for a day.
    tiers=(Tier(level=0.70, hold=timedelta(hours=24), urgency="P2"),),
    clear_level=0.55,
    clear_hold=timedelta(hours=48),
    # The silence model starts from the cadence and needs no facts to be of use.
    least_confidence=0.0,
)
RULES = (HEALTH_LOW, DISENGAGING)


def more_urgent(one: Urgency, other: Urgency) -> bool:
    return _RANK[one] < _RANK[other]


def problems(rules: Sequence[Rule], watch: WatchLevels) -> list[str]:
    """Why these rules cannot be used; empty when they can."""
    twice = [f"{name}: there are two rules of this name" for name, n in Counter(r.name for r in rules).items() if n > 1]
    return twice + [f"{rule.name}: {problem}" for rule in rules for problem in _problems(rule, watch)]


def describe(rule: Rule) -> str:
    """One line: `health_low v1: health <= 40 for 24 h is P3, <= 25 for 6 h is P2; clears when > 50 for 48 h`."""
    fires, clears = ("<=", ">") if rule.measure == "health" else (">=", "<")
    tiers = ", ".join(f"{fires} {t.level:g} for {hours(t.hold)} is {t.urgency}" for t in rule.tiers)
    clear = f"{clears} {rule.clear_level:g} for {hours(rule.clear_hold)}"
    gate = f"; needs confidence {rule.least_confidence:g}" if rule.least_confidence else ""
    return f"{rule.name} v{rule.version}: {rule.measure} {tiers}; clears when {clear}{gate}"


def hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g} h"


def _problems(rule: Rule, watch: WatchLevels) -> list[str]:
    found = []
    if not 1 <= len(rule.tiers) <= MOST_TIERS:
        found.append(f"needs 1 to {MOST_TIERS} tiers")
    watched = watch.health if rule.measure == "health" else watch.risk
    found += [
        f"{level:g} is no watch level of {rule.measure} ({', '.join(f'{w:g}' for w in watched)})"
        for level in (*(tier.level for tier in rule.tiers), rule.clear_level)
        if level not in watched
    ]
    found += [
        f"a hold of {hours(hold)} does not lie between 0 h and the window of {hours(WINDOW)}"
        for hold in (*(tier.hold for tier in rule.tiers), rule.clear_hold)
        if not timedelta(0) <= hold < WINDOW
    ]
    return found + _disorder(rule)


def _disorder(rule: Rule) -> list[str]:
    """Each tier must be worse and more urgent than the one before; to clear must be stricter than not to fire."""
    found = []
    for mild, severe in zip(rule.tiers, rule.tiers[1:], strict=False):
        if not _worse(rule.measure, severe.level, mild.level) or not more_urgent(severe.urgency, mild.urgency):
            found.append("each tier must be worse and more urgent than the one before")
    if any(not _worse(rule.measure, tier.level, rule.clear_level) for tier in rule.tiers):
        found.append("the clear level must be stricter than every tier: better by a gap")
    return found


def _worse(measure: Measure, one: float, other: float) -> bool:
    return one < other if measure == "health" else one > other
