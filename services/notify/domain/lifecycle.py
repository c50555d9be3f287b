"""One rule of one relationship: ok -> pending -> firing -> recovering -> ok. What a row shows changes the condition
and its deadlines; only a deadline, or the end of the relationship, makes a transition that people hear of."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.alerts import Condition, TransitionName, Urgency
from schemas.primitives import Instant
from services.notify.domain.rules import Rule, Tier, hours, more_urgent
from services.notify.domain.window import Run, Window, unbroken_run

ENDED = "relationship ended"
NEVER_TOLD = "its firing was not sent"


class Due(NamedTuple):
    """A deadline: the tier of this urgency fires, or, without urgency, the alert resolves."""

    at: Instant
    urgency: Urgency | None


@dataclass(frozen=True, slots=True)
class RuleState:
    """`since`: since when the values have been bad, kept while the episode is open; `dues`: its deadlines, soonest
    first, each more urgent than the one before; `told`: a notice of the open episode was (or will be) sent."""

    condition: Condition = "ok"
    since: Instant | None = None
    dues: tuple[Due, ...] = ()
    episode: int = 0
    urgency: Urgency | None = None
    told: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """What people hear of; `not_sent` is the reason why they do not. `of` is the open episode that it belongs to."""

    rule: Rule
    name: TransitionName
    at: Instant
    of: RuleState
    why: str
    not_sent: str | None


def judged(rule: Rule, state: RuleState, rows: Window) -> RuleState:
    """What the newest of these rows makes of the rule. Where nothing is known (no row, or low confidence) it neither
    fires nor resolves. A deadline may come out in the past, after a correction: then it is due at once."""
    if state.condition in {"firing", "recovering"}:
        return _held_open(rule, state, rows)
    return _watched(rule, state, rows)


def turned(rule: Rule, state: RuleState, at: Instant, muted: str | None) -> tuple[RuleState, Transition]:
    """The first deadline takes effect at an instant. `muted`: why nobody shall hear of it, if so."""
    due = state.dues[0]
    if due.urgency is None:
        return _resolved(rule, state, at, f"{_clear(rule)} for {hours(rule.clear_hold)}")
    again = state.condition == "firing"
    opened = replace(
        state,
        condition="firing",
        dues=state.dues[1:],
        urgency=due.urgency,
        episode=state.episode if again else state.episode + 1,
        told=muted is None or (again and state.told),
    )
    # The deadline may have been set by an older version of the rule, which had other tiers.
    tier = next((tier for tier in rule.tiers if tier.urgency == due.urgency), rule.tiers[-1])
    why = f"{_reached(rule, tier)} for {hours(tier.hold)}"
    return opened, Transition(rule, "escalated" if again else "fired", at, opened, why, muted)


def closed(rule: Rule, state: RuleState, at: Instant) -> tuple[RuleState, Transition | None]:
    """The relationship has ended: an open alert resolves at once, a pending one is forgotten."""
    if state.condition in {"firing", "recovering"}:
        return _resolved(rule, state, at, ENDED)
    return RuleState(episode=state.episode), None


def _watched(rule: Rule, state: RuleState, rows: Window) -> RuleState:
    run = _run(rule, rows, rule.tiers[0])
    if run is None:
        return RuleState(episode=state.episode)
    return RuleState("pending", run.since, _deadlines(rule, rows, rule.tiers), state.episode)


def _held_open(rule: Rule, state: RuleState, rows: Window) -> RuleState:
    run = unbroken_run(rows, rule.clears)
    if run is not None:
        due = run.due(rule.clear_hold)
        return replace(state, condition="recovering", dues=() if due is None else (Due(due, None),))
    assert state.urgency is not None, "an open alert has an urgency"
    worse = tuple(tier for tier in rule.tiers if more_urgent(tier.urgency, state.urgency))
    return replace(state, condition="firing", dues=_deadlines(rule, rows, worse))


def _deadlines(rule: Rule, rows: Window, tiers: tuple[Tier, ...]) -> tuple[Due, ...]:
    """Soonest first. A milder tier that would come with or after a more urgent one adds nothing and is left out."""
    found: list[Due] = []
    for tier in tiers:
        run = _run(rule, rows, tier)
        due = run and run.due(tier.hold)
        if due is None:
            break
        found = [*(milder for milder in found if milder.at < due), Due(due, tier.urgency)]
    return tuple(found)


def _run(rule: Rule, rows: Window, tier: Tier) -> Run | None:
    return unbroken_run(rows, lambda values: rule.reaches(values, tier.level))


def _resolved(rule: Rule, state: RuleState, at: Instant, why: str) -> tuple[RuleState, Transition]:
    muted = None if state.told else NEVER_TOLD
    return RuleState(episode=state.episode), Transition(rule, "resolved", at, state, why, muted)


def _reached(rule: Rule, tier: Tier) -> str:
    return f"{rule.measure} at or {'below' if rule.measure == 'health' else 'above'} {tier.level:g}"


def _clear(rule: Rule) -> str:
    return f"{rule.measure} {'above' if rule.measure == 'health' else 'below'} {rule.clear_level:g}"
