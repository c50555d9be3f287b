"""When somebody was in a meeting: of many intervals, which may overlap where two devices were used, the stays."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Stay(NamedTuple):
    joined: datetime
    left: datetime


def stays(intervals: Iterable[Stay]) -> list[Stay]:
    """In order, apart from each other, none without duration."""
    found: list[Stay] = []
    for interval in sorted(intervals):
        if found and interval.joined <= found[-1].left:
            found[-1] = Stay(found[-1].joined, max(found[-1].left, interval.left))
        else:
            found.append(interval)
    return [stay for stay in found if stay.left > stay.joined]
