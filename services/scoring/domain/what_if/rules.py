"""When a relationship alerts: the two threshold rules of notify, as far as a trial of profiles needs them.

Services do not import each other; a test compares these values with those of notify."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas.programs import WatchLevels
from services.scoring.domain.bounds import DAY, HOUR
from services.scoring.domain.evaluation import Evaluation
from services.scoring.domain.millionths import millionths

Measure = Literal["health", "risk"]

LONGEST_HOLD = 14 * DAY
"""Notify looks no further back."""


@dataclass(frozen=True)
class Threshold:
    """A level that must hold for `hold` microseconds of active time."""

    level: float
    hold: int


@dataclass(frozen=True)
class AlertRule:
    """Fires when any of `fires` has been reached for its time, clears when the value has been past `clears` for its
    time: the level itself counts as reached, and not yet as clear. Below `least_confidence` nothing does."""

    name: str
    measure: Measure
    fires: tuple[Threshold, ...]
    clears: Threshold
    least_confidence: float

    def reaches(self, now: Evaluation, level: float) -> bool:
        if now.confidence < millionths(self.least_confidence):
            return False
        return now.health <= millionths(level) if self.measure == "health" else now.risk >= millionths(level)

    def is_clear(self, now: Evaluation) -> bool:
        if now.confidence < millionths(self.least_confidence):
            return False
        level = millionths(self.clears.level)
        return now.health > level if self.measure == "health" else now.risk < level

    def problems(self) -> Iterator[str]:
        """Why the rule cannot be used; nothing when it can."""
        most = 100 if self.measure == "health" else 1
        for threshold in (*self.fires, self.clears):
            if not 0 < threshold.level < most:
                yield f"{threshold.level:g} is no {self.measure}: it lies between 0 and {most}"
            if not 0 <= threshold.hold < LONGEST_HOLD:
                yield f"{threshold.hold / HOUR:g} h does not lie between 0 h and {LONGEST_HOLD / HOUR:g} h"
        if any(not self._is_worse(threshold.level) for threshold in self.fires):
            yield "the level at which it clears must be better than every level at which it fires"

    def _is_worse(self, level: float) -> bool:
        return level < self.clears.level if self.measure == "health" else level > self.clears.level


HEALTH_LOW = AlertRule(
    name="health_low",
    measure="health",
    fires=(Threshold(40, 24 * HOUR), Threshold(25, 6 * HOUR)),
    clears=Threshold(50, 48 * HOUR),
    least_confidence=0.25,
)
DISENGAGING = AlertRule(
    name="disengaging",
    measure="risk",
    fires=(Threshold(0.70, 24 * HOUR),),
    clears=Threshold(0.55, 48 * HOUR),
    least_confidence=0.0,
)
RULES = (HEALTH_LOW, DISENGAGING)


def unwatched(rules: tuple[AlertRule, ...], watch: WatchLevels) -> list[str]:
    """Levels of the rules that the profile does not watch: notify would refuse to start."""
    return [
        f"{level:g} is no watch level of {rule.measure}, but {rule.name} needs it"
        for rule in rules
        for level in (*(threshold.level for threshold in rule.fires), rule.clears.level)
        if level not in (watch.health if rule.measure == "health" else watch.risk)
    ]


def watching(rules: tuple[AlertRule, ...], watch: WatchLevels) -> WatchLevels:
    """With the levels of the rules: a crossing is an instant of its own, so that alerts come to the second."""
    levels: dict[Measure, set[float]] = {"health": set(watch.health), "risk": set(watch.risk)}
    for rule in rules:
        levels[rule.measure].update(threshold.level for threshold in (*rule.fires, rule.clears))
    return WatchLevels(health=tuple(sorted(levels["health"])), risk=tuple(sorted(levels["risk"])))
