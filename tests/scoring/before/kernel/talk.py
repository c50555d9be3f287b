"""Messages: who carries the conversation, and how soon the other answers."""

import math

from tests.scoring.before.kernel.arithmetic import mutual, responsiveness
from tests.scoring.before.kernel.pauses import active
from tests.scoring.before.kernel.places import COUNTS, MUTUAL, PAUSES, RESPONSIVENESS, Columns, Window

MENTOR = 1
RATED_MESSAGES = 24
LEAST_MESSAGES = 4
"""Fewer messages say nothing about who carries the conversation."""
HOUR = 3_600_000_000


def read_talk(c: Columns, a: int, a_end: int, b: int, b_end: int, w: Window) -> None:
    """Writes mutual and responsiveness of the newest messages in all, of members[a:a_end] and members[b:b_end]."""
    count = _newest(c, a, a_end, b, b_end, w)
    by_mentor = turns = 0
    log_hours = 0.0
    asked = 0
    for k in range(count - 1, -1, -1):
        i = w.chosen[k]
        by_mentor += c.slot[i] == MENTOR
        if k == count - 1:
            asked = c.time[i]
        elif c.slot[i] != c.slot[w.chosen[k + 1]]:
            hours = active(w, w.whole[PAUSES], asked, c.time[i]) / HOUR
            log_hours += math.log1p(hours)
            turns += 1
            asked = c.time[i]
    w.real[MUTUAL] = mutual(by_mentor, count - by_mentor)
    w.whole[COUNTS + MUTUAL] = count if count >= LEAST_MESSAGES else 0
    w.real[RESPONSIVENESS] = responsiveness(turns, log_hours)
    w.whole[COUNTS + RESPONSIVENESS] = turns


def _newest(c: Columns, a: int, a_end: int, b: int, b_end: int, w: Window) -> int:
    """Writes the places of the newest standing ones into `chosen`, newest first."""
    count = 0
    while count < RATED_MESSAGES and (a < a_end or b < b_end):
        if b == b_end or (a < a_end and c.members[a_end - 1] > c.members[b_end - 1]):
            a_end -= 1
            i = c.members[a_end]
        else:
            b_end -= 1
            i = c.members[b_end]
        if c.stands[i] != 0:
            w.chosen[count] = i
            count += 1
    return count
