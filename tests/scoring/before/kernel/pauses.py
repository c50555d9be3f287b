"""Pauses and active time: ages, gaps and silences do not grow while a relationship is paused."""

from services.scoring.domain.bounds import FOREVER, UNSET
from tests.scoring.before.kernel.places import Columns, Window

PAUSED, RESUMED = 2, 3


def read_pauses(c: Columns, low: int, high: int, w: Window) -> int:
    """Writes the pauses of the status facts at members[low:high], by their begin; returns how many. A resume closes the
    pause it names, or all that are open."""
    count = 0
    for m in range(low, high):
        i = c.members[m]
        if c.kind[i] != PAUSED or c.stands[i] == 0:
            continue
        begin = c.time[i] if c.first[i] == UNSET else c.first[i]
        end = _closed(c, i, m + 1, high)
        k = count
        while k > 0 and w.pause_begin[k - 1] > begin:
            w.pause_begin[k], w.pause_end[k] = w.pause_begin[k - 1], w.pause_end[k - 1]
            k -= 1
        w.pause_begin[k], w.pause_end[k] = begin, end
        count += 1
    return count


def _closed(c: Columns, i: int, low: int, high: int) -> int:
    end = FOREVER if c.second[i] == UNSET else c.second[i]
    for m in range(low, high):
        j = c.members[m]
        if c.kind[j] == RESUMED and c.stands[j] != 0 and (c.ref[j] == 0 or c.ref[j] == c.ref[i]):
            return min(end, c.time[j])
    return end


def active(w: Window, count: int, begin: int, end: int) -> int:
    """Microseconds between two instants that lie in none of the pauses."""
    total, reach = end - begin, begin
    for k in range(count):
        low, high = max(w.pause_begin[k], reach), min(w.pause_end[k], end)
        if low < high:
            total -= high - low
            reach = high
    return total


def later(w: Window, count: int, begin: int, span: int) -> int:
    """The instant at which so much active time has passed since `begin`; FOREVER: an open pause comes before it."""
    at, left = begin, span
    for k in range(count):
        if w.pause_begin[k] - at >= left:
            return at + left
        if w.pause_begin[k] > at:
            left -= w.pause_begin[k] - at
            at = w.pause_begin[k]
        at = max(at, w.pause_end[k])
    return FOREVER if at == FOREVER else at + left
