"""Exact numbers: millionths as integers, with parts that sum to their whole."""

import math
from collections.abc import Sequence

ONE = 1_000_000


def millionths(value: float) -> int:
    return round(value * ONE)


def total_millionths(values: Sequence[float]) -> int:
    """The rounded sum, that of `apportioned` values to the last bit."""
    return round(math.fsum(value * ONE for value in values))


def apportioned(values: Sequence[float]) -> list[int]:
    """Each value in millionths such that they sum to the rounded sum, by largest remainder; ties to the earlier."""
    scaled = [value * ONE for value in values]
    parts = [math.floor(value) for value in scaled]
    missing = total_millionths(values) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - scaled[i])
    for i in by_remainder[:missing]:
        parts[i] += 1
    return parts
