"""A rule folded over rows that were corrected: from its anchor, what was told of last, through the window to now.

What was told stands, what was not is judged again. So late history, heals and corrections leave no phantom: an episode
of which nobody was told appears, moves or vanishes with the rows beneath it."""

from dataclasses import dataclass, field, replace

from schemas.primitives import Instant
from schemas.rules import SCORE_MEASURES, Rule
from services.notify.domain.lifecycle import OPEN, RuleState, closed, judged, turned
from services.notify.domain.window import StoredInstant, Window, aged, lasting, up_to


@dataclass(frozen=True, slots=True)
class Anchor:
    """The lifecycle as of the last transition that is written down, or as of the window's begin, which moves up as rows
    leave it. `at` None: before all rows. `stood`: the instant of that last transition, before which nothing is judged
    again. The window reaches further back than the anchor, by the longest hold: a run may have begun there."""

    at: StoredInstant | None = None
    state: RuleState = field(default_factory=RuleState)
    stood: StoredInstant | None = None


def folded(rule: Rule, anchor: Anchor, window: Window, until: Instant) -> RuleState:
    """What the rule has come to at an instant, deadlines at their own instants. Its counters count transitions that are
    nobody's business: `reconciled` knows the true ones."""
    rows = up_to(window, until)
    first = 0 if anchor.at is None else len(up_to(rows, anchor.at))
    state = anchor.state
    if state.regained_at is not None and state.condition not in OPEN:
        # The row that said so may be one of those that were corrected.
        regained_at = None if anchor.at is None else folded(rule, Anchor(), window, anchor.at).regained_at
        state = replace(state, regained_at=regained_at)
    # What was told stands, its deadlines follow from the corrected rows.
    if state.condition in OPEN and any(row.values for row in rows[:first]):
        state = _judged(rule, state, rows[:first])
    for end in range(first, len(rows)):
        if rows[end].values is not None:
            state = _judged(rule, _elapsed(rule, state, rows[:end], rows[end].as_of), rows[: end + 1])
    return _elapsed(rule, state, rows, until)


def moved_up(rule: Rule, anchor: Anchor, window: Window, left: Window) -> Anchor:
    """The anchor where only so much of the window is left. What a rule without levels has come to, its newest row
    says."""
    if rule.measure not in SCORE_MEASURES:
        return anchor
    begin = aged(left, rule.longest_hold)
    if begin is None or (anchor.at is not None and anchor.at >= begin):
        return anchor
    return Anchor(begin, folded(rule, anchor, window, begin), anchor.stood)


def is_corrected_away(rule: Rule, state: RuleState, window: Window, now: Instant) -> bool:
    """Whether the rows say, all of them from the begin of the open episode on, that it never was."""
    begun = state.fall.peak_at if state.fall is not None else state.since
    if state.condition not in OPEN or begun is None or not window or window[0].as_of > begun:
        return False
    found = folded(rule, Anchor(), window, now)
    return found.episode == 0 and found.condition == "ok"


def _judged(rule: Rule, state: RuleState, rows: Window) -> RuleState:
    last = next(row.values for row in reversed(rows) if row.values is not None)
    return closed(rule, state, rows[-1].as_of)[0] if last.status == "ended" else judged(rule, state, rows)


def _elapsed(rule: Rule, state: RuleState, rows: Window, until: Instant) -> RuleState:
    while state.dues and (at := state.dues[0].at) <= until:
        state, turn = turned(rule, state, at)
        if turn.name == "resolved":
            # It may begin anew with the row that ended it.
            state = judged(rule, state, lasting(rows, at))
    return state
