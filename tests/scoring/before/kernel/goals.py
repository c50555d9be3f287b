"""Goals: joined from what was said of each, the newest of them rated."""

from collections.abc import Sequence

from services.scoring.domain.bounds import UNSET
from tests.scoring.before.kernel.arithmetic import smart
from tests.scoring.before.kernel.places import (
    COUNTS,
    GOAL_FACTS,
    GOALS,
    GOALS_ENDED,
    GOALS_OPEN,
    GOALS_PROGRESSED,
    GOALS_RATED,
    GOALS_REVISED,
    GOALS_SEEN,
    GOALS_SET,
    GROUPS,
    LAST_GOAL_CHANGE,
    Columns,
    Window,
)

ACHIEVED, MISSED, ABANDONED = 15, 16, 17


def read_goals(c: Columns, r: int, ends: Sequence[int], w: Window) -> None:
    """Writes the rated goals, newest first, when anything changed last, and how many are open. `ends`: where each
    group of relationship r ends in members."""
    w.whole[LAST_GOAL_CHANGE], w.whole[COUNTS + GOALS] = UNSET, 0
    w.whole[GOALS_SEEN] = w.whole[GOALS_OPEN] = w.whole[GOAL_FACTS] = 0
    begin = r * GROUPS
    if ends[GOALS_SET] + ends[GOALS_PROGRESSED] + ends[GOALS_REVISED] + ends[GOALS_ENDED] == (
        c.begin[begin + GOALS_SET]
        + c.begin[begin + GOALS_PROGRESSED]
        + c.begin[begin + GOALS_REVISED]
        + c.begin[begin + GOALS_ENDED]
    ):
        return
    known = _newest_of_each(c, r, GOALS_SET, ends, w, 0)
    progressed = _newest_of_each(c, r, GOALS_PROGRESSED, ends, w, known)
    revised = _newest_of_each(c, r, GOALS_REVISED, ends, w, progressed)
    ended = _newest_of_each(c, r, GOALS_ENDED, ends, w, revised)
    w.whole[GOAL_FACTS] = ended
    for k in range(known):
        if w.whole[GOALS_SEEN] == GOALS_RATED:
            break
        if c.stands[w.goal[k]] != 0:
            _rate(c, w.goal[k], (known, progressed, revised, ended), w)


def _newest_of_each(c: Columns, r: int, group: int, ends: Sequence[int], w: Window, at: int) -> int:
    """Writes the newest fact of each of the newest goals into `goal` from `at` on; returns where they end."""
    begin, count = c.begin[r * GROUPS + group], at
    for m in range(ends[group] - 1, begin - 1, -1):
        i = c.members[m]
        if _of_goal(c, c.slot[i], at, count, w) >= 0:
            continue
        w.goal[count] = i
        count += 1
        if c.stands[i] != 0:
            w.whole[COUNTS + GOALS] += 1
            w.whole[LAST_GOAL_CHANGE] = max(w.whole[LAST_GOAL_CHANGE], c.time[i])
        if count - at == c.looked_at[group]:
            break
    return count


def _of_goal(c: Columns, goal: int, low: int, high: int, w: Window) -> int:
    """The fact of a goal at goal[low:high], -1: none."""
    for k in range(low, high):
        if c.slot[w.goal[k]] == goal:
            return w.goal[k]
    return -1


def _rate(c: Columns, i: int, ends: tuple[int, int, int, int], w: Window) -> None:
    """Adds the goal that was set at place i, unless it was abandoned since."""
    known, progressed, revised, ended = ends
    progress = _of_goal(c, c.slot[i], known, progressed, w)
    revision = _of_goal(c, c.slot[i], progressed, revised, w)
    end = _of_goal(c, c.slot[i], revised, ended, w)
    is_ended = end > i and c.stands[end] != 0
    if is_ended and c.kind[end] == ABANDONED:
        return
    k = w.whole[GOALS_SEEN]
    w.goal_since[k], flags = c.time[i], c.value[i]
    if revision > i and c.stands[revision] != 0:
        w.goal_since[k] = c.time[revision]
        flags = flags if c.value[revision] < 0 else c.value[revision]
    w.goal_smart[k] = smart(flags)
    w.goal_done[k] = c.value[progress] / 1e6 if progress >= 0 and c.stands[progress] != 0 else 0.0
    w.goal_open[k] = 0 if is_ended else 1
    if is_ended and c.kind[end] == ACHIEVED:
        w.goal_done[k] = 1.0
    w.whole[GOALS_OPEN] += w.goal_open[k]
    w.whole[GOALS_SEEN] += 1
