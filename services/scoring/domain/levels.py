"""Levels of health and risk that a profile watches."""

from typing import Any, NamedTuple

from schemas.programs import WatchLevels
from services.scoring.domain.millionths import millionths
from services.scoring.domain.score import Number


class Level(NamedTuple):
    """Health falls to it, risk rises to it."""

    cause: str
    is_health: bool
    bound: int

    def is_passed(self, health: Number, risk: Number) -> Any:  # noqa: ANN401 (a bool, or an array of them)
        return health <= self.bound if self.is_health else risk >= self.bound


def levels(watch: WatchLevels) -> tuple[Level, ...]:
    health = (Level(f"crossing.health.{level:g}", True, millionths(level)) for level in watch.health)  # noqa: FBT003
    risk = (Level(f"crossing.risk.{level:g}", False, millionths(level)) for level in watch.risk)  # noqa: FBT003
    return (*health, *risk)
