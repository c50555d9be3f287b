"""Folds a rule over corrected rows: from its anchor, the last sent transition, through the window to now.

A sent transition stands, everything else is evaluated again. So late history, heals and corrections leave no phantom:
an episode that nobody was notified of appears, moves or vanishes with the rows beneath it."""

from dataclasses import dataclass, field, replace

from schemas.primitives import Instant
from schemas.rules import SCORE_MEASURES, Rule
from services.notify.domain.lifecycle import OPEN, RuleState, apply_deadline, close_rule, evaluate
from services.notify.domain.window import StoredInstant, Window, active_time_start, extended_to, up_to


@dataclass(frozen=True, slots=True)
class Anchor:
    """The state as of the last stored transition, or as of the start of the window, which moves up as rows leave it.
    `at` None: before all rows. `stood`: the instant of that last transition, before which nothing is evaluated again.
    The window reaches further back than the anchor, by the longest hold: a run may have begun there."""

    at: StoredInstant | None = None
    state: RuleState = field(default_factory=RuleState)
    stood: StoredInstant | None = None


def fold_rule(rule: Rule, anchor: Anchor, window: Window, until: Instant) -> RuleState:
    """Return the state of the rule at an instant, with deadlines at their own instants. Its counters count intermediate
    transitions: `reconcile` has the true ones."""
    rows = up_to(window, until)
    first = 0 if anchor.at is None else len(up_to(rows, anchor.at))
    state = anchor.state
    if state.regained_at is not None and state.condition not in OPEN:
        # The row that showed it may be one of the corrected ones.
        regained_at = None if anchor.at is None else fold_rule(rule, Anchor(), window, anchor.at).regained_at
        state = replace(state, regained_at=regained_at)
    # A sent episode stands; its deadlines follow from the corrected rows.
    if state.condition in OPEN and any(row.values for row in rows[:first]):
        state = _evaluate_rows(rule, state, rows[:first])
    for end in range(first, len(rows)):
        if rows[end].values is not None:
            state = _evaluate_rows(rule, _apply_deadlines(rule, state, rows[:end], rows[end].as_of), rows[: end + 1])
    return _apply_deadlines(rule, state, rows, until)


def advance_anchor(rule: Rule, anchor: Anchor, window: Window, remaining: Window) -> Anchor:
    """Move the anchor to the start of the remaining window. A rule without levels needs none: its newest row says
    all."""
    if rule.measure not in SCORE_MEASURES:
        return anchor
    begin = active_time_start(remaining, rule.longest_hold)
    if begin is None or (anchor.at is not None and anchor.at >= begin):
        return anchor
    return Anchor(begin, fold_rule(rule, anchor, window, begin), anchor.stood)


def is_corrected_away(rule: Rule, state: RuleState, window: Window, now: Instant) -> bool:
    """Return whether all rows from the start of the open episode on say that it never was."""
    begun = state.fall.peak_at if state.fall is not None else state.since
    if state.condition not in OPEN or begun is None or not window or window[0].as_of > begun:
        return False
    found = fold_rule(rule, Anchor(), window, now)
    return found.episode == 0 and found.condition == "ok"


def _evaluate_rows(rule: Rule, state: RuleState, rows: Window) -> RuleState:
    last = next(row.values for row in reversed(rows) if row.values is not None)
    return close_rule(rule, state, rows[-1].as_of)[0] if last.status == "ended" else evaluate(rule, state, rows)


def _apply_deadlines(rule: Rule, state: RuleState, rows: Window, until: Instant) -> RuleState:
    while state.dues and (at := state.dues[0].at) <= until:
        state, turn = apply_deadline(rule, state, at)
        if turn.name == "resolved":
            # It may begin anew with the row that ended it.
            state = evaluate(rule, state, extended_to(rows, at))
    return state
