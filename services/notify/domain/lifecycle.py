"""The lifecycle of one rule on one subject: ok -> pending -> firing -> recovering -> ok. Rows change the condition and
its deadlines; only a deadline, or the end of the relationship, makes a transition that people are notified of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

from schemas.alerts import Condition, TransitionName, Urgency
from schemas.primitives import Instant
from schemas.rule_words import cleared, fired
from schemas.rules import NO_TIME, Age, Drawdown, Rule, Tier, more_urgent
from services.notify.domain.drawdown import Fall, find_fall, regained_run, settles_at, update_level
from services.notify.domain.window import Run, StoredInstant, Window, newest_values, unbroken_run

ENDED = "relationship ended"
ERASED = "relationship erased"
CORRECTED = "corrected: it was never so"
SETTLED = "the new level has held"
OPEN = frozenset({"firing", "recovering"})
RELAPSE = timedelta(hours=24)
"""A relapse within this time counts as a flap: whoever reads "all is well" and the contrary within a day does not
listen the third time."""
UNSTABLE_WITHIN = timedelta(days=7)
UNSTABLE_FLAPS = 3
MAX_FLAPS = 8
"""More than can happen within that time with the holds of any rule."""


class Due(NamedTuple):
    """A deadline: the tier of this urgency fires, or, without urgency, the alert resolves."""

    at: StoredInstant
    urgency: Urgency | None


@dataclass(frozen=True, slots=True)
class RuleState:
    """`since`: since when the values have been bad, kept while the episode is open; `dues`: deadlines, soonest first,
    each more urgent than the one before; `seq` counts the transitions of all episodes; `told` is the last episode of
    which a notice was (or will be) sent; `ended`: when the last episode closed; `flaps`: relapses soon after a close,
    within `UNSTABLE_WITHIN` before the last firing; `unstable`: there were too many flaps, and the last is recent;
    `regained_at`: when enough of the last fall of health was regained that it was over, whether or not anybody was
    notified of it."""

    condition: Condition = "ok"
    since: StoredInstant | None = None
    dues: tuple[Due, ...] = ()
    episode: int = 0
    urgency: Urgency | None = None
    seq: int = 0
    told: int = 0
    ended: StoredInstant | None = None
    flaps: tuple[StoredInstant, ...] = ()
    unstable: bool = False
    fired: StoredInstant | None = None
    fall: Fall | None = None
    regained_at: StoredInstant | None = None

    def reset(self) -> "RuleState":
        """Return the state without an open condition; its counters continue."""
        return self if self.condition == "ok" else RuleState().with_counters_of(self)

    def with_counters_of(self, other: "RuleState") -> "RuleState":
        """Return this condition with the counters of the other state."""
        # Positional: `replace` takes three times as long, for every rule of every row.
        return RuleState(
            self.condition,
            self.since,
            self.dues,
            other.episode,
            self.urgency,
            other.seq,
            other.told,
            other.ended,
            other.flaps,
            other.unstable,
            self.fired,
            self.fall,
            other.regained_at,
        )


AT_REST = RuleState()


def without_idle(states: Mapping[str, RuleState]) -> Mapping[str, RuleState]:
    """Drop the states of rules that never had a condition: they are most of all states, and are written each time."""
    # Comparing the condition first is cheaper.
    return {name: state for name, state in states.items() if state.condition != "ok" or state != AT_REST}


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition that people are notified of. `episode`: the state of its episode, with this transition applied.
    `late`: why it came to light late, if so: it goes into the digest "at risk now". `rescored`: it came about only
    because scores are computed otherwise."""

    rule: Rule
    name: TransitionName
    at: Instant
    episode: RuleState
    why: str
    late: str | None = None
    rescored: bool = False


def evaluate(rule: Rule, state: RuleState, rows: Window) -> RuleState:
    """Return the state after the newest of these rows. Without a row, or with low confidence, it neither fires nor
    resolves. After a correction a deadline may lie in the past: then it is due at once."""
    if state.condition in OPEN:
        return _evaluate_open(rule, state, rows)
    if rule.drop is not None:
        return _evaluate_fall(rule, rule.drop, state, rows)
    last = newest_values(rows)
    # Most rows reach no level.
    if last is None or not rule.reaches(last, rule.tiers[0].level):
        return state.reset()
    if rule.age is not None:
        since = last.silent_from
    else:
        run = _run(rule, rows, rule.tiers[0])
        since = run and run.since
    dues = _deadlines(rule, rows, rule.tiers)
    if state.condition == "pending" and state.since == since and state.dues == dues and state.fall is None:
        return state
    return RuleState("pending", since, dues).with_counters_of(state)


