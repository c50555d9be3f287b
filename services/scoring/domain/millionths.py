"""Exact numbers: millionths as integers, with parts that sum to their whole."""

import math
from collections.abc import Sequence

ONE = 1_000_000


def millionths(value: float) -> int:
    return round(value * ONE)


def apportioned(values: Sequence[float], total: int) -> list[int]:
    """Each value in millionths such that they sum to `total`, by largest remainder; ties to the earlier."""
    exact = [value * ONE for value in values]
    parts = list(map(math.floor, exact))
    remainders = sorted([(part - value, place) for place, (part, value) in enumerate(zip(parts, exact, strict=True))])
    for _, place in remainders[: total - sum(parts)]:
        parts[place] += 1
    return parts
