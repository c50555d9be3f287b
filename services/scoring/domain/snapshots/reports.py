"""What mentor and mentee report about the relationship: ratings, well-being, support requests, fit, growth,
expectations; and their goals, joined from the reports on each, the newest of them rated."""

import math
from typing import NamedTuple

from services.scoring.domain.bounds import ONE
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.score import GOALS_RATED
from services.scoring.domain.snapshots.index import IndexedFact, View

GROUPS = (
    "ratings_by_mentor",
    "ratings_by_mentee",
    "pulses",
    "growth_of_mentor",
    "growth_of_mentee",
    "support",
    "fit_by_mentor",
    "fit_by_mentee",
    "prepared_mentor",
    "prepared_mentee",
    "agreed",
)

NOT_GOOD = 0
STEPS_OF_RATING = 4.0
"""Points between the worst and the best rating."""
POINTS_OF_DROP = 2.0
"""A drop is counted per 2 of these points."""


class SelfReports(NamedTuple):
    """`ratings` and `pulses`: how many facts feedback and support rest on. `drop`: how far the latest rating is below
    the mean, per two points. `requests`: open ones, oldest first. `done`: how many of agreed, mentor prepared, mentee
    prepared."""

    feedback: float
    ratings: int
    drop: float
    support: float
    pulses: int
    mentor_growth: int | None
    mentee_growth: int | None
    done: int
    requests: tuple[str, ...]
    caps: tuple[str, ...]


def reports(view: View) -> SelfReports:
    by_mentor, by_mentee = view.standing("ratings_by_mentor"), view.standing("ratings_by_mentee")
    pulses, support_facts = view.standing("pulses"), view.standing("support")
    resolved = {entry.ref: entry.ordinal for entry in support_facts if entry.kind == FactKind.RESOLVED}
    requests = [e for e in support_facts if e.kind == FactKind.REQUESTED and resolved.get(e.ref, -1) < e.ordinal]
    fits = [view.newest(name) for name in ("fit_by_mentor", "fit_by_mentee")]
    growth = [view.newest(name) for name in ("growth_of_mentor", "growth_of_mentee")]
    done_facts = [view.newest(name) for name in ("agreed", "prepared_mentor", "prepared_mentee")]
    found = {
        "support_open": any(request.value for request in requests),
        "fit_not_good": any(fit is not None and fit.value == NOT_GOOD for fit in fits),
    }
    feedback, drop = _ratings(by_mentor, by_mentee)
    return SelfReports(
        feedback=feedback,
        ratings=len(by_mentor) + len(by_mentee),
        drop=drop,
        support=rated(_sum(pulses), len(pulses)),
        pulses=len(pulses),
        mentor_growth=growth[0].time if growth[0] else None,
        mentee_growth=growth[1].time if growth[1] else None,
        done=sum(thing is not None for thing in done_facts),
        requests=tuple([request.name for request in requests]),
        caps=tuple([cap for cap, holds in found.items() if holds]),
    )


def rated(total: float, count: int) -> float:
    """One side's ratings of 0 to 1; one full rating is credited."""
    return (1.0 + total) / (1.0 + count)


def _ratings(by_mentor: list[IndexedFact], by_mentee: list[IndexedFact]) -> tuple[float, float]:
    """Feedback, and how far the latest rating is below the mean."""
    mentor, mentee = (rated(_sum(ratings), len(ratings)) for ratings in (by_mentor, by_mentee))
    if not by_mentor and not by_mentee:
        return mentee, 0.0
    latest = max([*by_mentor[-1:], *by_mentee[-1:]])
    mean = (_sum(by_mentor) + _sum(by_mentee)) / (len(by_mentor) + len(by_mentee))
    drop = max(0.0, (mean - latest.value / ONE) * STEPS_OF_RATING / POINTS_OF_DROP)
    if by_mentor and by_mentee:
        # The less satisfied side counts more: one satisfied side does not make the relationship healthy.
        return 0.5 * min(mentor, mentee) + 0.25 * (mentor + mentee), drop
    return mentor if by_mentor else mentee, drop


def _sum(ratings: list[IndexedFact]) -> float:
    return math.fsum([entry.value / ONE for entry in ratings])


GOAL_GROUPS = ("goals_set", "goals_progressed", "goals_revised", "goals_ended")
SMART_LEAST, SMART_STEP, SMART_FULL = 0.6, 0.08, 1.0
"""A goal counts by its SMART flags, 0.6 for none to 1 for all five; unknown flags count in full."""


class Goal(NamedTuple):
    """A rated goal: its SMART share, its progress of 0 to 1, and the instant from which it ages."""

    smart: float
    done: float
    since: int
    is_open: bool


class Goals(NamedTuple):
    """`rated`: newest first. `changed`: the time of the last change. `selected`: the newest facts of each kind of the
    newest goals, `standing` of which stand."""

    rated: tuple[Goal, ...]
    changed: int | None
    selected: tuple[IndexedFact, ...]
    standing: int


NO_GOALS = Goals((), None, (), 0)


def goals(view: View) -> Goals:
    if not any(view.ends[name] for name in GOAL_GROUPS):
        return NO_GOALS
    # The newest fact of each kind of each goal, the newest goals first.
    of_each = [{entry.slot: entry for entry in view.index.goals[name][view.ends[name]]} for name in GOAL_GROUPS]
    set_, progressed, revised, ended = of_each
    rated: list[Goal] = []
    for name, entry in set_.items():
        if len(rated) == GOALS_RATED:
            break
        end = _later(ended.get(name), entry)
        if not entry.stands or (end is not None and end.kind == FactKind.GOAL_ABANDONED):
            continue
        progress, revision = progressed.get(name), _later(revised.get(name), entry)
        flags = entry.value if revision is None or revision.value < 0 else revision.value
        done = progress.value / ONE if progress is not None and progress.stands else 0.0
        if end is not None and end.kind == FactKind.GOAL_ACHIEVED:
            done = 1.0
        rated.append(Goal(smart(flags), done, entry.time if revision is None else revision.time, end is None))
    selected = tuple([entry for newest in of_each for entry in newest.values()])
    standing = [entry.time for entry in selected if entry.stands]
    return Goals(tuple(rated), max(standing, default=None), selected, len(standing))


def smart(flags: int) -> float:
    """`flags`: how many of the five are true; below 0: unknown."""
    return SMART_FULL if flags < 0 else SMART_LEAST + SMART_STEP * flags


def _later(entry: IndexedFact | None, than: IndexedFact) -> IndexedFact | None:
    """The entry, if it was reported after the goal was set and stands."""
    return entry if entry is not None and entry.ordinal > than.ordinal and entry.stands else None
