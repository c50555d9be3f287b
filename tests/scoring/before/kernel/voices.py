"""What the two say of the relationship: ratings, well-being, calls for help, fit."""

from tests.scoring.before.kernel.arithmetic import both_sides, rated
from tests.scoring.before.kernel.places import (
    CAPS,
    COUNTS,
    FEEDBACK,
    FIT_NOT_GOOD,
    RATING_DROP,
    SUPPORT_OPEN,
    SUPPORTED,
    Columns,
    Window,
)

REQUESTED, RESOLVED = 27, 28
NOT_GOOD = 0
POINTS_OF_DROP = 2.0
"""A drop is counted per 2 of the 4 points between the worst and the best rating."""


def read_feedback(c: Columns, a: int, a_end: int, b: int, b_end: int, w: Window) -> None:
    """Of the ratings by the mentor at members[a:a_end] and by the mentee at members[b:b_end]."""
    mentor, mentor_total = _sum(c, a, a_end)
    mentee, mentee_total = _sum(c, b, b_end)
    count = mentor + mentee
    w.whole[COUNTS + FEEDBACK], w.real[RATING_DROP] = count, 0.0
    if count == 0:
        return
    by_mentor, by_mentee = rated(mentor_total, mentor), rated(mentee_total, mentee)
    both = both_sides(by_mentor, by_mentee)
    w.real[FEEDBACK] = both if mentor > 0 and mentee > 0 else by_mentor if mentor > 0 else by_mentee
    latest = max(_latest(c, a, a_end), _latest(c, b, b_end))
    drop = (mentor_total + mentee_total) / count - c.value[latest] / 1e6
    w.real[RATING_DROP] = max(0.0, drop * 4.0 / POINTS_OF_DROP)


def read_pulses(c: Columns, low: int, high: int, w: Window) -> None:
    count, total = _sum(c, low, high)
    w.whole[COUNTS + SUPPORTED], w.real[SUPPORTED] = count, rated(total, count)


def read_caps(c: Columns, low: int, high: int, fit: tuple[int, int, int, int], w: Window) -> None:
    """What holds the band down: an open immediate request at members[low:high], or a side that finds the fit not good
    (`fit`: where the newest words of either side begin and end)."""
    w.whole[CAPS] = 0
    for m in range(low, high):
        i = c.members[m]
        if c.kind[i] == REQUESTED and c.stands[i] != 0 and c.value[i] != 0 and not is_resolved(c, m, high):
            w.whole[CAPS] |= SUPPORT_OPEN
    if _is_not_good(c, fit[0], fit[1]) or _is_not_good(c, fit[2], fit[3]):
        w.whole[CAPS] |= FIT_NOT_GOOD


def is_resolved(c: Columns, m: int, high: int) -> bool:
    """Whether the request at members[m] was resolved later, by members[:high]."""
    for n in range(m + 1, high):
        j = c.members[n]
        if c.kind[j] == RESOLVED and c.stands[j] != 0 and c.ref[j] == c.ref[c.members[m]]:
            return True
    return False


def _is_not_good(c: Columns, low: int, high: int) -> bool:
    for m in range(low, high):
        if c.stands[c.members[m]] != 0 and c.value[c.members[m]] == NOT_GOOD:
            return True
    return False


def _sum(c: Columns, low: int, high: int) -> tuple[int, float]:
    """How many ratings stand, and the sum of their values, of 0 to 1 each."""
    count, total = 0, 0.0
    for m in range(low, high):
        if c.stands[c.members[m]] != 0:
            count += 1
            total += c.value[c.members[m]] / 1e6
    return count, total


def _latest(c: Columns, low: int, high: int) -> int:
    """The place of the newest standing one, -1: none."""
    for m in range(high - 1, low - 1, -1):
        if c.stands[c.members[m]] != 0:
            return c.members[m]
    return -1
