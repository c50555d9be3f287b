"""The trend of health over the last four weeks."""

import math
from collections.abc import Sequence

from services.scoring.domain.bounds import DAY

POINTS = (28, 21, 14, 7)
"""Health is read again at the midnights so many days before a row's day."""
PERIOD = 28
"""A trend is in points per this many days."""


def midnights(at: int) -> list[int]:
    """At which health is read again for a row at an instant."""
    return [(at // DAY - days) * DAY for days in POINTS]


def trend(points: Sequence[tuple[int, int]]) -> int:
    """Least-squares slope through (instant, health in millionths), in millionths of a point per four weeks.
    0 for a single point."""
    newest = points[-1][0]
    days = [(at - newest) / DAY for at, _ in points]
    mean_day = math.fsum(days) / len(points)
    mean_health = sum(health for _, health in points) / len(points)
    spread = math.fsum((day - mean_day) ** 2 for day in days)
    if spread == 0:
        return 0
    slope = math.fsum((day - mean_day) * (health - mean_health) for day, (_, health) in zip(days, points, strict=True))
    return round(slope / spread * PERIOD)
