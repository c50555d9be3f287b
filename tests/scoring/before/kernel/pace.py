"""Pace: how long the gaps between contact days usually are, and how much they vary."""

import math

from tests.scoring.before.kernel.arithmetic import DAY, steepness, typical_gap
from tests.scoring.before.kernel.pauses import active
from tests.scoring.before.kernel.places import (
    CONTACT_DAYS,
    CONTACT_WINDOW_DAYS,
    CONTACTS,
    E_DAYS,
    MEDIAN,
    PAUSES,
    SHAPE,
    Columns,
    Window,
)

LOGS = tuple(math.log(max(1, days)) for days in range(400))
"""Most gaps are whole days, and no longer than the window."""


def read_pace(c: Columns, r: int, seen: int, w: Window) -> None:
    """Writes median, shape and number of the contact days among contact[:seen] that count: the newest so many, within
    the window before the newest one, each by its two least contacts."""
    count = gaps = 0
    total = 0.0
    if seen > c.contact_begin[r]:
        newest = c.of_day[seen - 1]
        before = -1
        for d in range(max(c.day_begin[r], newest - c.looked_at[CONTACT_DAYS] + 1), newest + 1):
            stands = c.stands_so_far[seen - 1] if d == newest else c.day_stands[d]
            if stands == 0 or c.day[d] <= c.day[newest] - c.looked_at[CONTACT_WINDOW_DAYS]:
                continue
            if before >= 0:
                w.work[gaps] = _log_gap(w, c.day[before], c.day[d])
                total += w.work[gaps]
                gaps += 1
            before = d
            count += 1
    mu = typical_gap(math.log(w.real[E_DAYS]), gaps, total)
    squares = 0.0
    for k in range(gaps):
        squares += (w.work[k] - mu) * (w.work[k] - mu)
    w.real[MEDIAN], w.real[SHAPE] = math.exp(mu), steepness(gaps, squares)
    w.whole[CONTACTS] = max(1, count)


def _log_gap(w: Window, a: int, b: int) -> float:
    if w.whole[PAUSES] == 0 and b - a < len(LOGS):
        return LOGS[b - a]
    days = active(w, w.whole[PAUSES], a * DAY, b * DAY) / DAY
    return math.log(max(1.0, days))
