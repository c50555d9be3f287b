"""Numbers as people see them: rounded, and still adding up to their rounded sum."""

from collections.abc import Sequence

from services.scoring.domain.evaluation import Evaluation
from services.scoring.domain.millionths import ONE

TENTH = ONE // 10
HUNDREDTH = ONE // 100


def shown_health(evaluation: Evaluation) -> int:
    """In tenths."""
    return whole(evaluation.health, TENTH)


def shown_points(evaluation: Evaluation) -> list[int]:
    """The points of the parts in tenths that sum exactly to the shown health."""
    return tenths([part.contribution for part in evaluation.parts])


def whole(value: int, unit: int) -> int:
    """Millionths in units, halves rounded up: so that equal steps stay equal, which rounding to even would not keep."""
    return (2 * value + unit) // (2 * unit)


def tenths(values: Sequence[int]) -> list[int]:
    """Each value of millionths in tenths, summing to their sum rounded to tenths."""
    return shares(values, TENTH, whole(sum(values), TENTH))


def shares(values: Sequence[int], unit: int, total: int) -> list[int]:
    """Each value of millionths in units such that they sum to `total`, which is their sum or next to it, by largest
    remainder; ties to the earlier. A value that needs no rounding keeps what it is."""
    out = [value // unit for value in values]
    by_remainder = sorted(range(len(out)), key=lambda i: out[i] * unit - values[i])
    for i in by_remainder[: total - sum(out)]:
        out[i] += 1
    return out