def apply_deadline(rule: Rule, state: RuleState, at: Instant) -> tuple[RuleState, Transition]:
    """Apply the first deadline at an instant."""
    due = state.dues[0]
    if due.urgency is None:
        settled = state.fall is not None and state.condition == "firing"
        # A settled level has held for longer than a fall looks back.
        over = state if state.fall is None or settled else replace(state, regained_at=at)
        return _resolve(rule, over, at, SETTLED if settled else cleared(rule))
    if state.condition != "firing":
        return _open_episode(rule, replace(state, condition="firing", dues=state.dues[1:], urgency=due.urgency), at)
    worse = replace(state, dues=state.dues[1:], urgency=due.urgency, seq=state.seq + 1)
    return worse, Transition(rule, "escalated", at, worse, _firing_reason(rule, worse))


def close_rule(rule: Rule, state: RuleState, at: Instant, why: str = ENDED) -> tuple[RuleState, Transition | None]:
    """Close a rule that is watched no more, for example at the end of the relationship: an open alert resolves at once,
    a pending one is forgotten."""
    if state.condition in OPEN:
        return _resolve(rule, state, at, why)
    return state.reset(), None


def reconcile(
    rule: Rule, state: RuleState, found: RuleState, at: Instant, late: str | None
) -> tuple[RuleState, Transition | None]:
    """Bring the stored state to what the corrected rows say now. Makes at most one transition: an episode that began
    and ended among rows that nobody was notified of stays silent."""
    was_open, is_open = state.condition in OPEN, found.condition in OPEN
    kept = _with_counters_of(found, state)
    if was_open and not is_open:
        ended, transition = _resolve(rule, state, at, cleared(rule))
        return _with_counters_of(found, ended), replace(transition, late=late)
    if not is_open or found.urgency is None:
        return kept, None
    if not was_open:
        opened, transition = _open_episode(rule, kept, at)
        return opened, replace(transition, late=late)
    # An episode that ended and began anew among these rows continues as one.
    if state.urgency is not None and more_urgent(found.urgency, state.urgency):
        worse = replace(kept, seq=state.seq + 1, fired=state.fired)
        return worse, Transition(rule, "escalated", at, worse, _firing_reason(rule, worse), late)
    return replace(kept, urgency=state.urgency, fired=state.fired), None


def withdraw(
    rule: Rule, state: RuleState, found: RuleState, at: Instant, late: str | None
) -> tuple[RuleState, Transition]:
    """Resolve an open alert whose rows were corrected away; `found` is the remaining state."""
    ended, transition = _resolve(rule, state, at, CORRECTED)
    return _with_counters_of(found, ended), replace(transition, late=late)


def _with_counters_of(found: RuleState, other: RuleState) -> RuleState:
    """Keep `regained_at` of the rows, not of the stored state."""
    return replace(found.with_counters_of(other), regained_at=found.regained_at)


def _evaluate_fall(rule: Rule, drop: Drawdown, state: RuleState, rows: Window) -> RuleState:
    found = find_fall(rule, drop, rows, state.regained_at)
    if found is None:
        return state.reset()
    due = found.run.due(rule.tiers[0].hold) if found.points >= rule.min_points else None
    over = settles_at(rule, drop, found.fall, rows)
    dues: tuple[Due, ...] = ()
    if due is not None and over is not None:
        # The end is known with the start: no further row need arrive.
        dues = (Due(due, rule.tiers[0].urgency), Due(max(over, due + rule.keep), None))
    return RuleState("pending", found.run.since, dues, fall=found.fall).with_counters_of(state)


