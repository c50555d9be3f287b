"""The bounded memory: which facts of a relationship are kept so that its recent rows stay exact.

Trimming is a projection: `trimmed(a | trimmed(b)) == trimmed(a | b)`, so states merge in any order and grouping."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from services.scoring.domain import bounds
from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.kinds import BOTH, GOALS, LATE, MENTEE, MENTOR, FactKind, slots_of

# How many facts of each group a score uses; for goals, how many goals, with the newest such fact of each.
SELECTED_PER_GROUP: dict[str, int] = {
    "outcomes": 24,
    "held": 1,
    "missed_by_mentor": 3,
    "missed_by_mentee": 3,
    "cancelled_late": 1,
    "messages_by_mentor": 24,
    "messages_by_mentee": 24,
    "started": 4,
    "status": 32,
    "bookings": 16,
    "goals_set": 16,
    "goals_progressed": 16,
    "goals_revised": 16,
    "goals_ended": 16,
    "ratings_by_mentor": 6,
    "ratings_by_mentee": 6,
    "pulses": 4,
    "growth_of_mentor": 1,
    "growth_of_mentee": 1,
    "support": 16,
    "fit_by_mentor": 1,
    "fit_by_mentee": 1,
    "prepared_mentor": 1,
    "prepared_mentee": 1,
    "agreed": 1,
    "erased": 1,
}
PER_GOAL = frozenset({"goals_set", "goals_progressed", "goals_revised", "goals_ended"})
CONTACT_GROUPS = frozenset({"held", "messages_by_mentor", "messages_by_mentee"})

CONTACTS_PER_DAY = 2
"""Contacts kept per day: if one is retracted, the other still marks the day."""

# The groups of each kind; `{}` stands for the side.
_GROUPS_OF: Mapping[FactKind, tuple[str, ...]] = {
    FactKind.STARTED: ("started",),
    FactKind.PAUSED: ("status",),
    FactKind.RESUMED: ("status",),
    FactKind.ENDED: ("status",),
    FactKind.SCHEDULED: ("bookings",),
    FactKind.RESCHEDULED: ("bookings",),
    FactKind.CANCELLED: ("outcomes",),
    FactKind.HELD: ("held", "outcomes"),
    FactKind.MISSED: ("missed_by_{}", "outcomes"),
    FactKind.MESSAGE: ("messages_by_{}",),
    FactKind.ERASED: ("erased",),
    FactKind.GOAL_SET: ("goals_set",),
    FactKind.GOAL_REVISED: ("goals_revised",),
    FactKind.GOAL_PROGRESSED: ("goals_progressed",),
    FactKind.GOAL_ACHIEVED: ("goals_ended",),
    FactKind.GOAL_MISSED: ("goals_ended",),
    FactKind.GOAL_ABANDONED: ("goals_ended",),
    FactKind.CELEBRATED: ("growth_of_{}",),
    FactKind.FEEDBACK: ("ratings_by_{}",),
    FactKind.CHECKIN: ("ratings_by_{}",),
    FactKind.FIT: ("fit_by_{}",),
    FactKind.PULSE: ("pulses",),
    FactKind.REFLECTION: ("growth_of_{}",),
    FactKind.SKILL: ("growth_of_{}",),
    FactKind.INTRODUCTION: ("growth_of_{}",),
    FactKind.RESOURCE: ("growth_of_{}",),
    FactKind.REQUESTED: ("support",),
    FactKind.RESOLVED: ("support",),
    FactKind.AGREED: ("agreed",),
    FactKind.PREPARED: ("prepared_{}",),
}
_SIDES = {MENTOR: ("mentor",), MENTEE: ("mentee",), BOTH: ("mentor", "mentee")}


def _groups_of(kind: FactKind, slot: int) -> tuple[str, ...]:
    by_side = ((name.format(side) for side in _SIDES[slot]) if "{" in name else (name,) for name in _GROUPS_OF[kind])
    return (*chain.from_iterable(by_side), *(("cancelled_late",) if slot == LATE else ()))


GROUPS = {(kind.value, slot): _groups_of(kind, slot) for kind in FactKind for slot in slots_of(kind)}
"""By kind and slot; slot 0 for goals, whose slot is the goal's number."""


def groups(key: Key) -> tuple[str, ...]:
    return GROUPS[key.kind, 0 if key.kind in GOALS else key.slot]


def trimmed(facts: Facts) -> dict[Key, Fact]:
    """The facts that the bounded memory keeps."""
    keep = kept(sorted(facts))
    return {key: fact for key, fact in facts.items() if key in keep}


def kept(ordered: Sequence[Key]) -> set[Key]:
    """The keys to keep: per group the newest facts within the horizon, and of older ones as many as a score uses; the
    oldest fact of all; and of older contacts the newest days, each by its two least ids. An erasure keeps only itself.
    """
    if not ordered:
        return set()
    by_group: dict[str, list[Key]] = defaultdict(list)
    """Newest first within each group."""
    for key in reversed(ordered):
        _, kind, _, slot = key
        for name in GROUPS[kind, 0 if kind in GOALS else slot]:
            by_group[name].append(key)
    if "erased" in by_group:
        return {by_group["erased"][-1]}
    cut = ordered[-1].time - bounds.HORIZON
    keep, rest = {ordered[0]}, []
    for name, keys in by_group.items():
        recent = [key for key in keys if key.time > cut][: bounds.GROUP_CAPACITY]
        older = keys[len(recent) :]
        keep.update(recent)
        keep.update(newest(name, older))
        if name in CONTACT_GROUPS:
            rest += older
    # The newest days with contact, each represented by its two least contact ids.
    days: dict[int, list[Key]] = defaultdict(list)
    for key in rest:
        days[key.time // bounds.DAY].append(key)
    for day in sorted(days, reverse=True)[: bounds.CONTACT_DAYS]:
        keep.update(sorted(days[day], key=lambda key: (key.uid, key))[:CONTACTS_PER_DAY])
    return keep


def newest(name: str, keys: Sequence[Key]) -> Iterable[Key]:
    """The keys of a group that a score uses, newest first."""
    if name not in PER_GOAL:
        return keys[: SELECTED_PER_GROUP[name]]
    of_goal: dict[int, Key] = {}
    for key in keys:
        if len(of_goal) == SELECTED_PER_GROUP[name]:
            break
        of_goal.setdefault(key.slot, key)
    return of_goal.values()
