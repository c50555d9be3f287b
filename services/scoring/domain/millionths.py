"""Exact numbers: millionths as integers, with parts that sum to their whole."""

import math
from collections.abc import Sequence

ONE = 1_000_000


def millionths(value: float) -> int:
    return round(value * ONE)


def apportioned(values: Sequence[float], total: int) -> list[int]:
    """Each value in millionths such that they sum to `total`, by largest remainder; ties to the earlier."""
    exact = [value * ONE for value in values]
    parts = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts
