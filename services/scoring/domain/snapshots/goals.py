"""Goals: joined from what was reported of each, the newest of them rated."""

from typing import NamedTuple

from services.scoring.domain.bounds import ONE
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.score import GOALS_RATED
from services.scoring.domain.snapshots.index import IndexedFact, View

GROUPS = ("goals_set", "goals_progressed", "goals_revised", "goals_ended")

SMART_LEAST, SMART_STEP, SMART_FULL = 0.6, 0.08, 1.0
"""A goal counts by its SMART flags, 0.6 for none to 1 for all five; unknown flags are no fault."""


class Goal(NamedTuple):
    """A rated goal: its SMART share, its progress of 0 to 1, and since when it ages."""

    smart: float
    done: float
    since: int
    is_open: bool


class Goals(NamedTuple):
    """`rated`: newest first. `changed`: when anything did last. `selected`: the newest facts of each kind of the newest
    goals, `standing` of which stand."""

    rated: tuple[Goal, ...]
    changed: int | None
    selected: tuple[IndexedFact, ...]
    standing: int


NO_GOALS = Goals((), None, (), 0)


def goals(view: View) -> Goals:
    if not any(view.ends[name] for name in GROUPS):
        return NO_GOALS
    of_each = [{entry.slot: entry for entry in view.newest_of_goals(name)} for name in GROUPS]
    set_, progressed, revised, ended = of_each
    rated: list[Goal] = []
    for name, entry in set_.items():
        if len(rated) == GOALS_RATED:
            break
        end = _later(ended.get(name), entry)
        if entry.stands and (end is None or end.kind != FactKind.GOAL_ABANDONED):
            rated.append(_goal(entry, progressed.get(name), _later(revised.get(name), entry), end))
    selected = tuple([entry for newest in of_each for entry in newest.values()])
    standing = [entry.time for entry in selected if entry.stands]
    return Goals(tuple(rated), max(standing, default=None), selected, len(standing))


def smart(flags: int) -> float:
    """`flags`: how many of the five are true; below 0: unknown."""
    return SMART_FULL if flags < 0 else SMART_LEAST + SMART_STEP * flags


def _later(entry: IndexedFact | None, than: IndexedFact) -> IndexedFact | None:
    """What was reported after the goal was set, and stands."""
    return entry if entry is not None and entry.place > than.place and entry.stands else None


def _goal(
    entry: IndexedFact, progress: IndexedFact | None, revision: IndexedFact | None, end: IndexedFact | None
) -> Goal:
    flags = entry.value if revision is None or revision.value < 0 else revision.value
    done = progress.value / ONE if progress is not None and progress.stands else 0.0
    if end is not None and end.kind == FactKind.GOAL_ACHIEVED:
        done = 1.0
    return Goal(smart(flags), done, entry.time if revision is None else revision.time, end is None)
