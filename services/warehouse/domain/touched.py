"""The keys for which derived tables are recomputed, in portions."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TypeVar

Key = TypeVar("Key")
Day = tuple[str, str, date]


def months(days: Iterable[Day]) -> tuple[int, ...]:
    """Return the partitions (yyyymm) of the days."""
    return tuple(sorted({day.year * 100 + day.month for _, _, day in days}))


def portions(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
