"""The trend of health over the last four weeks."""

from collections.abc import Sequence

POINTS = (28, 21, 14, 7)
"""Days before a row at which health is read again."""
PERIOD = 28
"""A trend is in points per this many days."""


def trend(points: Sequence[tuple[int, int]]) -> int:
    """Least-squares slope through (day, health in millionths), in millionths of a point per four weeks.
    0 for a single point."""
    mean_day = sum(day for day, _ in points) / len(points)
    mean_health = sum(health for _, health in points) / len(points)
    spread = sum((day - mean_day) ** 2 for day, _ in points)
    if spread == 0:
        return 0
    slope = sum((day - mean_day) * (health - mean_health) for day, health in points) / spread
    return round(slope * PERIOD)