def _evaluate_open(rule: Rule, state: RuleState, rows: Window) -> RuleState:
    if rule.drop is not None and state.fall is not None:
        fall = update_level(rule, state.fall, rows)
        state, run = replace(state, fall=fall), regained_run(rule, rule.drop, fall, rows)
    else:
        # The last contact may be too old even by the newest row: a contact that is entered late need not clear the
        # alert.
        too_old = None if rule.age is None else _too_old_at(rule.age, rows)
        is_too_old = too_old is not None and too_old <= rows[-1].as_of
        run = None if is_too_old else unbroken_run(rows, lambda values: rule.clears(values, state.since))
    if run is not None:
        return replace(state, condition="recovering", dues=_resolve_deadline(rule, state, run.due(rule.clear_hold)))
    if rule.drop is not None and state.fall is not None:
        return replace(
            state,
            condition="firing",
            dues=_resolve_deadline(rule, state, settles_at(rule, rule.drop, state.fall, rows)),
        )
    assert state.urgency is not None, "an open alert has an urgency"
    worse = tuple(tier for tier in rule.tiers if more_urgent(tier.urgency, state.urgency))
    return replace(state, condition="firing", dues=_deadlines(rule, rows, worse))


def _resolve_deadline(rule: Rule, state: RuleState, due: Instant | None) -> tuple[Due, ...]:
    """Return the deadline that resolves, not before the rule's `keep` time."""
    if due is None:
        return ()
    return (Due(due if state.fired is None else max(due, state.fired + rule.keep), None),)


def _deadlines(rule: Rule, rows: Window, tiers: tuple[Tier, ...]) -> tuple[Due, ...]:
    """Return the deadlines of these tiers, soonest first. A milder tier due with or after a more urgent one is left
    out."""
    found: list[Due] = []
    aged = None if rule.age is None else _too_old_at(rule.age, rows)
    for tier in tiers:
        if rule.age is not None:
            due = aged and aged + tier.hold
        else:
            run = _run(rule, rows, tier)
            due = run.due(tier.hold) if run is not None and run.points >= rule.min_points else None
        if due is None:
            break
        while found and found[-1].at >= due:
            found.pop()
        found.append(Due(due, tier.urgency))
    return tuple(found)


def _run(rule: Rule, rows: Window, tier: Tier) -> Run | None:
    return unbroken_run(rows, lambda values: rule.reaches(values, tier.level))


def _too_old_at(age: Age, rows: Window) -> Instant | None:
    """Return when the last contact will be (or was) too old, without paused time as far as the window shows it; None
    while paused, and where a booked meeting counts."""
    last = newest_values(rows)
    if last is None or last.silent_from is None or last.status == "paused" or (age.unless_booked and last.booked):
        return None
    paused, later = NO_TIME, None
    # No lambdas: this runs for every row of every pair.
    for at, _, _, values in reversed(rows):
        if values is None:
            continue
        if values.silent_from != last.silent_from:
            break
        if values.status == "paused" and later is not None:
            paused += later - at
        later = at
    return last.silent_from + age.limit(last) + paused


def _open_episode(rule: Rule, state: RuleState, at: Instant) -> tuple[RuleState, Transition]:
    """Open the next episode. The flap that makes the alert unstable is sent as that, once."""
    relapsed = state.ended is not None and at - state.ended <= RELAPSE
    flaps = tuple(flap for flap in state.flaps if at - flap < UNSTABLE_WITHIN)
    flaps = (*flaps, at)[-MAX_FLAPS:] if relapsed else flaps
    unstable = len(flaps) >= UNSTABLE_FLAPS or (state.unstable and bool(flaps))
    opened = replace(state, episode=state.episode + 1, seq=state.seq + 1, flaps=flaps, unstable=unstable, fired=at)
    assert opened.urgency is not None, "a deadline has fired it"
    name: TransitionName = "unstable" if unstable and not state.unstable else "fired"
    return opened, Transition(rule, name, at, opened, _firing_reason(rule, opened))


def remind(rule: Rule, state: RuleState, at: Instant, why: str) -> tuple[RuleState, Transition]:
    """Remind of an alert that is still open and that nobody handles any more."""
    again = replace(state, seq=state.seq + 1)
    return again, Transition(rule, "reminded", at, again, why)


def _resolve(rule: Rule, state: RuleState, at: Instant, why: str) -> tuple[RuleState, Transition]:
    ended = replace(state, seq=state.seq + 1, ended=at)
    return ended.reset(), Transition(rule, "resolved", at, ended, why)


def _firing_reason(rule: Rule, state: RuleState) -> str:
    if rule.drop is not None and state.fall is not None:
        fall, days = state.fall, rule.drop.window / timedelta(days=1)
        return f"health fell from {fall.peak:.0f} to {fall.level:.0f} within {days:g} d"
    # An older version of the rule, with other tiers, may have set the deadline.
    tier = next((tier for tier in rule.tiers if tier.urgency == state.urgency), rule.tiers[-1])
    return fired(rule, tier)
