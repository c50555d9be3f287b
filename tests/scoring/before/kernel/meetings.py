"""Meetings: one outcome each, however many tools told of it, the strongest evidence winning; and what is booked."""

from services.scoring.domain.bounds import MINUTE, UNSET
from tests.scoring.before.kernel.arithmetic import reliability
from tests.scoring.before.kernel.places import (
    COUNTS,
    HELD_PLACE,
    LATE_SINCE,
    MISSED_SINCE,
    RELIABILITY,
    STARTS,
    Columns,
    Window,
)

SCHEDULED, CANCELLED, HELD, MISSED = 5, 7, 8, 9
REPLACED_WITHIN = 10 * MINUTE
"""A cancellation with another booking this close is a reschedule: the tools tell it as a cancel plus a create."""
RATED_OUTCOMES = 8


def read_meetings(c: Columns, low: int, high: int, booked_low: int, booked_high: int, w: Window) -> int:
    """Writes the reliability of the outcome facts at members[low:high]; returns how many told facts stand, their places
    in `chosen`, the meeting of each in `other`, and the deciding one of each meeting in `low`."""
    count = 0
    for m in range(low, high):
        if c.stands[c.members[m]] != 0:
            w.chosen[count] = c.members[m]
            w.other[count] = count
            count += 1
    _join_by_name(c, count, w)
    _join_by_time(c, count, booked_low, booked_high, w)
    _decide(c, count, w)
    held = missed = cancelled = 0
    for k in range(count - 1, -1, -1):
        if held + missed + cancelled == RATED_OUTCOMES:
            break
        i = w.chosen[k]
        if w.low[_root(w, k)] != k or (c.kind[i] == CANCELLED and is_replaced(c, i, booked_low, booked_high)):
            continue
        held += c.kind[i] == HELD
        missed += c.kind[i] == MISSED
        cancelled += c.kind[i] == CANCELLED
    w.real[RELIABILITY] = reliability(held, missed, cancelled)
    w.whole[COUNTS + RELIABILITY] = held + missed + cancelled
    return count


def read_missed(c: Columns, low: int, high: int, told: int, w: Window) -> None:
    """Adds the missed meetings at members[low:high] that came after the last held one. Where stronger evidence says
    that the meeting was held, it was not missed."""
    for m in range(low, high):
        i = c.members[m]
        if c.stands[i] != 0 and i > w.whole[HELD_PLACE] and not _was_overruled(c, i, told, w):
            w.whole[MISSED_SINCE] += 1


def read_late(c: Columns, low: int, high: int, booked_low: int, booked_high: int, w: Window) -> None:
    """Whether the late cancellation at members[low:high] came after the last held meeting and nothing replaced it."""
    for m in range(low, high):
        i = c.members[m]
        if c.stands[i] != 0 and i > w.whole[HELD_PLACE] and not is_replaced(c, i, booked_low, booked_high):
            w.whole[LATE_SINCE] = 1


def read_bookings(c: Columns, low: int, high: int, told: int, w: Window) -> None:
    """Writes the starts of the booked meetings, ascending: the newest word on each counts, cancelled ones are none.
    `told`: how many outcomes stand in `chosen`."""
    count = 0
    for m in range(low, high):
        i = c.members[m]
        if c.stands[i] == 0 or _is_superseded(c, i, m + 1, high) or _is_cancelled(c, i, told, w):
            continue
        k = count
        while k > 0 and w.starts[k - 1] > c.first[i]:
            w.starts[k] = w.starts[k - 1]
            k -= 1
        w.starts[k] = c.first[i]
        count += 1
    w.whole[STARTS] = count


def is_replaced(c: Columns, i: int, low: int, high: int) -> bool:
    for m in range(low, high):
        j = c.members[m]
        near = abs(c.time[j] - c.time[i]) <= REPLACED_WITHIN
        if near and c.kind[j] == SCHEDULED and c.stands[j] != 0 and c.ref[j] != c.ref[i]:
            return True
    return False


def _join_by_name(c: Columns, count: int, w: Window) -> None:
    for k in range(1, count):
        twin = c.twin[w.chosen[k]]
        while twin >= w.chosen[0] and c.stands[twin] == 0:
            twin = c.twin[twin]
        if twin < w.chosen[0]:
            continue
        j = k - 1
        while w.chosen[j] != twin:
            j -= 1
        w.other[_root(w, k)] = _root(w, j)


def _join_by_time(c: Columns, count: int, booked_low: int, booked_high: int, w: Window) -> None:
    """Meetings whose times overlap are one, directly or through a third: a sweep by their begin. Those that begin at
    the same instant overlap, however little is known of their length."""
    spans = 0
    for k in range(count):
        begin, end = _span(c, w.chosen[k], booked_low, booked_high)
        if begin == UNSET:
            continue
        n = spans
        while n > 0 and w.low[n - 1] > begin:
            w.low[n], w.high[n], w.order[n] = w.low[n - 1], w.high[n - 1], w.order[n - 1]
            n -= 1
        w.low[n], w.high[n], w.order[n] = begin, end, k
        spans += 1
    last = 0
    for n in range(1, spans):
        if w.low[n] < w.high[last] or w.low[n] == w.low[last]:
            w.other[_root(w, w.order[n])] = _root(w, w.order[last])
        if w.high[n] >= w.high[last]:
            last = n


def _span(c: Columns, i: int, low: int, high: int) -> tuple[int, int]:
    """The time that a meeting took, or was booked for when it was cancelled or missed: to book it anew afterwards does
    not make another meeting of it."""
    if c.kind[i] == HELD:
        return c.first[i], c.second[i]
    for m in range(high - 1, low - 1, -1):
        j = c.members[m]
        if j < i and c.stands[j] != 0 and c.ref[j] == c.ref[i]:
            return c.first[j], c.second[j]
    return UNSET, UNSET


def _decide(c: Columns, count: int, w: Window) -> None:
    """Writes into `low`, at each meeting's root, its deciding fact: the strongest evidence, then the better outcome,
    then the later fact."""
    for k in range(count):
        w.low[k] = -1
    for k in range(count):
        root = _root(w, k)
        best = w.low[root]
        if best < 0 or _strength(c, w.chosen[k]) >= _strength(c, w.chosen[best]):
            w.low[root] = k


def _strength(c: Columns, i: int) -> int:
    better = 2 if c.kind[i] == HELD else 1 if c.kind[i] == MISSED else 0
    return c.evidence[i] * 4 + better


def _root(w: Window, k: int) -> int:
    while w.other[k] != k:
        k = w.other[k]
    return k


def _was_overruled(c: Columns, i: int, told: int, w: Window) -> bool:
    for k in range(told):
        if w.chosen[k] == i:
            return c.kind[w.chosen[w.low[_root(w, k)]]] != MISSED
    return False


def _is_superseded(c: Columns, i: int, low: int, high: int) -> bool:
    for m in range(low, high):
        if c.stands[c.members[m]] != 0 and c.ref[c.members[m]] == c.ref[i]:
            return True
    return False


def _is_cancelled(c: Columns, i: int, told: int, w: Window) -> bool:
    for k in range(told):
        j = w.chosen[k]
        if c.kind[j] == CANCELLED and c.ref[j] == c.ref[i] and j > i:
            return True
    return False
